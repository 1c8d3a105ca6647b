"""A request to a runner that a test drives, and what came of it; and functions that run in steps."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from adapters.mlx.generation.request import Ended, GenerationRequest, RequestEvent


@dataclass
class Asked:
    """A request and what came of it."""

    request: GenerationRequest
    events: list[RequestEvent]

    @property
    def ended(self) -> Ended | None:
        return next((event for event in self.events if isinstance(event, Ended)), None)

    @property
    def text(self) -> str:
        assert self.ended is not None
        assert self.ended.error is None, self.ended.error
        return self.request.answer.text


class Events(list[RequestEvent]):
    """What happened to a request, in order."""

    def note(self, _: GenerationRequest, event: RequestEvent) -> None:
        self.append(event)


def deliver(events: list[tuple[GenerationRequest, RequestEvent]]) -> None:
    """What a runner posts goes to its requests at once."""
    for request, event in events:
        request.on_event(request, event)


def finished(steps: Generator[None, None, Any]) -> tuple[int, Any]:
    """How many pauses there were, and the result."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return count, end.value
        count += 1
