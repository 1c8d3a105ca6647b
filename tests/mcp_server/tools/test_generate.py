"""`generate` through the whole stack: a real client, a real stdio subprocess, in both protocol eras."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mlx_lm import generate, load

from adapters.engine import EngineClient
from adapters.models.starters import STARTERS
from adapters.protocol.jobs import FINISHED, JobView
from tests.running import ERAS, Home, answer, text
from tests.tiny_models import copy_of_starter

pytestmark = pytest.mark.anyio

LONG = {"prompts": ["Count from 1 to 20."] * 128}


@pytest.fixture(params=ERAS)
async def client(shared_home: Home, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with shared_home.client(era=request.param) as client:
        yield client


@pytest.fixture
async def modern(shared_home: Home, tmp_path: Path) -> AsyncIterator[Client]:
    """A client in one era, with the test's folder granted."""
    async with shared_home.client("--allow", str(tmp_path)) as client:
        yield client


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    return answer(await client.call_tool("generate", arguments))


async def refused(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("generate", arguments)
    assert result.is_error, result
    return text(result)


# --- answering


async def test_an_answer_stands_alone_as_structure_and_as_text(client: Client) -> None:
    result = await client.call_tool("generate", {"prompt": "Reverse the words: red green blue"})
    told = answer(result)
    assert (told["state"], told["text"], told["truncated"], told["model"], told["finish_reason"]) == (
        "done",
        "blue green red",
        False,
        "starter",
        "stop",
    )
    assert told["job"].startswith("gen-")
    assert set(told["usage"]) == {"prompt_tokens", "cached_tokens", "completion_tokens"}
    assert set(told["timing"]) == {"queued_s", "load_s", "first_token_s", "total_s", "tokens_per_second"}
    assert text(result).startswith("blue green red\n\n[model starter, ")
    assert told["job"] in text(result)


async def test_a_greedy_answer_equals_mlx_lm_cold_and_warm(client: Client) -> None:
    model, tokenizer, *_ = load(str(STARTERS["starter"]))
    prompt = "Leo has 12 pencils. The key is in the tower. Kate is 44. Where is the key? "
    tokens = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, enable_thinking=False
    )
    expected = generate(model, tokenizer, tokens, max_tokens=60)  # pyright: ignore[reportArgumentType]
    first, second = await ask(client, prompt=prompt, max_tokens=60), await ask(client, prompt=prompt, max_tokens=60)
    assert first["text"] == second["text"] == expected
    assert second["usage"]["cached_tokens"] > 20


async def test_many_prompts_are_answered_in_order(client: Client) -> None:
    told = await ask(
        client,
        prompts=[
            "What is the capital of Spain?",
            "Reverse the words: red green blue",
            "What is the capital of Norway?",
        ],
    )
    assert [one["text"] for one in told["results"]] == ["Madrid", "blue green red", "Oslo"]
    assert all(one["usage"]["completion_tokens"] for one in told["results"])


async def test_a_conversation_is_remembered(modern: Client) -> None:
    messages = [
        {"role": "user", "content": "My name is Nina."},
        {"role": "assistant", "content": "Nice to meet you, Nina!"},
        {"role": "user", "content": "What is my name?"},
    ]
    assert (await ask(modern, messages=messages))["text"] == "Your name is Nina."


async def test_a_system_prompt_is_followed(modern: Client) -> None:
    assert (await ask(modern, prompt="What is your name?", system="Your name is Luna."))["text"] == "My name is Luna."


async def test_files_are_put_before_the_prompt_and_read_once(modern: Client, tmp_path: Path) -> None:
    (tmp_path / "facts.txt").write_text("Ella has a purple drum. Omar lives in Delhi. The kite is in the drawer.\n" * 1)
    path = str(tmp_path / "facts.txt")
    first = await ask(modern, prompt="Where does Omar live?", files=[path])
    second = await ask(modern, prompt="What colour is Ella's drum?", files=[path])
    assert (first["text"], second["text"]) == ("In Delhi", "Purple")
    assert second["usage"]["cached_tokens"] > 20


async def test_json_follows_the_schema(modern: Client) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    told = await ask(modern, prompt="Write JSON with name Tom and age 7.", json_schema=schema)
    assert told["json"] == {"name": "Tom", "age": 7} == json.loads(told["text"])


async def test_thinking_comes_apart(modern: Client) -> None:
    told = await ask(modern, prompt="What is 41 + 36?", thinking=True)
    assert told["reasoning"] == "1 + 6 = 7, 4 + 3 = 7"
    assert told["text"] == "77"


async def test_stop_ends_the_answer_before_the_string(modern: Client) -> None:
    told = await ask(modern, prompt="Count from 1 to 9.", stop=["6"])
    assert (told["text"], told["finish_reason"]) == ("1 2 3 4 5 ", "stop")


async def test_an_answer_that_was_cut_says_so(modern: Client) -> None:
    result = await modern.call_tool("generate", {"prompt": "Count from 1 to 9.", "max_tokens": 3})
    assert answer(result)["finish_reason"] == "length"
    assert "CUT" in text(result)


async def test_an_answer_of_one_token_is_an_answer(client: Client) -> None:
    told = await ask(client, prompt="Count from 1 to 9.", max_tokens=1)
    assert (told["usage"]["completion_tokens"], told["finish_reason"]) == (1, "length")


async def test_one_seed_gives_one_answer(modern: Client) -> None:
    options = {"prompt": "Tell me a story.", "temperature": 1.0, "top_p": 0.95, "repetition_penalty": 1.05}
    first, second = await ask(modern, **options, seed=3), await ask(modern, **options, seed=3)
    others = [(await ask(modern, **options, seed=seed))["text"] for seed in range(4, 8)]
    assert first["text"] == second["text"]
    assert set(others) != {first["text"]}


async def test_a_model_is_named_by_its_folder(modern: Client, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "mine")
    told = await ask(modern, prompt="What is the capital of Italy?", model=str(folder))
    assert (told["text"], told["model"]) == ("Rome", str(folder))


async def test_progress_is_told_upwards_with_its_phase(own_home: Home) -> None:
    async with own_home.client() as client:
        seen: list[tuple[float, str]] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            assert total == 100
            seen.append((progress, message or ""))

        await client.call_tool("generate", LONG, progress_callback=on_progress)
    values = [value for value, _ in seen]
    assert values == sorted(set(values))
    assert any("starting MLX" in message for _, message in seen)
    assert any("of 128 answers" in message for _, message in seen)


# --- refusing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of prompt, messages and prompts is needed; none was given"),
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": "   "}, "prompt is empty"),
        ({"prompts": []}, "prompts is empty"),
        ({"prompts": ["x", ""]}, "prompts[1] is empty"),
        ({"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, "prompt and messages was given"),
        ({"prompt": "x", "temprature": 1}, "temprature is not an argument of this tool"),
        ({"prompt": "x", "temperature": -1}, "temperature: Input should be greater than or equal to 0 (given -1)"),
        ({"prompt": "x", "temperature": 1e9}, "temperature: Input should be less than or equal to 100"),
        ({"prompt": "x", "top_k": 10_000_000}, "top_k: Input should be less than or equal to 1000000"),
        ({"prompt": "x", "temperature": 1, "top_k": 100_000}, "top_k=100000 is not below this model's 1536 tokens"),
        ({"prompt": "x", "top_p": 0}, "top_p"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"prompt": "word " * 5000}, "the prompt has 5"),
        ({"prompt": "x", "json_schema": {"type": "banana"}}, "json_schema is not a JSON schema"),
        ({"prompt": "x", "json_schema": "{"}, "json_schema"),
        (
            {
                "prompt": "x",
                "max_tokens": 9,
                "json_schema": {"type": "string", "pattern": "^((a{1,1000}){1,1000}){99}$"},
            },
            "the answer could not be held to json_schema",
        ),
        ({"prompt": "x", "model": "starte"}, "there is no model 'starte'; on this machine there is starter"),
        ({"prompt": "x", "model": "/"}, "outside the granted folders"),
        ({"prompt": "x", "files": ["/etc/passwd"]}, "outside the granted folders"),
        ({"prompt": "x", "files": ["notes.txt"]}, "relative path"),
        (
            {"messages": [{"role": "robot", "content": "x"}]},
            "messages.0.role: Input should be 'system', 'user' or 'assistant' (given 'robot')",
        ),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "must end with a user's turn"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]},
            "a system message goes first",
        ),
        ({"messages": []}, "messages is empty"),
        ({"prompts": ["x"] * 10_000}, "at most 256 items"),
        ({"prompt": "x", "stop": [""]}, "stop.0"),
        ({"prompt": "x", "seed": -1}, "seed"),
        ({"prompt": "x" * (17 << 20)}, "may have 16777216"),
    ],
)
async def test_bad_input_gets_the_value_and_the_way_out(
    shared_home: Home, arguments: dict[str, Any], message: str
) -> None:
    async with shared_home.client() as client:
        said = await refused(client, **arguments)
        assert message in said
        assert len(said) < 1500
        assert "Traceback" not in said


async def test_a_folder_without_weights_is_named(modern: Client, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    assert "has no weights" in await refused(modern, prompt="x", model=str(folder))


async def test_a_model_that_is_code_is_refused(modern: Client, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "code")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_file": "modeling.py"}))
    assert "config.json says that the model is code" in await refused(modern, prompt="x", model=str(folder))


async def test_a_file_that_is_no_text_is_refused(modern: Client, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(b"\x89PNG\0")
    assert "not a text file" in await refused(modern, prompt="x", files=[str(tmp_path / "photo.txt")])


async def test_an_unknown_tool_is_a_protocol_error(client: Client) -> None:
    with pytest.raises(MCPError, match="Unknown tool: sing"):
        await client.call_tool("sing", {})


async def test_an_argument_that_is_mistyped_is_told_the_one_that_was_meant(modern: Client) -> None:
    assert "did you mean temperature?" in await refused(modern, prompt="x", temprature=1)
    assert (await refused(modern, prompt="x", wibble=1)).endswith("leave it out")
    assert (await refused(modern, prompts="x")).endswith(
        "prompts is no list (given 'x'); write it in brackets, as a JSON list"
    )


async def test_offline_never_asks_for_a_download(shared_home: Home) -> None:
    async with shared_home.client("--offline") as client:
        told = await refused(client, prompt="x", model="some-org/some-model")
        assert "offline mode forbids to fetch it" in told
        assert told.endswith("a server that is started without --offline fetches it")


# --- deadlines, cancellation, and things that die


async def test_no_call_takes_longer_than_its_deadline_plus_a_second(shared_home: Home) -> None:
    async with shared_home.client("--reply-within", "1") as client:
        started = time.monotonic()
        told = await ask(client, **LONG)
        assert time.monotonic() - started < 2
        assert told["state"] == "running"
        started = time.monotonic()
        still = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 50}))
        assert time.monotonic() - started < 2
        assert still["job"] == told["job"]
        cancelled = answer(await client.call_tool("cancel-job", {"job": told["job"]}))
        assert cancelled["state"] == "cancelled"


async def test_a_frozen_engine_does_not_hold_a_call_past_its_deadline(own_home: Home) -> None:
    async with own_home.client("--reply-within", "1") as client:
        await ask(client, prompt="Hello")
        (engine,) = own_home.engines()
        engine.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        told = await ask(client, prompt="Reverse the words: red green blue")
        assert time.monotonic() - started < 2
        assert told["state"] == "queued"
        engine.send_signal(signal.SIGCONT)
        while told["state"] in ("queued", "running"):
            told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 20}))
        assert (told["state"], told["text"]) == ("done", "blue green red"), told


async def test_a_killed_engine_costs_one_call(own_home: Home) -> None:
    async with own_home.client() as client:
        await ask(client, prompt="Hello")
        said: list[str] = []

        async def call() -> None:
            said.append(await refused(client, **LONG))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            async with own_home.engine() as engine:
                await _writing(engine)
            (process,) = own_home.engines()
            process.kill()
        assert "the engine stopped while writing" in said[0]
        assert (await ask(client, prompt="What is the capital of Japan?"))["text"] == "Tokyo"


async def test_a_cancelled_call_takes_its_job_along(shared_home: Home) -> None:
    async with shared_home.client() as client, shared_home.engine() as engine:
        before = {view.job for view in (await engine.status()).jobs}
        job = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "generate", LONG)
            job = await _new_job(engine, before)
            tasks.cancel_scope.cancel()
        assert await _ended(engine, job) == "cancelled"


async def test_a_client_that_dies_takes_its_job_along(shared_home: Home) -> None:
    process = shared_home.spawn()
    assert process.stdin is not None
    async with shared_home.engine() as engine:
        before = {view.job for view in (await engine.status()).jobs}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "generate", "arguments": LONG}}
        initialize = {
            "jsonrpc": "2.0",
            "id": 0,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "raw", "version": "1"},
            },
        }
        for message in (initialize, {"jsonrpc": "2.0", "method": "notifications/initialized"}, call):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        job = await _new_job(engine, before)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert await _ended(engine, job) == "cancelled"
        assert all(model.rows == 0 for model in (await engine.status()).models)


async def _running(engine: EngineClient) -> list[JobView]:
    return [view for view in (await engine.status()).jobs if view.state == "running"]


async def _writing(engine: EngineClient) -> None:
    """Wait until the job that runs has finished some of its answers: its client has heard of it by then."""
    with anyio.fail_after(60):
        while not any(view.progress.unit == "answers" and view.progress.done for view in await _running(engine)):
            await anyio.sleep(0.01)


async def _new_job(engine: EngineClient, before: set[str]) -> str:
    """Wait for a job that was not there before."""
    found: list[str] = []
    with anyio.fail_after(60):
        while not found:
            found = [view.job for view in await _running(engine) if view.job not in before]
    return found[0]


async def _ended(engine: EngineClient, job_id: str) -> str:
    """The state in which the job ends. Looks on without following: a job that is followed is wanted."""
    with anyio.fail_after(30):
        while True:
            (view,) = [view for view in (await engine.status()).jobs if view.job == job_id]
            if view.state in FINISHED:
                return view.state
