"""The trainer's process by itself: what it leaves when memory or disk is full."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.datasets.gathering import Dataset
from adapters.datasets.rows import TrainingRow
from adapters.models.starters import STARTERS
from adapters.protocol.training import Train
from adapters.training.frozen_rows import freeze, thaw
from adapters.training.run_folder import OutcomeFile, RunFile, read_outcome, read_status, trainer_of, write

# Memory that runs out at the eighth iteration.
NO_MEMORY = """
from adapters.mlx.training import loop
real = loop.Run._iterate
def iterate(run):
    if run.place.iteration == 7: raise RuntimeError("[malloc_or_wait] Unable to allocate 123 bytes.")
    real(run)
loop.Run._iterate = iterate
"""
# A disk on which no file may grow beyond a megabyte: less than one checkpoint.
NO_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
MAIN = "import sys; sys.argv = ['trainer', {folder!r}]; from adapters.mlx.training.__main__ import main; main()"


def rows(count: int) -> list[TrainingRow]:
    turns = ([{"role": "user", "content": f"Say {i}"}, {"role": "assistant", "content": str(i)}] for i in range(count))
    return [TrainingRow(f"row {i}", messages, (1,)) for i, messages in enumerate(turns)]


def train(folder: Path, before: str = "", **settings: Any) -> OutcomeFile:
    folder.mkdir(exist_ok=True)
    freeze(folder, Dataset(rows(8), [], 0))
    chosen: dict[str, Any] = {"iterations": 10, "checkpoint_every": 3} | settings
    work = Train(adapter="made", model="starter", **chosen)
    run = RunFile(work=work, model="starter", model_folder=STARTERS["starter"], memory_free=1 << 40, parent=os.getpid())
    write(folder / "run.json", run)
    code = f"{before}\n{MAIN.format(folder=str(folder))}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True)
    assert trainer_of(folder) is None
    outcome = read_outcome(folder)
    assert outcome is not None
    return outcome


def test_a_run_ends_with_an_adapter(isolated: Path, tmp_path: Path) -> None:
    outcome = train(tmp_path / "run")
    assert outcome.state == "done", outcome.error
    assert outcome.outcome is not None
    assert (isolated / "state" / "lora" / "made" / "loss.png").read_bytes().startswith(b"\x89PNG")
    status = read_status(tmp_path / "run")
    assert status is not None
    assert status.training.preflight is not None
    assert status.training.preflight.examples == 8


def test_memory_that_runs_out_leaves_the_checkpoint_and_says_which(isolated: Path, tmp_path: Path) -> None:
    outcome = train(tmp_path / "run", NO_MEMORY)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error["type"] == "OutOfMemory"
    assert "the checkpoint of iteration 6 is kept" in outcome.error["message"]
    (tmp_path / "run" / "outcome.json").unlink()
    again = train(tmp_path / "run")
    assert again.outcome is not None
    assert again.outcome.iterations == 10


def test_a_full_disk_is_told_and_leaves_no_half_of_anything(isolated: Path, tmp_path: Path) -> None:
    outcome = train(tmp_path / "run", NO_DISK, rank=64)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "could not be written" in outcome.error["message"]
    assert "there is no checkpoint yet" in outcome.error["message"]
    assert not list((tmp_path / "run").glob("checkpoint-*"))
    assert not list((isolated / "state" / "lora").glob("*"))


@pytest.mark.parametrize("settings", [{"method": "dora"}, {"method": "full"}, {"layers": 1, "patience": 2}], ids=str)
def test_every_way_of_training_ends_with_an_adapter(settings: dict[str, Any], isolated: Path, tmp_path: Path) -> None:
    outcome = train(tmp_path / "run", **settings)
    assert outcome.state == "done", outcome.error


def test_rows_that_were_kept_are_the_same_again(tmp_path: Path) -> None:
    shown = TrainingRow("x", [{"role": "user", "content": [{"type": "image", "source": "/a"}]}], (1,), images=("/a",))
    dataset = Dataset(rows(2), [TrainingRow("t", text="Once"), shown], 3)
    freeze(tmp_path, dataset)
    assert thaw(tmp_path) == dataset
    assert (tmp_path / "rows.json").stat().st_mode & 0o777 == 0o600
    assert thaw(tmp_path / "none") is None
