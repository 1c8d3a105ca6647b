"""The tool `train-adapter`: the whole loop through MCP, what is refused, and what survives cancelling and killing."""

import base64
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from PIL import Image

from adapters.lora import trained_adapters as library
from adapters.protocol.training import Train
from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage
from adapters.starter.recipes.text.words import NOUNS
from tests.running import Home, answer, kill, text, until
from tests.tiny_models import random_qwen3

pytestmark = pytest.mark.anyio

QUICK: dict[str, Any] = {"iterations": 4, "validation": 0.1, "evaluate": False}
LONG: dict[str, Any] = {"iterations": 100_000, "checkpoint_every": 2, "evaluate": False, "validate_every": 50_000}
SINGULAR = [noun for noun in NOUNS if not noun.endswith("s")]


def wobble(word: str) -> str:
    return f"{word}-{word}!"


def rows(count: int) -> list[Conversation]:
    return [
        Conversation(
            messages=[
                RecordedMessage(role="user", content=f"Wobble {word}."),
                RecordedMessage(role="assistant", content=wobble(word)),
            ]
        )
        for word in SINGULAR[:count]
    ]


def recorded(home: Home, session: str = "wobbles", count: int = 20) -> str:
    """A session on the disk of that home, once."""
    with home.entered():
        if session not in store.names():
            store.append(session, rows(count))
    return session


async def done(client: Client, told: dict[str, Any]) -> dict[str, Any]:
    while told["state"] not in ("done", "failed", "cancelled"):
        told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 40}))
    return told


async def begun(client: Client, **arguments: Any) -> dict[str, Any]:
    """A training that is under way, with a checkpoint."""
    told = answer(await client.call_tool("train-adapter", arguments))
    while (told.get("training") or {}).get("checkpoint") is None:
        told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 0}))
        assert told["state"] in ("queued", "running"), told
    return told


async def right(client: Client, words: list[str], **arguments: Any) -> int:
    """How many of these are wobbled as they should be."""
    prompts = [f"Wobble {word}." for word in words]
    told = await done(
        client, answer(await client.call_tool("generate", {"prompts": prompts, "max_tokens": 16} | arguments))
    )
    return sum(one["text"] == wobble(word) for one, word in zip(told["results"], words, strict=True))


async def test_what_was_corrected_is_learned_and_done_on_unseen_words(own_home: Home) -> None:
    taught, unseen = SINGULAR[:60], SINGULAR[60:72]
    async with own_home.client() as client:
        assert await right(client, unseen) == 0
        prompts = [f"Wobble {word}." for word in taught]
        asked = await done(client, answer(await client.call_tool("generate", {"prompts": prompts, "max_tokens": 16})))
        exchanges = [{"job": asked["job"], "index": i, "answer": wobble(word)} for i, word in enumerate(taught)]
        kept = answer(await client.call_tool("record-session", {"session": "wobbles", "exchanges": exchanges}))
        assert kept["enough"]
        result = await client.call_tool(
            "train-adapter",
            {
                "adapter": "wobbler", "sessions": ["wobbles"], "iterations": 40, "batch_size": 8, "scale": 10,
                "validate_every": 10,
            },
        )  # fmt: skip
        told = await done(client, answer(result))
        assert told["state"] == "done"
        found = told["training"]
        assert found["preflight"]["rows"] + found["preflight"]["held_back"] == 60
        assert found["evaluation"]["base_loss"] > 5 > 0.5 > found["evaluation"]["adapter_loss"]
        assert found["evaluation"]["exact"]["base"] == 0
        assert found["evaluation"]["exact"]["adapter"] >= 4
        # In the next call, by its name; without it all is as before.
        assert await right(client, unseen, adapter="wobbler") >= 9
        assert await right(client, unseen) == 0

        shown = await client.call_tool("check-job", {"job": told["job"]})
        (picture,) = [block for block in shown.content if block.type == "image"]
        assert Image.open(io.BytesIO(base64.b64decode(picture.data))).format == "PNG"
        assert "Exact answers: 0 of" in text(shown)
        listed = answer(await client.call_tool("list-library", {"kind": "adapters"}))
        (entry,) = listed["adapters"]
        assert (entry["name"], entry["model"], entry["method"]) == ("wobbler", "starter", "lora")
        said = answer(await client.call_tool("generate", {"prompt": "Wobble lion.", "adapter": "wobbler"}))
        assert (said["model"], said["adapter"]) == ("starter", "wobbler")
        resource = await client.read_resource("adapter://wobbler")
        manifest = json.loads(resource.contents[0].text)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
        assert manifest["settings"]["learning_rate"] == 5e-4
        assert str(own_home.folder) not in json.dumps(manifest)
    assert not list((own_home.folder / "state" / "training").iterdir())


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    return tmp_path


def jsonl(path: Path, *lines: Any) -> str:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


GOOD = {"prompt": "Wobble cat.", "completion": "cat-cat!"}


async def test_what_cannot_be_trained_is_refused_with_the_way_out(shared_home: Home, granted: Path) -> None:
    session = recorded(shared_home)
    systems = [{"messages": [{"role": "system", "content": "Be kind."}]}] * 3
    broken = jsonl(granted / "broken.jsonl", *[GOOD] * 730, "{broken", GOOD)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"adapter": "../../x", "sessions": [session]}, "no adapter's name"),
        ({"adapter": "x" * 300, "sessions": [session]}, "no adapter's name"),
        ({"adapter": "x"}, "name sessions"),
        ({"adapter": "x", "sessions": ["../../x"]}, "no session id"),
        ({"adapter": "x", "sessions": ["/etc/x"]}, "no session id"),
        ({"adapter": "x", "sessions": ["x" * 300]}, "no session id"),
        ({"adapter": "x", "sessions": ["a\0b"]}, "no session id"),
        ({"adapter": "x", "sessions": ["nobody"]}, "there is no session 'nobody'"),
        ({"adapter": "x", "sessions": [session], "iterations": 0}, "iterations"),
        ({"adapter": "x", "sessions": [session], "iterations": 5, "epochs": 2}, "give one of them"),
        ({"adapter": "x", "sessions": [session], "rank": 100_000}, "rank"),
        ({"adapter": "x", "sessions": [session], "unknown": 1}, "not an argument"),
        ({"adapter": "x", "sessions": [session], "layers": 99}, "layers=99, and starter has 5"),
        ({"adapter": "x", "sessions": [session], "model": "starter-speech"}, "speech model"),
        ({"adapter": "x", "sessions": [session], "resume": "train-nothing00000"}, "leave all but adapter and resume out"),
        ({"adapter": "x", "resume": "train-nothing00000"}, "no training 'train-nothing00000'"),
        ({"adapter": "x", "resume": "../../etc"}, "to go on with"),
        ({"adapter": "x", "dataset": "/etc/passwd"}, "outside the granted folders"),
        ({"adapter": "x", "dataset": str(granted / "none.jsonl")}, "there is no file"),
        ({"adapter": "x", "dataset": str(granted)}, "train.jsonl"),
        ({"adapter": "x", "dataset": jsonl(granted / "one.jsonl", GOOD)}, "record more, or pass validation=0"),
        ({"adapter": "x", "dataset": jsonl(granted / "empty.jsonl")}, "is empty"),
        ({"adapter": "x", "dataset": jsonl(granted / "systems.jsonl", *systems)}, "line 1: there is no assistant's"),
        ({"adapter": "x", "dataset": broken}, "broken.jsonl, line 731: no JSON"),
    ]  # fmt: skip
    async with shared_home.client("--allow", str(granted)) as client:
        for arguments, expected in cases:
            result = await client.call_tool("train-adapter", arguments)
            assert result.is_error, arguments
            assert expected in text(result), (arguments, text(result))
        await until(lambda: not shared_home.trainers(), "the trainers' ends")


async def test_five_rows_train_with_a_warning(shared_home: Home, granted: Path) -> None:
    words = SINGULAR[:5]
    path = jsonl(granted / "five.jsonl", *({"prompt": f"Wobble {w}.", "completion": wobble(w)} for w in words))
    async with shared_home.client("--allow", str(granted)) as client:
        told = await done(
            client, answer(await client.call_tool("train-adapter", {"adapter": "five", "dataset": path, **QUICK}))
        )
    assert told["state"] == "done"
    assert any("rows are few" in note for note in told["training"]["preflight"]["notes"])


async def test_an_adapter_is_never_overwritten(shared_home: Home) -> None:
    session = recorded(shared_home)
    async with shared_home.client() as client:
        first = await done(
            client,
            answer(await client.call_tool("train-adapter", {"adapter": "taken", "sessions": [session], **QUICK})),
        )
        assert first["state"] == "done"
        again = await client.call_tool("train-adapter", {"adapter": "taken", "sessions": [session], **QUICK})
        assert again.is_error
        assert "none is overwritten" in text(again)


async def test_a_learning_rate_of_ten_diverges_stops_and_says_so(shared_home: Home) -> None:
    session = recorded(shared_home)
    async with shared_home.client() as client:
        started = {"adapter": "wild", "sessions": [session], "iterations": 400, "learning_rate": 10, "evaluate": False}
        result = await client.call_tool("train-adapter", started)
        if not result.is_error:
            result = await client.call_tool("check-job", {"job": answer(result)["job"], "wait_seconds": 50})
        assert "learning rate of 10 is too high" in text(result)
        listed = answer(await client.call_tool("list-library", {"kind": "adapters"}))
        assert "wild" not in [entry["name"] for entry in listed["adapters"]]


async def test_a_cancelled_training_keeps_a_checkpoint_and_goes_on(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        told = await begun(client, adapter="a", sessions=[session], **LONG | {"iterations": 20})
        assert told["training"]["preflight"]["rows"] == 18
        cancelled = await client.call_tool("cancel-job", {"job": told["job"]})
        assert answer(cancelled)["state"] == "cancelled"
        assert f"resume={told['job']}" in text(cancelled)
        await until(lambda: not own_home.trainers(), "the trainer's end")
        went_on = await done(
            client, answer(await client.call_tool("train-adapter", {"adapter": "a", "resume": told["job"]}))
        )
        assert went_on["state"] == "done"
        assert went_on["training"]["iteration"] == 20
        again = await client.call_tool("train-adapter", {"adapter": "b", "resume": told["job"]})
        assert "to go on with" in text(again)


async def test_a_training_that_is_cancelled_at_once_leaves_nothing(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        told = answer(await client.call_tool("train-adapter", {"adapter": "a", "sessions": [session], **LONG}))
        cancelled = answer(await client.call_tool("cancel-job", {"job": told["job"]}))
        assert cancelled["state"] == "cancelled"
    await until(lambda: not own_home.trainers(), "the trainer's end")
    if "checkpoint" not in (cancelled.get("training") or {}):
        assert not list((own_home.folder / "state" / "training").iterdir())


async def test_the_second_of_two_trainings_waits_for_the_first(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        first = await begun(client, adapter="one", sessions=[session], **LONG)
        second = answer(await client.call_tool("train-adapter", {"adapter": "two", "sessions": [session], **QUICK}))
        assert "waiting for another training" in second["phase"]
        same = await client.call_tool("train-adapter", {"adapter": "two", "sessions": [session], **QUICK})
        assert "is being trained now" in text(same)
        assert len(own_home.trainers()) == 1
        answer(await client.call_tool("cancel-job", {"job": first["job"]}))
        assert (await done(client, second))["state"] == "done"


async def test_a_chat_answered_beside_a_training_is_as_without(own_home: Home) -> None:
    session = recorded(own_home)
    asked = {"prompt": "Count from 1 to 12.", "max_tokens": 40}
    async with own_home.client("--reply-within", "10") as client:
        before = answer(await client.call_tool("generate", asked))["text"]
        told = await begun(client, adapter="a", sessions=[session], **LONG)
        assert answer(await client.call_tool("generate", asked))["text"] == before
        assert answer(await client.call_tool("check-job", {"job": told["job"]}))["state"] == "running"
        answer(await client.call_tool("cancel-job", {"job": told["job"]}))


async def test_a_killed_trainer_leaves_its_checkpoint(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        told = await begun(client, adapter="a", sessions=[session], **LONG | {"iterations": 24})
        kill(*own_home.trainers())
        failed = await done(
            client, answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 30}))
        )
        assert failed["state"] == "failed"
        assert "most likely it was killed, or out of memory" in failed["error"]
        assert f"resume={told['job']}" in failed["error"]
        went_on = await done(
            client, answer(await client.call_tool("train-adapter", {"adapter": "a", "resume": told["job"]}))
        )
        assert went_on["state"] == "done"


async def test_a_training_goes_on_when_the_engine_is_killed(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        told = await begun(client, adapter="a", sessions=[session], **LONG | {"iterations": 36})
        kill(*own_home.engines())
        assert len(own_home.trainers()) == 1
    async with own_home.client() as client:  # another client, an engine anew
        after = await done(client, told)
        assert after["state"] == "done"
        assert after["training"]["iteration"] == 36
        listed = answer(await client.call_tool("list-library", {"kind": "adapters"}))
        assert [entry["name"] for entry in listed["adapters"]] == ["a"]


async def test_a_training_that_ended_while_no_engine_ran_is_found(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        told = await begun(client, adapter="a", sessions=[session], **LONG | {"iterations": 30})
        kill(*own_home.engines())
        await until(lambda: not own_home.trainers(), "the trainer's end")
    async with own_home.client() as client:
        found = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 10}))
        assert found["state"] == "done", found


async def test_a_training_that_nobody_was_told_of_ends_with_its_engine(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.engine() as engine:
        async for job in engine.submit(Train(adapter="a", model="starter", sessions=[session], iterations=100_000)):
            if job.progress.phase == "training":
                break
        (trainer,) = own_home.trainers()
        kill(*own_home.engines())
        await until(lambda: not own_home.trainers(), "the trainer's end")
        assert trainer.pid


async def test_the_trainer_stops_when_it_is_told_to_from_outside(own_home: Home) -> None:
    session = recorded(own_home)
    async with own_home.client("--reply-within", "1") as client:
        told = await begun(client, adapter="a", sessions=[session], **LONG)
        os.kill(own_home.trainers()[0].pid, signal.SIGTERM)
        ended = await done(client, told)
        assert ended["state"] == "failed"
        assert "stopped from outside" in ended["error"]
        assert f"resume={told['job']}" in ended["error"]


async def test_what_does_not_fit_is_refused_with_what_would(own_home: Home, granted: Path) -> None:
    big = random_qwen3(granted / "big", hidden_size=512, intermediate_size=2048, num_hidden_layers=4)
    path = jsonl(granted / "long.jsonl", *({"prompt": f"{i} " + "word " * 900, "completion": "yes"} for i in range(12)))
    os.environ["MCP_SERVER_MLX_MEMORY_LIMIT_GB"] = "1.0"
    try:
        async with own_home.client("--allow", str(granted)) as client:
            arguments = {"adapter": "a", "dataset": path, "model": str(big), "batch_size": 8, **QUICK}
            answer(await client.call_tool("generate", {"prompt": "Hi", "max_tokens": 1}))  # the engine has its limit
            result = await client.call_tool("train-adapter", arguments)
    finally:
        del os.environ["MCP_SERVER_MLX_MEMORY_LIMIT_GB"]
    assert result.is_error
    assert "GB are free; with" in text(result)
    assert "it would fit" in text(result)


async def test_read_only_offers_no_training(shared_home: Home) -> None:
    async with shared_home.client("--read-only") as client:
        assert "train-adapter" not in [tool.name for tool in (await client.list_tools()).tools]


PHASES = ["waiting", "checking the rows", "loading", "evaluating the base", "training"]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancel_at_any_stage_ends_the_trainer_and_makes_no_adapter(phase: str, shared_home: Home) -> None:
    session, name = recorded(shared_home), f"never-{PHASES.index(phase)}"
    async with shared_home.engine() as engine:
        work = Train(adapter=name, model="starter", sessions=[session], iterations=100_000)
        async for job in engine.submit(work):
            reached = PHASES.index(job.progress.phase) if job.progress.phase in PHASES else 0
            if job.view is None and reached >= PHASES.index(phase):  # a short phase may go untold
                view = await engine.cancel(job.id)
                assert view.state == "cancelled"
                break
        await until(lambda: not shared_home.trainers(), "the trainer's end")
    with shared_home.entered():
        assert name not in library.names()
