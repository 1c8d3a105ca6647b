"""`MLXModel` in the real loop of Strands, on a real engine: what it streams, and what happens to what a model gets wrong."""

import asyncio
import io
import json
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import pytest
from PIL import Image
from pydantic import BaseModel, Field
from strands import Agent, tool
from strands.models.model import CacheConfig
from strands.types.exceptions import ContextWindowOverflowException, MaxTokensReachedException

from adapters.engine import EngineClient
from adapters.engine.in_process import in_process_engine
from adapters.errors import AnswerIncomplete, BadAdapter, EngineStopped, InvalidRequest
from adapters.models.starters import STARTERS
from adapters.strands import MLXModel
from tests.adapters.strands.scripted import MODEL, saying
from tests.running import Home, kill
from tests.tiny_adapters import random_adapter
from tests.tiny_models import model_that_never_ends, random_qwen3, starter_that_calls_in_xml

pytestmark = pytest.mark.anyio


class Person(BaseModel):
    name: str
    age: int


def model(**params: Any) -> MLXModel:
    return MLXModel(MODEL, params={"max_tokens": 120} | params, engine="in-process")


def agent(*tools: Any, **options: Any) -> Any:
    options = {"model": model(), "callback_handler": None} | options
    return Agent(tools=list(tools), **options)


@tool
def add(a: int, b: int) -> str:
    """Add two numbers.

    Args:
        a: One.
        b: The other.
    """
    return str(a + b)


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


async def streamed(provider: MLXModel, prompt: str = "Hello", **options: Any) -> list[Any]:
    messages: Any = [{"role": "user", "content": [{"text": prompt}]}]
    return [event async for event in provider.stream(messages, **options)]


def kinds(events: list[Any]) -> list[str]:
    """The events by kind, deltas of one block as one."""
    found = [next(iter(event)) for event in events]
    return [kind for i, kind in enumerate(found) if not i or kind != found[i - 1]]


def text_of(message: Any) -> str:
    return "".join(block.get("text", "") for block in message["content"])


def specs(*tools: Any) -> list[Any]:
    return [one.tool_spec for one in tools]


# --- what is streamed


async def test_text_is_one_block_then_the_stop_then_the_usage() -> None:
    with saying("Hello there."):
        events = await streamed(model())
    block = ["contentBlockStart", "contentBlockDelta", "contentBlockStop"]
    assert kinds(events) == ["messageStart", *block, "messageStop", "metadata"]
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    usage = events[-1]["metadata"]["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert events[-1]["metadata"]["metrics"]["latencyMs"] >= 0


async def test_reasoning_comes_in_a_block_of_its_own_before_the_text() -> None:
    with saying("<think>\nA plan.\n</think>\n\nHello."):
        events = await streamed(model(thinking=True))
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    thoughts = "".join(delta["reasoningContent"]["text"] for delta in deltas if "reasoningContent" in delta)
    assert thoughts.strip() == "A plan."
    assert "".join(delta.get("text", "") for delta in deltas) == "Hello."
    assert "reasoningContent" in deltas[0]
    assert [kind for kind in kinds(events) if kind == "contentBlockStop"] == ["contentBlockStop"] * 2


async def test_an_answer_comes_in_pieces() -> None:
    with saying("one two three four five six seven eight nine ten " * 4):
        events = await streamed(model())
    assert sum("contentBlockDelta" in event for event in events) > 1


def test_a_tool_is_called_and_its_result_is_answered() -> None:
    with saying(call("add", '{"a": 2, "b": 3}'), "It is 5.") as left:
        asked = agent(add)
        result = asked("What is 2 + 3?")
    assert not left
    assert str(result).strip() == "It is 5."
    assert result.stop_reason == "end_turn"
    assert asked.messages[2]["content"][0]["toolResult"]["content"] == [{"text": "5"}]


def test_calls_have_ids_of_their_own() -> None:
    twice = call("add", '{"a": 1, "b": 1}') + "\n" + call("add", '{"a": 2, "b": 2}')
    with saying(twice, call("add", '{"a": 3, "b": 3}'), "Done."):
        asked = agent(add)
        asked("Add.")
    used = [block["toolUse"] for message in asked.messages for block in message["content"] if "toolUse" in block]
    assert len({one["toolUseId"] for one in used}) == len(used) == 3


async def test_a_call_comes_when_it_is_closed_while_the_model_writes_on() -> None:
    wordy = "I add. " + call("add", '{"a": 1, "b": 1}') + "\nAnd then " + "more and " * 20
    with saying(wordy):
        events = await streamed(model(max_tokens=200), tool_specs=specs(add))
    blocks = [event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event]
    assert [block.get("toolUse", {}).get("name") for block in blocks] == [None, "add", None]
    at = next(i for i, event in enumerate(events) if event.get("contentBlockStart", {}).get("start"))
    assert sum("text" in event.get("contentBlockDelta", {}).get("delta", {}) for event in events[at:]) > 1
    assert said(events).startswith("I add.")
    assert said(events).rstrip().endswith("more and")
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"


async def test_a_stop_string_is_said_to_have_ended_the_answer() -> None:
    with saying("one two three END four"):
        events = await streamed(model(stop=["END"]))
    assert said(events) == "one two three "
    assert events[-2]["messageStop"]["stopReason"] == "stop_sequence"


async def test_a_call_before_a_stop_string_is_still_to_be_made() -> None:
    with saying(call("add", '{"a": 1, "b": 1}') + "\nEND"):
        events = await streamed(model(stop=["END"]), tool_specs=specs(add))
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"


# --- what a model gets wrong


WRONG = {
    "half a call": '<tool_call>\n{"name": "add", "argu',
    "no JSON": "<tool_call>\nadd(2, 3)\n</tool_call>",
    "words after it": '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}} and so on\n</tool_call>',
    "no object": "<tool_call>\n[1, 2]\n</tool_call>",
    "arguments that are none": '<tool_call>\n{"name": "add", "arguments": 5}\n</tool_call>',
}


@pytest.mark.parametrize("name", WRONG)
def test_a_call_that_cannot_be_read_is_text_and_ends_the_turn(name: str) -> None:
    with saying(WRONG[name], "never asked for") as left:
        asked = agent(add)
        result = asked("Add.")
    assert left
    assert result.stop_reason == "end_turn"
    assert "<tool_call>" in text_of(asked.messages[-1])
    assert len(asked.messages) == 2


def test_calls_in_the_form_of_another_family_are_read_by_its_own_parser(tmp_path: Path) -> None:
    folder = starter_that_calls_in_xml(tmp_path / "model")
    provider = MLXModel(str(folder), params={"max_tokens": 120}, engine="in-process")
    whole = (
        "<tool_call>\n<function=add>\n<parameter=a>\n2\n</parameter>\n"
        "<parameter=b>\n3\n</parameter>\n</function>\n</tool_call>"
    )
    with saying(f"I add.\n{whole}", "It is 5."):
        asked = agent(add, model=provider)
        assert str(asked("What is 2 + 3?")).strip() == "It is 5."
    assert asked.messages[1]["content"][1]["toolUse"]["input"] == {"a": 2, "b": 3}
    with saying(whole.replace("</function>", ""), "never asked for") as left:
        assert asked("And now?").stop_reason == "end_turn"
    assert left
    assert "<function=add>" in text_of(asked.messages[-1])


def test_a_call_of_a_tool_that_was_not_offered_is_text() -> None:
    with saying(call("subtract", "{}"), "never asked for") as left:
        asked = agent(add)
        result = asked("Subtract.")
    assert left
    assert result.stop_reason == "end_turn"
    assert text_of(asked.messages[-1]).strip() == call("subtract", "{}")


def test_a_call_inside_reasoning_is_not_made() -> None:
    with saying(f"<think>\nI could {call('add', '{}')}\n</think>\n\nNo."):
        asked = agent(add, model=model(thinking=True))
        result = asked("Add.")
    assert str(result).strip() == "No."
    assert len(asked.messages) == 2


def test_reasoning_without_an_end_is_cut_and_said_to_be() -> None:
    with saying("<think>\n" + "and again " * 500), pytest.raises(MaxTokensReachedException):
        agent(model=model(thinking=True, max_tokens=30))("Think.")


def test_what_tools_do_wrong_reaches_the_model() -> None:
    @tool
    def broken() -> str:
        """Raise."""
        raise RuntimeError("the disk is gone")

    @tool
    def long() -> str:
        """Give much."""
        return "word " * 100

    @tool
    def picture() -> Any:
        """Give a picture."""
        content = io.BytesIO()
        Image.new("RGB", (4, 4)).save(content, "PNG")
        image = {"image": {"format": "png", "source": {"bytes": content.getvalue()}}}
        return {"status": "success", "content": [image]}

    with saying(call("broken", "{}"), call("long", "{}"), call("picture", "{}"), "Enough."):
        asked = agent(broken, long, picture)
        assert str(asked("Go.")).strip() == "Enough."
    assert "the disk is gone" in str(asked.messages[2]["content"])


def test_a_tool_result_that_is_too_long_overflows_the_context() -> None:
    @tool
    def much() -> str:
        """Give two megabytes."""
        return "word " * 400_000

    from strands.agent.conversation_manager import NullConversationManager

    with saying(call("much", "{}"), "never"), pytest.raises(ContextWindowOverflowException, match="tokens"):
        agent(much, conversation_manager=NullConversationManager())("Go.")


# --- what is enforced


@pytest.mark.parametrize("choice", [{"tool": {"name": "add"}}, {"any": {}}])
async def test_a_forced_call_is_a_call_whatever_the_model_would_say(choice: Any) -> None:
    @tool
    def other(word: str) -> str:
        """Another.

        Args:
            word: A word.
        """
        return word

    events = await streamed(model(), "Hello", tool_specs=specs(add, other), tool_choice=choice)
    (started,) = [event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event]
    assert started["toolUse"]["name"] in (("add",) if "tool" in choice else ("add", "other"))
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"


async def test_a_forced_call_that_is_cut_says_so_and_what_it_used() -> None:
    events = await streamed(model(max_tokens=2), tool_specs=specs(add), tool_choice={"any": {}})
    assert events[-2]["messageStop"]["stopReason"] == "max_tokens"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 2


async def test_a_choice_of_a_tool_that_is_not_offered_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="not offered"):
        await streamed(model(), tool_specs=specs(add), tool_choice={"tool": {"name": "subtract"}})


class Cat(BaseModel, extra="forbid"):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel, extra="forbid"):
    kind: Literal["dog"]
    friends: Annotated[set[Literal["Rex"]], Field(max_length=1)]
    pattern: Annotated[str, Field(pattern="^[a-z]{2,4}$")]


class Owner(BaseModel, extra="forbid"):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


@tool
def grep(pattern: str, format: str, const: int) -> str:  # noqa: A002
    """Find.

    Args:
        pattern: What to find.
        format: How to show it.
        const: How often.
    """
    return f"{pattern} {format} {const}"


async def test_a_forced_tool_may_have_arguments_that_are_named_like_keywords() -> None:
    (offered,) = specs(grep)
    offered["inputSchema"]["json"] |= {"additionalProperties": False}
    offered["inputSchema"]["json"]["properties"]["format"] = {"type": "string", "maxLength": 8}
    offered["inputSchema"]["json"]["properties"]["pattern"] = {"type": "string", "pattern": "^[a-z]{1,8}$"}
    events = await streamed(model(), tool_specs=[offered], tool_choice={"tool": {"name": "grep"}})
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert set(arguments(events)) == {"pattern", "format", "const"}


async def test_a_call_forced_among_tools_follows_what_their_schemas_refer_to() -> None:
    of = {"properties": {"of": {"const": "the other's"}}, "required": ["of"], "additionalProperties": False}
    schemas = [Owner.model_json_schema(), {"$defs": {"Cat": of}, "$ref": "#/$defs/Cat"}]
    offered: Any = [
        {"name": name, "description": "d", "inputSchema": {"json": schema}}
        for name, schema in zip(("own", "other"), schemas, strict=True)
    ]
    seen = set[str]()
    for seed in range(12):
        events = await streamed(model(temperature=3.0, seed=seed), tool_specs=offered, tool_choice={"any": {}})
        name = next(
            event["contentBlockStart"]["start"]["toolUse"]["name"] for event in events if "contentBlockStart" in event
        )
        if name == "own":
            Owner.model_validate(arguments(events))
        else:
            assert arguments(events) == {"of": "the other's"}
        seen.add(name)
    assert seen == {"own", "other"}


def test_structured_output_may_be_of_one_model_or_another() -> None:
    result = agent()("Lucy has a cat with 7 lives.", structured_output_model=Owner)
    assert isinstance(result.structured_output, Owner)


async def test_a_forced_call_that_fails_for_another_reason_than_its_length_is_an_error() -> None:
    with pytest.raises(AnswerIncomplete, match="the stop string '\"' cut the JSON"):
        await streamed(model(stop=['"']), tool_specs=specs(add), tool_choice={"any": {}})


def test_structured_output_is_of_its_model() -> None:
    result = agent()(
        "Lucy is 31 years old and lives in Oslo. Write the name, age as JSON.", structured_output_model=Person
    )
    assert isinstance(result.structured_output, Person)


async def test_structured_output_by_the_models_own_method() -> None:
    messages: Any = [{"role": "user", "content": [{"text": "Lucy is 31 years old. Write the name, age as JSON."}]}]
    events = [event async for event in model().structured_output(Person, messages)]
    assert isinstance(events[-1]["output"], Person)


# --- limits, counts, parameters


async def test_tokens_are_counted_as_they_are_used() -> None:
    provider = model()
    messages: Any = [{"role": "user", "content": [{"text": "Count from 1 to 3."}]}]
    counted = await provider.count_tokens(messages, specs(add), "Be kind.")
    events: list[Any] = [event async for event in provider.stream(messages, specs(add), "Be kind.")]
    assert events[-1]["metadata"]["usage"]["inputTokens"] == counted


async def test_what_was_read_before_is_said_to_be_cached() -> None:
    prompt = "Reverse the words: " + "red green blue " * 8
    await streamed(model(), prompt)
    again = await streamed(model(), prompt)
    assert again[-1]["metadata"]["usage"]["cacheReadInputTokens"] > 10


def test_the_limit_of_the_context_is_the_models() -> None:
    assert model().context_window_limit == 2048
    assert MLXModel(MODEL, context_window_limit=100).context_window_limit == 100
    assert MLXModel("nobody/nothing").context_window_limit is None


@pytest.mark.parametrize("params", [{"temprature": 1}, {"temperature": -1}, {"max_tokens": 0}, {"top_k": "many"}])
def test_a_wrong_parameter_is_told_at_once(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        MLXModel(MODEL, params=params)
    with pytest.raises(InvalidRequest):
        model().update_config(params=params)


def test_an_unknown_setting_changes_nothing() -> None:
    provider = model()
    with pytest.raises(InvalidRequest, match="'adaptor' is no part"):
        provider.update_config(adaptor="x", model_id="y")
    assert provider.get_config()["model_id"] == MODEL
    with pytest.raises(InvalidRequest, match="engine 'remote'"):
        MLXModel(MODEL, engine="remote")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_cache_is_always_there_and_what_it_cannot_do_is_told() -> None:
    provider = model()
    provider.update_config(cache_config=CacheConfig())
    with pytest.raises(InvalidRequest, match=r"cache_config\.ttl has no effect"):
        provider.update_config(cache_config=CacheConfig(ttl="1h"))


async def test_a_call_can_have_parameters_of_its_own() -> None:
    story = "Tell me a story about a frog."
    short = await streamed(model(), story, invocation_state={"mlx_params": {"max_tokens": 3}})
    assert short[-1]["metadata"]["usage"]["outputTokens"] == 3
    assert short[-2]["messageStop"]["stopReason"] == "max_tokens"
    with pytest.raises(InvalidRequest, match="'colour'"):
        await streamed(model(), story, invocation_state={"mlx_params": {"colour": 1}})


async def test_a_name_that_no_model_could_call_is_told() -> None:
    for name in ("a.b", "x" * 65):
        spec = {"name": name, "description": "d", "inputSchema": {"json": {"type": "object"}}}
        with pytest.raises(InvalidRequest, match="cannot be called"):
            await streamed(model(), tool_specs=[spec])


async def test_adapters_change_between_calls(tmp_path: Any) -> None:
    adapter = random_adapter(tmp_path / "adapter", STARTERS["starter"])
    other = random_adapter(tmp_path / "other", random_qwen3(tmp_path / "model"))
    provider, story = model(max_tokens=12), "Tell me a story about a frog."
    plain = await streamed(provider, story)
    provider.update_config(adapter=str(adapter))
    adapted = await streamed(provider, story)
    provider.update_config(adapter=None)
    assert said(await streamed(provider, story)) == said(plain) != said(adapted)
    provider.update_config(adapter=str(other))
    with pytest.raises(BadAdapter, match="does not belong to this model"):
        await streamed(provider, story)


def arguments(events: list[Any]) -> Any:
    deltas = (event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event)
    return json.loads("".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta))


def said(events: list[Any]) -> str:
    return "".join(
        event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event
    )


# --- cancelling, and several at once


async def test_a_cancel_signal_ends_the_stream_without_a_stop() -> None:
    signal = threading.Event()
    events, after = list[Any](), 0
    messages: Any = [{"role": "user", "content": [{"text": "Tell me a story."}]}]
    with saying("word " * 2000):
        async for event in model(max_tokens=1500).stream(messages, cancel_signal=signal):
            events.append(event)
            after += signal.is_set()
            if "contentBlockDelta" in event:
                signal.set()
    assert "messageStop" not in kinds(events)
    assert after <= 3


async def test_an_agent_that_is_cancelled_says_so() -> None:
    writing = asyncio.Event()
    asked = agent(model=model(max_tokens=1500), callback_handler=lambda **told: "data" in told and writing.set())
    with saying("word " * 2000):
        task = asyncio.create_task(asked.invoke_async("Go on."))
        await asyncio.wait_for(writing.wait(), 30)
        asked.cancel()
        result = await asyncio.wait_for(task, 10)
    assert result.stop_reason == "cancelled"


async def test_a_task_that_is_cancelled_takes_its_row_along() -> None:
    messages: Any = [{"role": "user", "content": [{"text": "Tell me a story."}]}]
    written = asyncio.Event()

    async def read() -> None:
        async for event in model(max_tokens=1500).stream(messages):
            if "contentBlockDelta" in event:
                written.set()

    engine = EngineClient(in_process_engine())
    try:
        before = {view.job for view in (await engine.status()).jobs}
        with saying("word " * 2000):
            task = asyncio.create_task(read())
            await asyncio.wait_for(written.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with anyio.fail_after(10):
            while True:
                (job,) = [view for view in (await engine.status()).jobs if view.job not in before]
                if job.state not in ("queued", "running"):
                    break
                await anyio.sleep(0.01)
    finally:
        await engine.close()
    assert job.state == "cancelled"


async def test_agents_at_once_answer_as_alone() -> None:
    prompts = ["Count from 1 to 9.", "Reverse the words: red green blue", "Uppercase: small house", "Hello"]
    alone = [str(await agent().invoke_async(prompt)) for prompt in prompts]
    together = await asyncio.gather(*(agent().invoke_async(prompt) for prompt in prompts))
    assert [str(one) for one in together] == alone


def test_the_same_agent_is_called_from_new_event_loops() -> None:
    asked = agent()
    assert str(asked("What is the capital of France?")).strip() == "Paris"
    assert str(asked("What is the capital of France?")).strip()


async def test_an_engine_that_dies_is_told_and_the_next_call_works(own_home: Home, tmp_path: Path) -> None:
    endless = MLXModel(str(model_that_never_ends(tmp_path / "endless")), params={"max_tokens": 100_000})
    with own_home.entered():
        await streamed(endless, "Hello", invocation_state={"mlx_params": {"max_tokens": 1}})

        async def killed() -> None:
            messages: Any = [{"role": "user", "content": [{"text": "Tell me a story about a frog."}]}]
            async for event in endless.stream(messages):
                if "contentBlockDelta" in event:
                    kill(*own_home.engines())

        with anyio.fail_after(30), pytest.raises(EngineStopped, match="it starts anew"):
            await killed()
        assert (await streamed(MLXModel(MODEL), "Hello"))[-2]["messageStop"]["stopReason"] == "end_turn"


def test_a_model_that_sees_is_shown_pictures() -> None:
    picture = (STARTERS["starter"].parent / "samples" / "shapes.png").read_bytes()
    asked = agent(model=MLXModel("starter-vision", params={"max_tokens": 60}, engine="in-process"))
    prompt: Any = [{"image": {"format": "png", "source": {"bytes": picture}}}, {"text": "What is in this photo?"}]
    assert str(asked(prompt)).strip() == "A red circle on the left and a blue square on the right."
