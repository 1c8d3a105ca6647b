"""Trainings as the engine's jobs: one at a time, each in a process and a folder of its own. On the event loop.

A training outlives the engine once it is to keep running: the next engine finds its folder and goes on following it.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from adapters.engine.jobs import RunningJob
from adapters.errors import (
    InvalidRequest,
    NothingToLearn,
    StillTraining,
    TrainingInterrupted,
    TrainingOutOfMemory,
    from_wire,
)
from adapters.lora.trained_adapters import check_free
from adapters.protocol.jobs import JOB_ID, Phase, Progress
from adapters.protocol.training import Train, Trained
from adapters.training.run_folder import (
    CHECKPOINT,
    KEEP_RUNNING,
    LOG,
    OutcomeFile,
    RunFile,
    prune,
    read_outcome,
    read_run,
    read_status,
    run_folder,
    trainer_of,
    write,
)

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
# A trainer that was told to stop gets so long to write its checkpoint, in seconds.
_STOP_SECONDS = 30.0
# What takes memory that a machine may not have.
_MEMORY_PHASES: frozenset[Phase] = frozenset({"loading", "training"})


class Trainings:
    """The trainings of this engine. Two never run at once: each would make the other not fit."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._names: set[str] = set()

    async def train(
        self,
        job: RunningJob,
        work: Train,
        model: tuple[str, Path],
        free: Callable[[], Awaitable[int]],
        keep_days: float,
    ) -> Trained:
        """Train to the end. Cancelling the task ends the trainer, which keeps a checkpoint.

        `free` is asked for the memory that there is, in bytes, once it is this training's turn. Raises what is wrong with
        the rows or the settings, TrainingFailed with what is left.
        """
        self._reserve(work)
        try:
            folder = await asyncio.to_thread(_begin, job.id, work, model, keep_days)
            if job.keep_running:
                keep_running(job.id)  # it was before there was a folder
            if self._turn.locked():
                job.on_progress(Progress(phase="waiting for another training to end"))
            try:
                async with self._turn:
                    await _start(folder, await free())
                    return await _follow(job, folder)
            except asyncio.CancelledError:
                _forget_unless_resumable(folder)
                raise
        except OSError as error:
            raise interrupted(
                f"the training's folder cannot be written ({error.strerror}), so free some space first", job.id
            ) from error
        finally:
            self._names.discard(work.adapter)

    async def go_on(self, job: RunningJob) -> Trained:
        """Follow a training that an earlier engine started."""
        assert isinstance(job.work, Train)
        self._names.add(job.work.adapter)
        try:
            async with self._turn:
                return await _follow(job, run_folder(job.id))
        finally:
            self._names.discard(job.work.adapter)

    def _reserve(self, work: Train) -> None:
        check_free(work.adapter)
        if work.adapter in self._names:
            raise InvalidRequest(f"an adapter {work.adapter} is being trained now; choose another name, or wait for it")
        self._names.add(work.adapter)


def keep_running(job: str) -> None:
    """Have the trainer go on when this engine is gone: somebody knows the job's id."""
    with contextlib.suppress(FileNotFoundError):
        (run_folder(job) / KEEP_RUNNING).touch(mode=0o600)


def may_go_on(job: str) -> bool:
    """Return whether a training of an earlier engine is still under way, or has ended since."""
    folder = run_folder(job)
    return trainer_of(folder) is not None or read_outcome(folder) is not None


def interrupted(problem: str, job: str, kind: type[TrainingInterrupted] = TrainingInterrupted) -> TrainingInterrupted:
    """Return the error of a training that ended before it was done: the problem, and what is left to go on from."""
    folder = run_folder(job)
    if not (folder / CHECKPOINT).exists():
        return kind(f"{problem}; there was no checkpoint yet, so train again")
    status = read_status(folder)
    iteration = status.training.checkpoint if status else None
    return kind(f"{problem}; the checkpoint of iteration {iteration} is kept, to resume {job} from", subject=job)


# --- the folder


def _begin(job: str, work: Train, model: tuple[str, Path], keep_days: float) -> Path:
    """Return the folder of a new run, with its rows; or that of the run that is gone on with, under the new job's name."""
    prune(keep_days)
    folder = run_folder(job)
    if work.resume:
        earlier = _resumable(work.resume, work.adapter)
        earlier_folder = run_folder(work.resume)
        for name in ("outcome.json", "status.json", KEEP_RUNNING):
            (earlier_folder / name).unlink(missing_ok=True)
        earlier_folder.rename(folder)
        run = earlier.model_copy(update={"parent": os.getpid()})
    else:
        if not work.sessions and work.dataset is None:
            raise NothingToLearn("there is nothing to learn from; name sessions or a dataset")
        # Here: an engine that trains nothing need not spend the time of their imports.
        from adapters.datasets.gathering import gather
        from adapters.training.frozen_rows import freeze

        rows = gather(work.sessions or [], work.dataset, work.validation, work.seed, work.readable)
        folder.mkdir(mode=0o700)
        freeze(folder, rows)
        run = RunFile(work=work, model=model[0], model_folder=model[1], memory_free=0, parent=os.getpid())
    write(folder / "run.json", run)
    return folder


def resumed_work(job: str, adapter: str) -> Train:
    """Return what a training was asked that another one goes on with.

    Raises InvalidRequest when none can go on with it.
    """
    return _resumable(job, adapter).work


def _resumable(job: str, adapter: str) -> RunFile:
    known = JOB_ID.fullmatch(job) and run_folder(job).is_dir()
    earlier = read_run(run_folder(job)) if known else None
    if earlier is None:
        raise InvalidRequest(
            f"there is no training {job[:60]!r} to go on with: it is done, was resumed under another id, or is too old; train anew"
        )
    if trainer_of(run_folder(job)) is not None:
        raise StillTraining(f"{job} is still training; wait for it", subject=job)
    if not (run_folder(job) / CHECKPOINT).exists():
        raise InvalidRequest(f"{job} has no checkpoint to go on from; train anew")
    if earlier.work.adapter != adapter:
        raise InvalidRequest(f"{job} trains the adapter {earlier.work.adapter}, not {adapter}; name that one")
    return earlier


def _forget_unless_resumable(folder: Path) -> None:
    if not (folder / CHECKPOINT).exists():
        shutil.rmtree(folder, ignore_errors=True)


# --- the process


async def _start(folder: Path, memory_free: int) -> None:
    run = read_run(folder)
    assert run is not None
    write(folder / "run.json", run.model_copy(update={"memory_free": memory_free}))
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters.mlx.training", str(folder),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(log)
    while trainer_of(folder) is None and process.returncode is None and read_outcome(folder) is None:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS / 4)  # its lock is the sign, and tells nobody


async def _follow(job: RunningJob, folder: Path) -> Trained:
    """Tell of a run until its trainer ends. Return its result."""
    try:
        while await asyncio.to_thread(trainer_of, folder) is not None:
            _tell(job, folder)
            await asyncio.sleep(_LOOK_SECONDS)
    except asyncio.CancelledError:
        outcome = await asyncio.shield(_stopped(folder))
        _tell(job, folder)
        if outcome is not None and outcome.outcome is not None:
            return _settled(job, folder, outcome)  # it was done before it could be stopped
        raise
    _tell(job, folder)
    outcome = read_outcome(folder)
    if outcome is None:
        kind = TrainingOutOfMemory if job.progress.phase in _MEMORY_PHASES else TrainingInterrupted
        problem = f"the trainer's process ended while {job.progress.phase}; most likely it was killed, or out of memory"
        raise interrupted(problem, job.id, kind)
    return _settled(job, folder, outcome)


def _tell(job: RunningJob, folder: Path) -> None:
    if status := read_status(folder):
        job.on_training(status.progress, status.training)


async def _stopped(folder: Path) -> OutcomeFile | None:
    """End the trainer of a folder: it writes a checkpoint, or is killed when that takes too long."""
    for number, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5.0)):
        process = trainer_of(folder)
        if process is None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
        for _ in range(int(patience / _LOOK_SECONDS)):
            if trainer_of(folder) is None:
                break
            await asyncio.sleep(_LOOK_SECONDS)
    return read_outcome(folder)


def _settled(job: RunningJob, folder: Path, outcome: OutcomeFile) -> Trained:
    if outcome.outcome is not None:
        shutil.rmtree(folder, ignore_errors=True)
        return outcome.outcome
    if outcome.error is not None:
        if not (folder / CHECKPOINT).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise from_wire(outcome.error)
    raise interrupted("the training was stopped from outside", job.id)
