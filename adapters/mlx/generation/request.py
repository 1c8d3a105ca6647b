"""One answer being written: what was asked, and what its runner keeps about it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.mlx.text.answer import Answer, WrittenCall
from adapters.protocol.generation import FinishReason, Sampling

if TYPE_CHECKING:
    from adapters.mlx.lora.layers import LoadedAdapter
    from adapters.mlx.text.images import ImagePrompt

# (tokens of the row so far, logits [1, vocabulary]) -> logits, as in mlx_lm.
LogitsProcessor = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Reading:
    """Prompt tokens read so far, of all."""

    done: int
    total: int


@dataclass(frozen=True)
class Written:
    """Text and reasoning that were added, and the tool calls that were closed."""

    text: str
    reasoning: str
    calls: Sequence[WrittenCall] = ()


@dataclass(frozen=True)
class Ended:
    """The answer is complete, or `error` says why it is not."""

    reason: FinishReason
    error: Exception | None = None


RequestEvent = Reading | Written | Ended


@dataclass(eq=False)
class GenerationRequest:
    """A request for one answer. The first block is set when it is made, the second belongs to the MLX thread.

    `tokens` of a prompt with pictures are its key: what the pictures hold stands among them, the real ones in `images`.
    `on_event` is called with the request and what happened to it. `asked` is when the job came, on the monotonic clock.
    `boundaries` are the places in the prompt, in tokens, where a cache that cannot be trimmed is worth keeping.
    `notes` are told with the answer.
    """

    tokens: list[int]
    max_tokens: int
    sampling: Sampling
    seed: int
    answer: Answer
    cache_key: str
    on_event: Callable[["GenerationRequest", RequestEvent], None]
    processors: Sequence[LogitsProcessor] = ()
    boundaries: Sequence[int] = ()
    images: "ImagePrompt | None" = None
    notes: Sequence[str] = ()
    adapter: "LoadedAdapter | None" = None
    asked: float = field(default_factory=time.monotonic)

    uid: int | None = None
    waits_for: "GenerationRequest | None" = None  # the request whose prompt, once read, serves this one
    detokenizer: Any = None
    cached_tokens: int = 0
    completion_tokens: int = 0
    sampled: int = 0
    admitted: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    reading: bool = True
    cancelled: bool = False
    error: Exception | None = None
