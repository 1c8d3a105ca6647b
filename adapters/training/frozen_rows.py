"""The rows of a run as they were when it began: a resumed one learns from the same, whatever was recorded since."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from adapters.datasets.gathering import Dataset
from adapters.datasets.rows import Row

_NAME = "rows.json"


def freeze(folder: Path, dataset: Dataset) -> None:
    """Keep the rows in the run's folder, for this user alone."""
    content = json.dumps(asdict(dataset), ensure_ascii=False)
    draft = folder / f"{_NAME}.part"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    draft.replace(folder / _NAME)


def thaw(folder: Path) -> Dataset | None:
    """The rows that were kept, or None at a run's beginning."""
    try:
        content = json.loads((folder / _NAME).read_bytes())
    except FileNotFoundError:
        return None
    return Dataset(_rows(content["train"]), _rows(content["held_back"]), content["duplicates"])


def _rows(content: list[dict[str, object]]) -> list[Row]:
    return [Row(**(row | {"learned": tuple(row["learned"]), "images": tuple(row["images"])})) for row in content]  # type: ignore[arg-type]
