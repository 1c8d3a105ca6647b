"""All rows of a training: gathered, counted, and split into what is trained on and what is held back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.datasets.files import dataset_rows
from adapters.datasets.rows import TrainingRow, digest, unique
from adapters.datasets.sessions import session_rows
from adapters.errors import InvalidRequest, NothingToLearn, OutsideGrants
from adapters.protocol.content import is_data_uri
from adapters.recordings.splits import split_conversations


@dataclass(frozen=True)
class Dataset:
    """Rows to train on and rows held back; `duplicates` were left out of both."""

    train: list[TrainingRow]
    held_back: list[TrainingRow]
    duplicates: int

    @property
    def digest(self) -> str:
        return digest([*self.train, *self.held_back])


def gather(
    sessions: Sequence[str],
    dataset: str | None,
    validation: float,
    seed: int,
    readable: Sequence[str] | None = None,
) -> Dataset:
    """Return the rows of all sessions and the dataset, a part of them held back by conversation.

    A dataset that comes with rows to hold back keeps them, and nothing else is held back. Pictures lie in the `readable`
    folders, where those are given. Raises InvalidRequest when there is nothing to learn from, or too little to hold
    anything back, and for a picture that is elsewhere or not there.
    """
    rows = [row for session in sessions for row in session_rows(session)]
    held_back = list[TrainingRow]()
    if dataset is not None:
        given, held_back = dataset_rows(Path(dataset))
        rows += given
    for row in [*rows, *held_back]:
        _check_images(row, readable)
    distinct, apart = unique(rows), unique(held_back)
    known = {row.content for row in apart}
    train = [row for row in distinct if row.content not in known]
    duplicates = len(rows) + len(held_back) - len(train) - len(apart)
    if not train:
        raise NothingToLearn("there is nothing to learn from; name sessions or a dataset")
    if validation and not apart:
        if len(train) < 2:
            raise InvalidRequest(
                "there is one conversation, and a part of them is held back to measure what was learned; record more, or pass validation=0 to train without measuring"
            )
        train, apart = split_conversations(train, validation, seed)
    return Dataset(train, apart, duplicates)


def _check_images(row: TrainingRow, readable: Sequence[str] | None) -> None:
    for source in row.images:
        if is_data_uri(source):
            continue
        path = Path(source)
        if not path.is_absolute():
            raise InvalidRequest(f"{row.origin}: the picture {source[:200]!r} is no absolute path; correct it")
        resolved = path.resolve()
        if readable is not None and not any(resolved.is_relative_to(folder) for folder in readable):
            raise OutsideGrants(
                f"{row.origin}: the picture {source} is outside the granted folders; put it in one of them",
                subject=str(resolved.parent),
            )
        if not resolved.is_file():
            raise InvalidRequest(f"{row.origin}: there is no picture {source}; put it back, or remove the row")
