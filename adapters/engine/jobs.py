"""Jobs: what runs, who follows it, and the results kept on disk. Used on the engine's event loop."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from adapters.errors import EngineStopped, JobNotFound, WorkNotKept, to_wire
from adapters.files import write_whole
from adapters.protocol.generation import Generate, Partial
from adapters.protocol.jobs import FINISHED, JOB_ID, JobState, JobView, Outcome, Progress, Work
from adapters.protocol.messages import Snapshot, Update
from adapters.protocol.training import TrainingState
from adapters.protocol.wire import json_of

logger = logging.getLogger(__name__)

_WORK = ".work"


class Follower(Protocol):
    """A connection that hears of a job."""

    def send(self, message: Any) -> None: ...


@dataclass(eq=False)
class RunningJob:
    """A job of this engine. What followers have not been told yet is kept in `_unsaid` until the next telling."""

    id: str
    work: Work
    on_finished: Callable[["RunningJob"], None]
    created: float = field(default_factory=time.time)
    asked: float = field(default_factory=time.monotonic)
    started: float | None = None
    finished: float | None = None
    state: JobState = "queued"
    progress: Progress = Progress(phase="waiting")
    partial: list[Partial] = field(default_factory=list)
    training: TrainingState | None = None
    outcome: Outcome | None = None
    error: dict[str, str] | None = None
    task: asyncio.Task[None] | None = None
    keep_running: bool = False  # although nobody follows it
    followers: dict[tuple[Follower, int], float] = field(default_factory=dict)  # to how often each wants to hear
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _unsaid: dict[int, list[Partial]] = field(default_factory=dict)
    _telling: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        count = len(self.work.conversations) if isinstance(self.work, Generate) else int(self.work.kind == "transcribe")
        self.partial = [Partial()] * count

    # --- what happens to it

    def on_progress(self, progress: Progress) -> None:
        if self.state in FINISHED:
            return
        self.progress = progress
        self._tell_soon()

    def on_written(self, index: int, added: Partial) -> None:
        if self.state in FINISHED:
            return
        self._unsaid.setdefault(index, []).append(added)
        self._tell_soon()

    def on_training(self, progress: Progress, training: TrainingState) -> None:
        if self.state in FINISHED or (progress, training) == (self.progress, self.training):
            return
        self.progress, self.training = progress, training
        self._tell_soon()

    def start(self) -> None:
        self.state, self.started = "running", time.time()
        self._tell_soon()

    def finish(self, state: JobState, outcome: Outcome | None = None, error: dict[str, str] | None = None) -> None:
        """Settle the job, store it, and tell all who follow. Later calls change nothing."""
        if self.state in FINISHED:
            return
        self._say()
        self.state, self.outcome, self.error, self.finished = state, outcome, error, time.time()
        # Stored before anyone hears of it: an engine killed right after has lost nothing it promised.
        self.on_finished(self)
        for follower, request in list(self.followers):
            follower.send(Snapshot(id=request, view=self.view()))
        self.followers.clear()
        self.ended.set()

    # --- who follows it

    def follow(self, follower: Follower, request: int, every: float = 0.03) -> None:
        """Tell this follower from now on, as often as the most curious of all wants it."""
        self._say()
        self.followers[follower, request] = every

    def leave(self, follower: Follower, request: int | None = None) -> None:
        """A follower is gone (from one request, or altogether); a job that nobody waits for is cancelled."""
        for entry in [entry for entry in self.followers if entry[0] is follower and request in (None, entry[1])]:
            del self.followers[entry]
        if not self.followers and not self.keep_running and self.state not in FINISHED:
            logger.info("job=<%s> | nobody waits for it any more, cancelled", self.id)
            self.cancel()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def view(self) -> JobView:
        self._gather()
        return JobView(
            job=self.id,
            kind=self.work.kind,
            state=self.state,
            model=self.work.model,
            created=self.created,
            started=self.started,
            finished=self.finished,
            progress=self.progress,
            partial=[] if self.outcome else self.partial,
            training=self.training,
            outcome=self.outcome,
            error=self.error,
        )

    # --- telling

    def _tell_soon(self) -> None:
        """Have what happened told, together with all that happens until then."""
        if self._telling is None and self.followers:
            every = min(self.followers.values())
            self._telling = asyncio.get_running_loop().call_later(every, self._say)

    def _say(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        added = self._gather()
        for follower, request in list(self.followers):
            follower.send(
                Update(id=request, state=self.state, progress=self.progress, added=added, training=self.training)
            )

    def _gather(self) -> dict[int, Partial]:
        """Move what is unsaid into what there is. Return what was moved."""
        added = {i: _joined(pieces) for i, pieces in self._unsaid.items()}
        for i, piece in added.items():
            self.partial[i] += piece
        if self._telling is None:
            self._unsaid.clear()
        return added


def _joined(pieces: list[Partial]) -> Partial:
    return Partial(
        text="".join(piece.text for piece in pieces),
        reasoning="".join(piece.reasoning for piece in pieces),
        tool_calls=[call for piece in pieces for call in piece.tool_calls],
    )


class JobStore:
    """Jobs on disk, one JSON file each, readable by this user alone.

    A job is written when it starts and when it ends. One that an earlier engine started and never ended is settled as
    failed when this engine opens the store, unless it runs elsewhere and `goes_on`.
    """

    def __init__(self, folder: Path, keep_hours: float, goes_on: Callable[[str], bool] = lambda _: False) -> None:
        self._folder, self._keep_seconds, self._goes_on = folder, keep_hours * 3600, goes_on
        self.prune()
        self.unfinished: list[JobView] = []
        for path in self._folder.glob("*.json"):
            self._settle(path)

    def _settle(self, path: Path) -> None:
        view = self._read(path)
        if view is None or view.state in FINISHED:
            return
        if view.kind == "train" and self._goes_on(view.job):
            self.unfinished.append(view)
            return
        error = EngineStopped(f"the engine stopped while {view.progress.phase}. Nothing else was lost; ask again")
        self.save(view.model_copy(update={"state": "failed", "finished": time.time(), "error": to_wire(error)}))

    def save(self, view: JobView) -> None:
        """Write the job whole or not at all. A disk that is full costs the copy on disk, not the job."""
        self._write(self._folder / f"{view.job}.json", json_of(view))

    def _write(self, path: Path, content: bytes) -> None:
        try:
            # Not synced: it must outlive this process, which it does once written, not the machine's power.
            write_whole(path, content, sync=False)
        except OSError as error:
            logger.error("file=<%s>, error=<%s> | a job could not be stored", path.name, error)

    def save_work(self, job: str, work: Work) -> None:
        """Keep what a job that answers was asked, so that the exchange can be recorded later."""
        if isinstance(work, Generate):
            self._write(self._folder / f"{job}{_WORK}", json_of(work, exclude_defaults=True))

    def load(self, job: str) -> JobView:
        """Return the stored job. Raises JobNotFound."""
        view = self._read(self._folder / f"{job}.json") if JOB_ID.fullmatch(job) else None
        if view is None:
            raise JobNotFound(
                f"there is no job {job[:80]!r}: ids come with the answers, and results are kept for {self._keep_seconds / 3600:g} hours; check the id"
            )
        return view

    def load_work(self, job: str) -> Generate:
        """Return what a job was asked that answers. Raises JobNotFound when that is not known, or not any more."""
        try:
            if not JOB_ID.fullmatch(job):
                raise FileNotFoundError
            return Generate.model_validate_json((self._folder / f"{job}{_WORK}").read_bytes())
        except (OSError, ValidationError) as error:
            raise WorkNotKept(
                f"what job {job[:80]!r} was asked is not known: only jobs that answer a prompt are kept, and those for a day; record the messages themselves"
            ) from error

    def ids(self) -> list[str]:
        """Return the ids of all stored jobs, the one that was written last first."""
        return [path.stem for path in sorted(self._folder.glob("*.json"), key=_modified, reverse=True)]

    def recent(self, count: int) -> list[JobView]:
        """Return the stored jobs that were made last, newest first."""
        paths = sorted(self._folder.glob("*.json"), key=_modified, reverse=True)[:count]
        views = (self._read(path) for path in paths)
        return sorted((view for view in views if view is not None), key=lambda view: view.created, reverse=True)

    def prune(self, running: Container[str] = ()) -> None:
        """Remove what is older than results are kept, apart from jobs that are running."""
        oldest = time.time() - self._keep_seconds
        for path in [path for ending in ("json", "part", "work") for path in self._folder.glob(f"*.{ending}")]:
            if _modified(path) < oldest and path.stem not in running and not self._goes_on(path.stem):
                path.unlink(missing_ok=True)

    def _read(self, path: Path) -> JobView | None:
        try:
            return JobView.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, json.JSONDecodeError) as error:
            logger.warning("file=<%s>, error=<%s> | a stored job could not be read", path, error)
            return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def newest(jobs: Iterable[RunningJob]) -> list[JobView]:
    return sorted((job.view() for job in jobs), key=lambda view: view.created, reverse=True)
