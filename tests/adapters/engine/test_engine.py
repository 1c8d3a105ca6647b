"""The engine's process: answers, cancels, dies and comes back."""

import asyncio
import itertools
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from adapters.engine import EngineClient, Job
from adapters.engine.launch import engine_socket
from adapters.errors import (
    AdapterNotFound,
    AnswerIncomplete,
    ContextOverflow,
    DoesNotFit,
    EngineStopped,
    InvalidRequest,
    JobNotFound,
    TooManyJobs,
    UnsafeModel,
    UnsupportedModel,
    from_wire,
)
from adapters.protocol.generation import Generate, Generated
from adapters.protocol.jobs import FINISHED, JobView, new_job_id
from adapters.protocol.messages import Cancel, Submit, line
from tests.running import Home, until
from tests.tiny_models import copy_of_starter, random_qwen3

pytestmark = pytest.mark.anyio

LONG = "Count from 1 to 20."


def ask(*prompts: str, **options: Any) -> Generate:
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return Generate(**({"model": "starter", "conversations": conversations} | options))


def endless(**options: Any) -> Generate:
    """Work that takes far longer than any test: an array that may not end."""
    schema = {"type": "array", "items": {"type": "integer", "minimum": 10, "maximum": 99}, "minItems": 600}
    return ask(*["Count from 1 to 20."] * 8, max_tokens=2000, json_schema=schema, **options)


async def outcome(engine: EngineClient, work: Generate, job_id: str | None = None) -> Generated:
    """The job's outcome. Raises its error."""
    job: Job | None = None
    async for followed in engine.submit(work, job_id):
        job = followed
    assert job is not None
    assert job.view is not None
    if job.view.error:
        raise from_wire(job.view.error)
    assert isinstance(job.view.outcome, Generated), job.view
    return job.view.outcome


async def begun(engine: EngineClient, work: Generate) -> tuple[asyncio.Task[Any], str]:
    """A job that is writing, and the task that follows it."""
    job_id, writing = new_job_id("generate"), asyncio.Event()

    async def follow() -> Job | None:
        job = None
        async for followed in engine.submit(work, job_id):
            job = followed
            if any(part.text for part in job.partial):
                writing.set()
        return job

    task = asyncio.create_task(follow())
    await asyncio.wait_for(writing.wait(), 60)
    return task, job_id


async def ended(engine: EngineClient, job_id: str) -> JobView:
    """A job as it has ended."""
    views = [job.view async for job in engine.attach(job_id)]
    assert views[-1] is not None
    return views[-1]


# --- answering


async def test_an_answer_says_what_it_cost(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        got = await outcome(engine, ask("Reverse the words: red green blue"))
    (completion,) = got.completions
    assert (got.model, got.adapter, completion.text, completion.finish_reason) == (
        "starter",
        None,
        "blue green red",
        "stop",
    )
    assert completion.usage.prompt_tokens > 10
    assert completion.usage.completion_tokens == 4
    assert completion.timing.total_s >= (completion.timing.first_token_s or 0) > 0


async def test_a_document_asked_about_twice_is_read_once(shared_home: Home) -> None:
    document = "Ben has a green kite. Nina lives in Cairo. The map is in the drawer. " * 6
    async with shared_home.engine() as engine:
        first = (await outcome(engine, ask(f"{document}Where does Nina live?"))).completions[0]
        second = (await outcome(engine, ask(f"{document}What colour is Ben's kite?"))).completions[0]
    assert first.usage.cached_tokens < 20
    assert second.usage.cached_tokens > 100


async def test_text_comes_as_it_is_written(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        seen = [job.partial[0].text async for job in engine.submit(ask(LONG)) if job.partial]
    assert len(set(seen)) > 2
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(seen))


async def test_thinking_is_kept_apart_from_the_answer(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        (completion,) = (await outcome(engine, ask("What is 23 + 45?", thinking=True))).completions
    assert completion.reasoning == "3 + 5 = 8, 2 + 4 = 6"
    assert completion.text == "68"


async def test_a_schema_is_kept(shared_home: Home) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Tom", "Anna"]}, "age": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    async with shared_home.engine() as engine:
        for seed in range(3):
            work = ask("Say something.", json_schema=schema, temperature=2.0, seed=seed)
            (completion,) = (await outcome(engine, work)).completions
            assert completion.json_value == json.loads(completion.text)
            assert set(completion.json_value) == {"name", "age"}


async def test_a_schema_is_kept_after_thinking(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        (completion,) = (
            await outcome(engine, ask("What is 23 + 45?", thinking=True, json_schema={"type": "integer"}))
        ).completions
    assert completion.json_value == 68
    assert completion.reasoning


async def test_json_that_was_cut_fails_the_call(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        with pytest.raises(AnswerIncomplete, match="raise max_tokens"):
            await outcome(
                engine,
                ask(
                    "x",
                    max_tokens=3,
                    json_schema={"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
                ),
            )


async def test_of_many_prompts_one_that_fails_costs_the_others_nothing(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        got = await outcome(
            engine, ask("Reverse the words: red green blue", "word " * 3000, "What is the capital of France?")
        )
    texts = [completion.text for completion in got.completions]
    assert (texts[0], texts[2]) == ("blue green red", "Paris")
    assert got.completions[1].error is not None
    assert "tokens" in got.completions[1].error["message"]


async def test_equal_prompts_of_one_call_draw_different_answers(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        work = ask(*["Tell me a story."] * 4, temperature=1.0, seed=7)
        first, second = await outcome(engine, work), await outcome(engine, work)
    texts = [completion.text for completion in first.completions]
    assert len(set(texts)) > 1
    assert texts == [completion.text for completion in second.completions]


async def test_clients_share_one_engine(shared_home: Home) -> None:
    async with shared_home.engine() as one, shared_home.engine() as two:
        await asyncio.gather(outcome(one, ask("Hello")), outcome(two, ask("Hi")))
        assert one.engine is not None
        assert two.engine is not None
        assert one.engine.pid == two.engine.pid
        status = await one.status()
    assert [model.model for model in status.models if model.model == "starter"] == ["starter"]


# --- refusing


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"conversations": [[{"role": "user", "content": "word " * 3000}]]}, ContextOverflow, "reads at most 2048"),
        ({"temperature": 1, "top_k": 5000}, InvalidRequest, "top_k=5000"),
        ({"adapter": "mine"}, AdapterNotFound, "no adapter 'mine'"),
        ({"model": "/nowhere/at/all"}, UnsupportedModel, "is not a folder"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_way_out(
    shared_home: Home, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    async with shared_home.engine() as engine:
        with pytest.raises(error, match=message):
            await outcome(engine, ask("x", **options))


@pytest.mark.parametrize("turn", [{"role": "robot", "content": "x"}, {"content": "x"}, {"role": "user", "content": 5}])
def test_a_turn_that_is_none_makes_no_work(turn: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"role|content"):
        ask("x", conversations=[[turn]])


async def test_a_model_without_thinking_says_so(shared_home: Home, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "plain")
    content = (folder / "tokenizer.json").read_text().replace("<think>", "<mull>").replace("</think>", "</mull>")
    (folder / "tokenizer.json").write_text(content)
    async with shared_home.engine() as engine:
        with pytest.raises(UnsupportedModel, match="no thinking mode"):
            await outcome(engine, ask("x", model=str(folder), thinking=True))


async def test_an_unsafe_folder_is_refused(shared_home: Home, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "unsafe")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_file": "evil.py"}))
    async with shared_home.engine() as engine:
        with pytest.raises(UnsafeModel, match="model_file"):
            await outcome(engine, ask("x", model=str(folder)))


async def test_a_template_that_never_ends_costs_its_own_request_only(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of_starter(tmp_path / "endless")
    loop = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(loop)
    monkeypatch.setenv("MCP_SERVER_MLX_PREPARE_WITHIN", "3")
    async with own_home.engine() as engine:
        await outcome(engine, ask("Hello"))
        with pytest.raises(InvalidRequest, match="took over 3 seconds"):
            await outcome(engine, ask("x", model=str(folder)))
        assert (await outcome(engine, ask("What is the capital of France?"))).completions[0].text == "Paris"


async def test_an_unknown_architecture_is_refused(shared_home: Home, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "perceptron"}))
    async with shared_home.engine() as engine:
        with pytest.raises(UnsupportedModel, match="perceptron"):
            await outcome(engine, ask("x", model=str(folder)))


async def test_a_line_that_is_no_request_is_answered(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        await engine.status()
    with shared_home.entered():
        reader, writer = await asyncio.open_unix_connection(engine_socket())
    await asyncio.wait_for(reader.readline(), 10)
    for text, number in (
        (b"not json\n", None),
        (b'{"op": "dance", "id": 7}\n', 7),
        (b'{"op": "submit", "id": 8}\n', 8),
    ):
        writer.write(text)
        refused = json.loads(await asyncio.wait_for(reader.readline(), 10))
        assert (refused["event"], refused["id"]) == ("refused", number)
    writer.close()


# --- memory


async def test_models_beside_each_other_answer_each_for_itself(own_home: Home, tmp_path: Path) -> None:
    other = random_qwen3(tmp_path / "random")
    async with own_home.engine() as engine:
        first, second = await asyncio.gather(
            outcome(engine, ask("Reverse the words: red green blue")),
            outcome(engine, ask("Hello", model=str(other), max_tokens=8)),
        )
        assert first.completions[0].text == "blue green red"
        assert second.model == str(other)
        assert len((await engine.status()).models) == 2


async def test_what_does_not_fit_is_refused_with_numbers(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = random_qwen3(tmp_path / "large", hidden_size=512, intermediate_size=2048, num_hidden_layers=8)
    monkeypatch.setenv("MCP_SERVER_MLX_MEMORY_LIMIT_GB", "0.08")
    async with own_home.engine() as engine:
        with pytest.raises(DoesNotFit, match=r"needs 0\.\d+ GB, and 0\.\d+ of 0\.08 GB are free.*starter"):
            await outcome(engine, ask("x", model=str(large)))
        assert (await outcome(engine, ask("Hello"))).completions[0].text


async def test_the_model_used_longest_ago_makes_room(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [str(random_qwen3(tmp_path / f"m{i}", hidden_size=512, intermediate_size=2048)) for i in range(3)]
    monkeypatch.setenv("MCP_SERVER_MLX_MEMORY_LIMIT_GB", "0.108")
    async with own_home.engine() as engine:
        for folder in (folders[0], folders[1], folders[0], folders[2]):
            await outcome(engine, ask("x", model=folder, max_tokens=2))
        in_memory = {model.model for model in (await engine.status()).models}
    assert in_memory == {folders[0], folders[2]}


async def test_an_idle_model_leaves_memory(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_UNLOAD_AFTER", "1")
    async with own_home.engine() as engine:
        await outcome(engine, ask("Hello"))
        assert (await engine.status()).models

        async def empty() -> bool:
            return not (await engine.status()).models

        for _ in range(200):
            if await empty():
                break
            await asyncio.sleep(0.1)
        assert await empty()
        assert (await outcome(engine, ask("Hello"))).completions[0].text


async def test_a_model_is_unloaded_on_request(own_home: Home) -> None:
    async with own_home.engine() as engine:
        await outcome(engine, ask("Hello"))
        assert await engine.unload("no-such-model") == []
        assert await engine.unload("starter") == ["starter"]
        assert (await engine.status()).models == []


# --- cancelling and leaving


async def test_a_cancelled_job_keeps_what_was_written(shared_home: Home) -> None:
    async with shared_home.engine() as engine:
        task, job_id = await begun(engine, endless())
        view = await engine.cancel(job_id)
        assert view.state == "cancelled"
        assert any(part.text for part in view.partial)
        await task
        assert all(model.rows == 0 for model in (await engine.status()).models)


async def test_a_job_that_has_ended_is_not_cancelled_again(shared_home: Home) -> None:
    job_id = new_job_id("generate")
    async with shared_home.engine() as engine:
        await outcome(engine, ask("Hello"), job_id)
        assert (await engine.cancel(job_id)).state == "done"
        with pytest.raises(JobNotFound):
            await engine.cancel("gen-000000000000")


async def test_a_job_whose_client_is_gone_is_cancelled(shared_home: Home) -> None:
    async with shared_home.engine() as leaving, shared_home.engine() as staying:
        task, job_id = await begun(leaving, endless())
        await leaving.close()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ended(staying, job_id)).state == "cancelled"


async def test_a_job_that_is_to_keep_running_outlives_its_client(shared_home: Home) -> None:
    async with shared_home.engine() as leaving, shared_home.engine() as staying:
        task, job_id = await begun(leaving, ask(*[LONG] * 30))
        await leaving.keep_running(job_id)
        await leaving.close()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ended(staying, job_id)).state == "done"


async def test_a_job_that_is_only_read_is_still_cancelled_with_its_client(shared_home: Home) -> None:
    async with shared_home.engine() as leaving, shared_home.engine() as staying:
        task, job_id = await begun(leaving, endless())
        assert (await staying.job(job_id)).state == "running"
        assert (await staying.work(job_id)).conversations == endless().conversations
        assert job_id in await staying.job_ids()
        await leaving.close()
        await asyncio.gather(task, return_exceptions=True)
        assert (await ended(staying, job_id)).state == "cancelled"
        with pytest.raises(JobNotFound):
            await staying.job("gen-000000000000")


async def test_too_many_jobs_are_refused(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_WAITING_JOBS", "1")
    async with own_home.engine() as engine:
        task, job_id = await begun(engine, endless())
        with pytest.raises(TooManyJobs, match="wait for some, or cancel some"):
            await outcome(engine, ask("Hello"))
        await engine.cancel(job_id)
        await task
        await outcome(engine, ask("Hello"))


# --- dying


async def test_a_killed_engine_costs_one_call_and_the_next_works(own_home: Home) -> None:
    async with own_home.engine() as engine:
        task, job_id = await begun(engine, endless())
        assert engine.engine is not None
        os.kill(engine.engine.pid, signal.SIGKILL)
        with pytest.raises(EngineStopped, match="the engine stopped while"):
            await task
        assert (await outcome(engine, ask("Reverse the words: red green blue"))).completions[0].text == "blue green red"
        assert (await ended(engine, job_id)).state == "failed"


async def test_results_are_there_after_a_restart(own_home: Home) -> None:
    job_id = new_job_id("generate")
    async with own_home.engine() as engine:
        done = await outcome(engine, ask("Reverse the words: red green blue"), job_id)
        assert engine.engine is not None
        os.kill(engine.engine.pid, signal.SIGKILL)
        await until(lambda: not own_home.engines(), "the engine is gone")
        assert (await ended(engine, job_id)).outcome == done


async def test_an_engine_that_is_told_to_ends_cleanly(own_home: Home) -> None:
    async with own_home.engine() as engine:
        await outcome(engine, ask("Hello"))
        (process,) = own_home.engines()
        assert await engine.stop()
        process.wait(20)
        assert not await engine.stop()
    log = own_home.log("engine")
    assert "Traceback" not in log
    assert "terminate called" not in log


async def test_an_idle_engine_ends_by_itself(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_ENGINE_IDLE", "1")
    async with own_home.engine() as engine:
        await engine.status()
    await until(lambda: not own_home.engines(), "the idle engine ended", 30)


async def test_many_clients_at_once_start_one_engine(own_home: Home) -> None:
    async def status() -> int:
        with own_home.entered():
            engine = EngineClient()
            try:
                return (await engine.status()).pid
            finally:
                await engine.close()

    assert len(set(await asyncio.gather(*(status() for _ in range(8))))) == 1
    assert len(own_home.engines()) == 1


async def test_a_stale_socket_is_replaced(own_home: Home) -> None:
    with own_home.entered():
        from adapters.engine.launch import engine_socket

        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(engine_socket())
    async with own_home.engine() as engine:
        assert (await engine.status()).pid


async def test_a_frozen_engine_does_not_block_the_clients_loop(own_home: Home) -> None:
    async with own_home.engine() as engine:
        await engine.status()
        assert engine.engine is not None
        os.kill(engine.engine.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.status(), 0.5)
        os.kill(engine.engine.pid, signal.SIGCONT)
        assert (await engine.status()).pid == engine.engine.pid


def test_finished_states_are_those_that_do_not_change() -> None:
    assert {"done", "failed", "cancelled"} == FINISHED


async def test_a_job_that_is_cancelled_before_its_first_step_ends(shared_home: Home) -> None:
    with shared_home.entered():
        async with shared_home.engine() as engine:
            await engine.status()
        reader, writer = await asyncio.open_unix_connection(engine_socket())
    await asyncio.wait_for(reader.readline(), 10)
    job = new_job_id("generate")
    # Both at once: the engine has read the second before the first has begun to work.
    writer.write(line(Submit(id=1, job=job, work=ask("Hello"))) + line(Cancel(id=2, job=job)))
    async with asyncio.timeout(20):
        while True:
            told = json.loads(await reader.readline())
            if told["event"] == "snapshot" and told["id"] == 2:
                break
    writer.close()
    assert told["view"]["state"] == "cancelled"
    async with shared_home.engine() as engine:
        assert job not in [view.job for view in (await engine.status()).jobs if view.state not in FINISHED]
