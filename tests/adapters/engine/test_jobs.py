"""Jobs: told to their followers, kept on disk, cancelled when nobody waits for them."""

import asyncio
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.engine.jobs import JobStore, RunningJob
from adapters.errors import JobNotFound
from adapters.protocol.generation import Generate, Partial
from adapters.protocol.jobs import Downloaded, JobView, Progress, new_job_id
from adapters.protocol.messages import Snapshot, Submit, Update

pytestmark = pytest.mark.anyio


class Listener:
    """A follower that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def send(self, message: Any) -> None:
        self.told.append(message)

    @property
    def text(self) -> str:
        return "".join(m.added[0].text for m in self.told if isinstance(m, Update) and 0 in m.added)


def work(count: int = 1) -> Generate:
    return Generate(model="m", conversations=[[{"role": "user", "content": "x"}]] * count)


def job(**options: Any) -> RunningJob:
    return RunningJob(new_job_id("generate"), work(), options.pop("on_finished", lambda _: None), **options)


OUTCOME = Downloaded(model="m", folder="/m", bytes=1)


def test_an_id_is_random_and_names_its_kind() -> None:
    ids = {new_job_id("generate") for _ in range(100)}
    assert len(ids) == 100
    assert all(job_id.startswith("gen-") for job_id in ids)
    Submit(id=1, job=ids.pop(), work=work())


async def test_followers_get_each_piece_of_text_once() -> None:
    listener, running = Listener(), job()
    running.follow(listener, 1)
    for piece in ("one ", "two ", "three"):
        running.on_written(0, Partial(text=piece))
        await asyncio.sleep(0)
    running.finish("done", OUTCOME)
    assert listener.text == "one two three"
    assert isinstance(listener.told[-1], Snapshot)


async def test_a_follower_that_comes_late_gets_what_there_was_once() -> None:
    early, late, running = Listener(), Listener(), job()
    running.follow(early, 1)
    running.on_written(0, Partial(text="one "))
    running.follow(late, 2)
    assert running.view().partial == [Partial(text="one ")]
    running.on_written(0, Partial(text="two"))
    running.finish("done", OUTCOME)
    assert (early.text, late.text) == ("one two", "two")


async def test_a_result_is_stored_before_anyone_hears_of_it() -> None:
    listener = Listener()
    running = job(on_finished=lambda _: listener.told.append("stored"))
    running.follow(listener, 1)
    running.finish("done", OUTCOME)
    assert listener.told.index("stored") < next(i for i, told in enumerate(listener.told) if isinstance(told, Snapshot))


async def test_a_job_ends_once() -> None:
    running = job()
    running.finish("done", OUTCOME)
    running.finish("failed", error={"type": "ServerError", "message": "late"})
    running.on_written(0, Partial(text="late"))
    running.on_progress(Progress(phase="writing"))
    assert (running.state, running.error, running.view().progress.phase) == ("done", None, "waiting")


def test_a_clock_that_jumps_costs_no_running_job_and_breaks_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = JobStore(tmp_path, 24), time.time()
    for name, at in (("gen-000000000001", now), ("gen-000000000002", now + 9e8), ("gen-000000000003", now - 9e8)):
        view = JobView(
            job=name,
            kind="generate",
            state="done",
            model="m",
            created=at,
            finished=now,
            progress=Progress(phase="writing"),
        )
        store.save(view)
    monkeypatch.setattr(time, "time", lambda: now + 9e8)  # nearly thirty years on
    store.prune(running={"gen-000000000001"})
    assert [view.job for view in store.recent(10)] == ["gen-000000000001"]
    monkeypatch.setattr(time, "time", lambda: now - 9e8)
    store.prune()
    assert [view.job for view in store.recent(10)] == ["gen-000000000001"]


async def waiting_job() -> RunningJob:
    running = job()
    running.task = asyncio.create_task(asyncio.sleep(60))
    return running


async def test_a_job_whose_last_follower_leaves_is_cancelled() -> None:
    first, second, running = Listener(), Listener(), await waiting_job()
    running.follow(first, 1)
    running.follow(second, 1)
    running.leave(first)
    assert running.task is not None
    assert not running.task.cancelling()
    running.leave(second)
    assert running.task.cancelling()


async def test_a_job_that_is_to_keep_running_goes_on_alone() -> None:
    listener, running = Listener(), await waiting_job()
    running.follow(listener, 1)
    running.keep_running = True
    running.leave(listener)
    assert running.task is not None
    assert not running.task.cancelling()
    running.task.cancel()


# --- on disk


def view(job_id: str = "gen-000000000001", **changes: Any) -> JobView:
    base = JobView(
        job=job_id,
        kind="generate",
        state="done",
        model="m",
        created=time.time(),
        progress=Progress(phase="writing"),
        outcome=OUTCOME,
    )
    return base.model_copy(update=changes)


def test_a_stored_job_is_read_back_whole(tmp_path: Path) -> None:
    store = JobStore(tmp_path, 24)
    store.save(view())
    assert JobStore(tmp_path, 24).load("gen-000000000001").outcome == OUTCOME


def test_a_stored_job_is_this_users_alone(tmp_path: Path) -> None:
    JobStore(tmp_path, 24).save(view())
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("job_id", ["gen-000000000009", "../../etc/passwd", "", "x" * 300, "gen-0000000\0"])
def test_an_id_that_never_was_is_not_found(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(JobNotFound, match="there is no job"):
        JobStore(tmp_path, 24).load(job_id)


def test_a_job_that_an_earlier_engine_left_is_settled_as_failed(tmp_path: Path) -> None:
    JobStore(tmp_path, 24).save(
        view(state="running", outcome=None, progress=Progress(phase="loading", done=1e9, total=2e9, unit="bytes"))
    )
    settled = JobStore(tmp_path, 24).load("gen-000000000001")
    assert settled.state == "failed"
    assert settled.error is not None
    assert "the engine stopped while loading. Nothing else was lost" in settled.error["message"]


def test_old_results_are_removed_and_new_ones_kept(tmp_path: Path) -> None:
    store = JobStore(tmp_path, keep_hours=1)
    store.save(view("gen-000000000001"))
    store.save(view("gen-000000000002"))
    long_ago = time.time() - 7200
    os.utime(tmp_path / "gen-000000000001.json", (long_ago, long_ago))
    store.prune()
    assert [path.stem for path in tmp_path.iterdir()] == ["gen-000000000002"]


def test_drafts_that_a_killed_engine_left_are_removed_when_they_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(tmp_path, keep_hours=1)
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        killed.setattr(Path, "replace", lambda *_: None)
        store.save(view("gen-000000000001"))
    (draft,) = tmp_path.iterdir()
    store.prune()
    assert draft.exists()
    long_ago = time.time() - 7200
    os.utime(draft, (long_ago, long_ago))
    store.prune()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_job_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gen-000000000003.json").write_text("{")
    store = JobStore(tmp_path, 24)
    store.save(view())
    assert [found.job for found in store.recent(10)] == ["gen-000000000001"]


def test_a_disk_that_cannot_be_written_costs_the_copy_not_the_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    store = JobStore(folder, 24)
    folder.rmdir()
    store.save(view())
    assert "could not be stored" in caplog.text


def test_recent_jobs_come_newest_first(tmp_path: Path) -> None:
    store = JobStore(tmp_path, 24)
    for number in range(5):
        store.save(view(f"gen-00000000000{number}", created=1000.0 + number))
    assert [found.job[-1] for found in store.recent(3)] in (["4", "3", "2"],)


def test_a_stored_job_is_plain_json(tmp_path: Path) -> None:
    JobStore(tmp_path, 24).save(view())
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text())["outcome"]["kind"] == "download"
