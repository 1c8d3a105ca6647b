"""A training's folder: what was asked, how far it is, and its result. Written by the trainer, read by the engine.

`run.json` is written once, `status.json` and `outcome.json` whole or not at all. The trainer holds a lock on
`trainer.lock` as long as it lives: whoever wants to know whether it does asks for that lock.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.files import write_whole
from adapters.places import runs_folder
from adapters.protocol.jobs import Progress
from adapters.protocol.training import Train, Trained, TrainingState
from adapters.protocol.wire import json_of

LOCK, LOG = "trainer.lock", "trainer.log"
# There once the training goes on without the process that started it.
KEEP_RUNNING = "keep-running"
# Names the last complete checkpoint.
CHECKPOINT = "checkpoint.json"


class RunFile(BaseModel):
    """What the trainer is told. `memory_free` in bytes; `parent` is the process that it belongs to."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    work: Train
    model: str
    model_folder: Path
    memory_free: int
    parent: int


class StatusFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    progress: Progress
    training: TrainingState


class OutcomeFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: Literal["done", "failed", "cancelled"]
    outcome: Trained | None = None
    error: dict[str, str] | None = None


def run_folder(job: str) -> Path:
    return runs_folder() / job


def write(path: Path, content: BaseModel) -> None:
    """Write a file of a run whole or not at all, for this user alone."""
    write_whole(path, json_of(content), sync=False)


def read_status(folder: Path) -> StatusFile | None:
    return _read(folder / "status.json", StatusFile)


def read_outcome(folder: Path) -> OutcomeFile | None:
    return _read(folder / "outcome.json", OutcomeFile)


def read_run(folder: Path) -> RunFile | None:
    return _read(folder / "run.json", RunFile)


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the trainer's lock while the block runs. Yield False when another process holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield True
    finally:
        os.close(descriptor)


def trainer_of(folder: Path) -> int | None:
    """Return the process that trains in this folder now, or None."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(descriptor, 20, 0) or b"0") or None
    else:
        return None
    finally:
        os.close(descriptor)


def prune(days: float) -> None:
    """Remove the folders of trainings that ended longer ago than so many days: they hold checkpoints, and rows.

    One that nothing can be resumed from goes after a day.
    """
    for folder in runs_folder().iterdir():
        kept_days = days if (folder / CHECKPOINT).exists() else min(days, 1)
        with contextlib.suppress(FileNotFoundError):
            if folder.stat().st_mtime < time.time() - kept_days * 86_400 and trainer_of(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
