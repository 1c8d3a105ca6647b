"""A job that asks for answers, as all of its conversations share it. Needs no MLX to be imported."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.protocol.generation import Generate, Partial
from adapters.protocol.jobs import Progress

if TYPE_CHECKING:
    from adapters.mlx.text.images import Media

OnProgress = Callable[[Progress], None]
# (which conversation, what was added to its answer)
OnWritten = Callable[[int, Partial], None]


@dataclass(frozen=True)
class AnswerJob:
    """The work, when it was asked on the monotonic clock, how long its model took to load, and who is told.

    `media` holds the pictures and videos that the messages name.
    """

    work: Generate
    asked: float
    load_s: float
    on_progress: OnProgress
    on_written: OnWritten
    media: "Media" = field(default_factory=dict)
