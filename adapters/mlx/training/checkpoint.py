"""Checkpoints: weights, optimizer, place and history, such that a resumed run equals one that never stopped.

A checkpoint is a folder of its own, made whole before `checkpoint.json` names it; the one before is removed after that.
Whatever happens in between, the named one is complete.
"""

import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten
from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.errors import TrainingFailed
from adapters.files import sync_to_disk, write_whole
from adapters.mlx.training.trainable import trained_weights
from adapters.protocol.training import LossPoint
from adapters.training.run_folder import CHECKPOINT


class Place(BaseModel):
    """Where a run is. The base's evaluation is kept, as the base is gone once training has begun."""

    model_config = ConfigDict(extra="forbid")

    iteration: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0
    losses: list[LossPoint] = []
    # Loss and tokens of the iterations since the last point, which a point is the mean of.
    unreported: tuple[float, int] = (0.0, 0)
    validation_losses: list[LossPoint] = []
    best_loss: float | None = None
    best_iteration: int = 0
    since_best: int = 0
    base_loss: float | None = None
    base_exact: int | None = None


class _Named(BaseModel):
    iteration: int


def save(folder: Path, model: Any, optimizer: Any, place: Place) -> None:
    """Write a checkpoint. Raises TrainingFailed when the disk is full: the one before stays."""
    draft = folder / f"checkpoint-{place.iteration:07d}"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(mode=0o700)
        mx.save_safetensors(str(draft / "weights.safetensors"), trained_weights(model))
        state: Any = tree_flatten(optimizer.state)
        mx.save_safetensors(str(draft / "optimizer.safetensors"), dict(state))
        write_whole(draft / "place.json", place.model_dump_json().encode(), sync=True)
        for path in draft.iterdir():
            sync_to_disk(path)
        sync_to_disk(draft)
        write_whole(folder / CHECKPOINT, f'{{"iteration": {place.iteration}}}'.encode(), sync=True)
    except (OSError, RuntimeError) as error:  # mlx reports a failed write as a RuntimeError
        shutil.rmtree(draft, ignore_errors=True)
        raise TrainingFailed(
            f"the checkpoint of iteration {place.iteration} could not be written ({error}); {left(folder)}. Free some space, then resume"
        ) from error
    for old in folder.glob("checkpoint-*"):
        if old != draft:
            shutil.rmtree(old, ignore_errors=True)


def latest(folder: Path) -> int | None:
    """Return the iteration of the last complete checkpoint, if there is one."""
    try:
        return _Named.model_validate_json((folder / CHECKPOINT).read_bytes()).iteration
    except (OSError, ValidationError):
        return None


def load(folder: Path, model: Any, optimizer: Any) -> Place | None:
    """Put model and optimizer where the last checkpoint was. Return the place, or None when there is no checkpoint."""
    iteration = latest(folder)
    if iteration is None:
        return None
    saved = folder / f"checkpoint-{iteration:07d}"
    model.load_weights(str(saved / "weights.safetensors"), strict=False)
    optimizer.init(model.trainable_parameters())
    state: Any = mx.load(str(saved / "optimizer.safetensors"))
    optimizer.state = tree_unflatten(list(state.items()))
    mx.eval(model.parameters(), optimizer.state)
    return Place.model_validate_json((saved / "place.json").read_bytes())


def left(folder: Path) -> str:
    """Return what a run that ends now leaves behind, in words."""
    iteration = latest(folder)
    return f"the checkpoint of iteration {iteration} is kept" if iteration is not None else "there is no checkpoint yet"
