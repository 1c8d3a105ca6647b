"""A request to a runner that a test drives, and what came of it; and functions that run in steps."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from adapters.mlx.generation.request import Ended, Row, RowEvent


@dataclass
class Asked:
    """A row and what came of it."""

    row: Row
    events: list[RowEvent] = field(default_factory=list)

    @property
    def ended(self) -> Ended | None:
        return next((event for event in self.events if isinstance(event, Ended)), None)

    @property
    def text(self) -> str:
        assert self.ended is not None
        assert self.ended.error is None, self.ended.error
        return self.row.answer.text


def deliver(events: list[tuple[Row, RowEvent]]) -> None:
    """What a runner posts goes to its rows at once."""
    for row, event in events:
        row.on_event(event)


def finished(steps: Generator[None, None, Any]) -> tuple[int, Any]:
    """How many pauses there were, and the result."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return count, end.value
        count += 1
