"""The rows of a run as they were when it began: a resumed one learns from the same, whatever was recorded since."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from adapters.datasets.gathering import Dataset
from adapters.datasets.rows import TrainingRow
from adapters.files import write_whole

_NAME = "rows.json"


def freeze(folder: Path, dataset: Dataset) -> None:
    """Keep the rows in the run's folder, for this user alone."""
    content = json.dumps(asdict(dataset), ensure_ascii=False)
    write_whole(folder / _NAME, content.encode(), sync=False)


def thaw(folder: Path) -> Dataset | None:
    """Return the rows that were kept, or None at a run's beginning."""
    try:
        content = json.loads((folder / _NAME).read_bytes())
    except FileNotFoundError:
        return None
    return Dataset(_rows(content["train"]), _rows(content["held_back"]), content["duplicates"])


def _rows(content: list[dict[str, Any]]) -> list[TrainingRow]:
    # JSON has no tuples.
    rows = [TrainingRow(**row) for row in content]
    return [replace(row, learned=tuple(row.learned), images=tuple(row.images)) for row in rows]
