"""Holding back a part of what was recorded, by conversation: a turn is never judged beside its own beginning."""

import random
from collections.abc import Sequence
from typing import TypeVar

from adapters.errors import InvalidRequest

T = TypeVar("T")


def split_conversations(conversations: Sequence[T], part: float, seed: int) -> tuple[list[T], list[T]]:
    """Return what to train on and what is held back, each in its order, neither of them empty.

    The same seed and conversations give the same split. Raises InvalidRequest for fewer than two conversations.
    """
    if len(conversations) < 2:
        raise InvalidRequest(f"{len(conversations)} conversations cannot be split; record at least two")
    count = min(len(conversations) - 1, max(1, round(len(conversations) * part)))
    held_back = set(random.Random(seed).sample(range(len(conversations)), count))
    return (
        [one for i, one in enumerate(conversations) if i not in held_back],
        [one for i, one in enumerate(conversations) if i in held_back],
    )
