"""What an adapter's folder says of its making: on which model, from which rows, with which settings, and how well."""

import hashlib
import struct
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.models.card import weight_files
from adapters.protocol.training import Evaluation, LossPoint

FILE = "manifest.json"


class Manifest(BaseModel):
    """`fingerprint` tells the base model by its configuration and the headers of its weights; `revision` is the hub's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    fingerprint: str
    revision: str | None = None
    abilities: list[str] = []
    created: float
    sessions: list[str] = []
    dataset: str | None = None
    rows: int
    held_back: int
    data_digest: str
    settings: dict[str, Any]
    versions: dict[str, str]
    iterations: int
    best_iteration: int
    losses: list[LossPoint]
    validation_losses: list[LossPoint] = []
    evaluation: Evaluation | None = None


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of an adapter, or None where there is none that can be read: other programs write none."""
    try:
        return Manifest.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def fingerprint(folder: Path) -> str:
    """Return what tells a model from another: its configuration, and the names, shapes and types of its weights."""
    found = hashlib.sha256((folder / "config.json").read_bytes())
    for path in weight_files(folder):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            found.update(path.name.encode() + file.read(length))
    return found.hexdigest()


def revision(folder: Path) -> str | None:
    """Return the hub's revision of a model in its cache."""
    return folder.name if folder.parent.name == "snapshots" else None
