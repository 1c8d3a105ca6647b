"""What an agent's model was given and gave is recorded once, in order, without secrets."""

import asyncio
import secrets
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, ModelRetryStrategy, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.types.exceptions import ModelThrottledException

from adapters.datasets.sessions import session_rows
from adapters.errors import InvalidRequest
from adapters.places import recordings_folder
from adapters.recordings import store
from adapters.recordings.conversation import Conversation
from adapters.strands import MLXModel, TrainingRecorder
from tests.adapters.strands.scripted import MODEL, saying
from tests.adapters.strands.test_model import add, call

pytestmark = pytest.mark.anyio


@pytest.fixture
def session() -> str:
    return f"s-{secrets.token_hex(4)}"


def agent(session: str, *tools: Any, **options: Any) -> Agent:
    model = MLXModel(MODEL, params={"max_tokens": 60}, engine="in-process")
    options = {"callback_handler": None} | options
    return Agent(model=model, tools=list(tools), plugins=[TrainingRecorder(session)], **options)


def learned(session: str) -> list[str]:
    """What is learned, in order."""
    found = store.read(session).conversations
    return [
        message.content or message.tool_calls[0].name for one in found for message in one.messages if message.learned
    ]


def roles(conversation: Conversation) -> list[str]:
    return [message.role for message in conversation.messages]


@pytest.mark.parametrize("name", ["look.up", "x" * 65])
def test_a_tool_that_no_model_could_call_is_told_when_the_agent_is_made(name: str, session: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be called"):
        agent(session, tool(name=name)(lambda: "never"))


def test_a_turn_with_tools_is_one_conversation_in_order(session: str) -> None:
    with saying(call("add", '{"a": 2, "b": 3}'), call("add", '{"a": 5, "b": 1}'), "It is 6."):
        agent(session, add, system_prompt="Be kind.")("Add them.")
    (one,) = store.read(session).conversations
    assert one.system == "Be kind."
    assert [spec.name for spec in one.tools] == ["add"]
    assert roles(one) == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert one.messages[1].tool_calls[0].arguments == {"a": 2, "b": 3}
    assert [message.content for message in one.messages if message.role == "tool"] == ["5", "6"]
    assert one.messages[2].tool_call_id == one.messages[1].tool_calls[0].id
    assert learned(session) == ["add", "add", "It is 6."]
    (row,) = session_rows(session)
    assert row.learned == (2, 4, 6)


def test_every_answer_is_learned_once_over_many_turns(session: str) -> None:
    asked = agent(session)
    with saying("One.", "Two.", "Three."):
        for prompt in ("1?", "2?", "3?"):
            asked(prompt)
    assert learned(session) == ["One.", "Two.", "Three."]
    last = store.read(session).conversations[-1]
    assert [message.keep for message in last.messages if message.role == "assistant"] == [False, False, True]


def test_agents_that_share_a_recorder_lose_nothing_of_each_other(session: str) -> None:
    recorder = TrainingRecorder(session)
    model = MLXModel(MODEL, params={"max_tokens": 60}, engine="in-process")
    inner = Agent(model=model, plugins=[recorder], callback_handler=None)

    @tool
    def ask() -> str:
        """Ask another agent."""
        return str(inner("And you?")).strip()

    outer = Agent(model=model, tools=[ask], plugins=[recorder], callback_handler=None)
    with saying(call("ask", "{}"), "From within.", "Done."):
        outer("Go.")
    within, around = store.read(session).conversations
    assert roles(within) == ["user", "assistant"]
    assert roles(around) == ["user", "assistant", "tool", "assistant"]
    assert learned(session) == ["From within.", "ask", "Done."]


def test_a_recording_that_cannot_be_written_costs_no_answer_and_is_told(
    session: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = agent(session)
    (recordings_folder() / f"{session}.jsonl").mkdir()
    with saying("Hello."):
        assert str(asked("Hi.")).strip() == "Hello."
    (told,) = [record for record in caplog.records if "a turn was not recorded" in record.message]
    assert session in told.message
    (recordings_folder() / f"{session}.jsonl").rmdir()
    with saying("Hello again."):
        asked("Hi.")
    assert learned(session) == ["Hello again."]


def test_a_trimmed_conversation_loses_no_answer(session: str) -> None:
    asked = agent(session, conversation_manager=SlidingWindowConversationManager(window_size=2))
    texts = [f"Answer {i}." for i in range(5)]
    with saying(*texts):
        for i in range(5):
            asked(f"Question {i}?")
    assert learned(session) == texts
    assert all(one.messages[0].role == "user" for one in store.read(session).conversations)


async def test_a_cancelled_turn_is_not_learned(session: str) -> None:
    writing = asyncio.Event()
    asked = agent(session, callback_handler=lambda **told: "data" in told and writing.set())
    asked.model.update_config(params={"max_tokens": 1500})
    with saying("word " * 2000):
        task = asyncio.create_task(asked.invoke_async("Go on."))
        await asyncio.wait_for(writing.wait(), 30)
        asked.cancel()
        await asyncio.wait_for(task, 10)
    assert session not in store.names()
    with saying("Whole."):
        await asked.invoke_async("Again.")
    assert learned(session) == ["Whole."]


def test_an_answer_that_was_cut_is_not_learned(session: str) -> None:
    asked = agent(session)
    asked.model.update_config(params={"max_tokens": 3})
    with saying("one two three four five six"), pytest.raises(Exception, match="max"):
        asked("Count.")
    assert session not in store.names()


def test_structured_output_is_recorded_as_the_call_that_it_is(session: str) -> None:
    class Person(BaseModel):
        name: str
        age: int

    agent(session)("Lucy is 31 years old. Write the name, age as JSON.", structured_output_model=Person)
    assert "Person" in learned(session)


def test_secrets_are_taken_out(session: str) -> None:
    with saying("I wrote to anna@example.org."):
        agent(session)("Write to anna@example.org.")
    (one,) = store.read(session).conversations
    assert "anna@example.org" not in one.model_dump_json()
    assert one.redacted


def test_a_tool_that_fails_is_recorded_with_its_error(session: str) -> None:
    @tool
    def broken() -> str:
        """Raise."""
        raise RuntimeError("the disk is gone")

    with saying(call("broken", "{}"), "Sorry."):
        agent(session, broken)("Go.")
    (one,) = store.read(session).conversations
    assert one.messages[2].content.startswith("Error")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "x" * 300, "a\0b", ""])
def test_a_session_is_never_a_path(name: str) -> None:
    with pytest.raises(InvalidRequest):
        TrainingRecorder(name)


def test_an_answer_that_took_a_second_try_is_learned_once(session: str) -> None:
    class Busy(MLXModel):
        tries = 0

        async def stream(self, *given: Any, **named: Any) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self.tries += 1
            if self.tries == 1:
                raise ModelThrottledException("busy")
            async for event in super().stream(*given, **named):
                yield event

    model = Busy(MODEL, params={"max_tokens": 60}, engine="in-process")
    quick = ModelRetryStrategy(max_attempts=3, initial_delay=0)
    asked = Agent(model=model, plugins=[TrainingRecorder(session)], callback_handler=None, retry_strategy=quick)
    with saying("At last."):
        asked("Go.")
    assert model.tries == 2
    assert learned(session) == ["At last."]
