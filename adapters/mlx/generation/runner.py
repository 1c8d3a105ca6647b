"""What the runners of text and of vision models share: requests that wait, join a batch, fail alone, and are told of.

Everything here runs on the MLX thread.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from adapters.errors import DoesNotFit, OutOfMemory, ServerError
from adapters.mlx.allocation import allocation_failed
from adapters.mlx.generation.batching import can_be_trimmed
from adapters.mlx.generation.prompt_cache import PromptCache
from adapters.mlx.generation.request import Ended, GenerationRequest, LogitsProcessor, RequestEvent, Written
from adapters.mlx.lora.slots import AdapterSlots

logger = logging.getLogger(__name__)

Post = Callable[[list[tuple[GenerationRequest, RequestEvent]]], None]

# A prefix shared with a prompt that is being read is waited for from this many tokens on.
_WORTH_SHARING = 32
# Hybrid models' caches grow a chain of unevaluated operations, one a token, that Metal refuses in the end (mlx-lm#1845).
STEPS_BETWEEN_EVALS = 32
# Chunks of a prompt, in tokens, and how long one may take, in seconds: alone, and while others are decoding.
CHUNK_ALONE, CHUNK_BESIDE, SMALLEST_CHUNK = 2048, 256, 32
_SECONDS_ALONE, _SECONDS_BESIDE = 1.0, 0.25
# How long an idle batch waits for requests that are known to be coming, so that those of one moment are read together.
_MOMENT_SECONDS = 0.03


class RowRunner(ABC):
    """Requests of one model, from waiting to their end.

    `room` says whether so many more bytes of KV cache fit now. `expected_requests` says how many requests are about to be
    submitted.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        *,
        slots: AdapterSlots,
        kv_bytes_per_token: int,
        batch_size: int,
        prompt_cache: PromptCache,
        room: Callable[[int], bool],
        post: Post,
        expected_requests: Callable[[], int] = lambda: 0,
    ) -> None:
        self.needs_a_picture = False
        self.trimmable = can_be_trimmed(self._new_cache(model))
        self._name, self._tokenizer, self._slots = name, tokenizer, slots
        self._kv_bytes_per_token, self._batch_size = kv_bytes_per_token, batch_size
        self._prompt_cache, self._room, self._post = prompt_cache, room, post
        self._expected_requests = expected_requests
        self._moment_began: float | None = None
        self._waiting: deque[GenerationRequest] = deque()
        self._rows: dict[int, GenerationRequest] = {}
        self._events: list[tuple[GenerationRequest, RequestEvent]] = []
        self._steps = 0
        self._tokens_per_second = 0.0

    # --- what a kind of runner does itself

    @abstractmethod
    def _new_cache(self, model: Any) -> list[Any]:
        """Return an empty KV cache for one row."""

    @abstractmethod
    def _insert(self, request: GenerationRequest) -> None:
        """Have a row read and written from now on. Return it a `uid` and put it into `_rows`."""

    @abstractmethod
    def _advance(self) -> None:
        """Read a piece, decode a token for every row, and note the results."""

    @abstractmethod
    def _leave(self, request: GenerationRequest) -> None:
        """Take a row out of the batch, keeping what it has read."""

    @abstractmethod
    def _restart(self) -> None:
        """Begin with an empty batch: what was in the old one is lost."""

    def _has_place(self) -> bool:
        """Return whether one more row may be in the batch."""
        return len(self._rows) < self._batch_size

    @property
    def busy(self) -> bool:
        return bool(self._rows or self._waiting)

    @property
    def row_count(self) -> int:
        return len(self._rows)

    @property
    def reserved_bytes(self) -> int:
        """What the rows' KV caches may grow to."""
        return sum(self._kv_bytes(request) for request in self._rows.values())

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request; it is admitted in order, as places and memory allow."""
        self._waiting.append(request)

    def cancel(self, request: GenerationRequest) -> None:
        """Take a request out at once, wherever it is. What was read and written so far may serve the next one."""
        request.cancelled = True
        if request in self._waiting:
            self._waiting.remove(request)
        elif request.uid in self._rows:
            self._leave(request)
        else:
            return
        self._end(request, Ended("cancelled"))
        self._flush()

    def step(self) -> None:
        """Admit, read a chunk, decode a token for every row, and post the results."""
        if self._more_is_coming():
            time.sleep(0.001)
            return
        try:
            self._admit()
            if self._rows:
                self._advance()
        except Exception as error:
            self._fail_all(error)
        self._flush()

    def close(self) -> None:
        """Fail what is left, and drop the batch."""
        self._fail_all(ServerError(f"the model {self._name} was unloaded; ask again"), restart=False)
        self._flush()

    # --- joining

    def _more_is_coming(self) -> bool:
        """Return True while the batch is empty, the first request of a moment waits, and others are about to join it."""
        if self._rows or not self._expected_requests():
            self._moment_began = None
            return False
        now = time.monotonic()
        self._moment_began = self._moment_began or now
        return now - self._moment_began < _MOMENT_SECONDS

    def _admit(self) -> None:
        for request in list(self._waiting):
            if not self._has_place():
                return
            if self._is_being_read(request):
                continue
            if not self._room(self._kv_bytes(request)):
                if not self._rows:
                    self._waiting.remove(request)
                    self._end(request, Ended("stop", self._too_large(request)))
                return
            self._waiting.remove(request)
            try:
                self._insert(request)
            except Exception as error:
                logger.exception("model=<%s> | a row could not be inserted", self._name)
                self._end(request, Ended("stop", error))

    def _is_being_read(self, request: GenerationRequest) -> bool:
        """Return True when another prompt with much the same beginning is being read now: its cache is worth the wait."""
        if request.waits_for is not None and request.waits_for.reading and request.waits_for.uid in self._rows:
            return True  # compared once, not at every step
        request.waits_for = None
        readers = [other for other in self._rows.values() if other.reading and other.cache_key == request.cache_key]
        if not readers:
            return False
        shared, reader = max(((self._shared(request, other), other) for other in readers), key=lambda found: found[0])
        known = (
            self._prompt_cache.known_prefix(self._name, request.cache_key, request.tokens)
            if shared >= _WORTH_SHARING
            else 0
        )
        if shared >= known + _WORTH_SHARING:
            request.waits_for = reader
        return request.waits_for is not None

    def _shared(self, request: GenerationRequest, reader: GenerationRequest) -> int:
        """Return how much of the reader's cache would serve this row: up to a checkpoint where caches cannot be
        trimmed.
        """
        length = min(len(request.tokens) - 1, len(reader.tokens))
        shared = next((i for i in range(length) if request.tokens[i] != reader.tokens[i]), length)
        return shared if self.trimmable else max((place for place in reader.boundaries if place <= shared), default=0)

    # --- the results of a step

    def _wrote(self, request: GenerationRequest, token: int, finish_reason: str | None) -> bool:
        """Note a token of a row; True when the row is at its end by a stop string while its batch would go on."""
        request.last_token = time.monotonic()
        request.first_token = request.first_token or request.last_token
        request.completion_tokens += 1
        if finish_reason != "stop":
            request.detokenizer.add_token(token)
        if finish_reason:
            request.detokenizer.finalize()
        text, reasoning = request.answer.add(request.detokenizer.last_segment)
        if finish_reason:
            rest = request.answer.finish(cut=finish_reason == "length")
            text, reasoning = text + rest[0], reasoning + rest[1]
        calls = request.answer.closed_calls()
        if text or reasoning or calls:
            self._events.append((request, Written(text, reasoning, calls)))
        return request.answer.stopped and not finish_reason

    def _chunk(self, reading: int, decoding: int) -> int:
        """Prompt tokens to read next: a power of two that is done in time at the speed seen last."""
        most, seconds = (CHUNK_BESIDE, _SECONDS_BESIDE) if decoding else (CHUNK_ALONE, _SECONDS_ALONE)
        if not self._tokens_per_second:
            return CHUNK_BESIDE
        wanted = int(self._tokens_per_second * seconds / max(reading, 1))
        return min(most, max(SMALLEST_CHUNK, 1 << max(wanted, 1).bit_length() - 1))

    def _end(self, request: GenerationRequest, event: Ended) -> None:
        self._events.append((request, event))

    def _fail_all(self, error: Exception, restart: bool = True) -> None:
        """The batch is lost: every row in it fails, and the next starts clean."""
        if restart:
            logger.error("model=<%s>, rows=<%s> | the batch failed", self._name, len(self._rows), exc_info=error)
        told = self._user_facing_error(error)
        for request in [*self._rows.values(), *([] if restart else self._waiting)]:
            self._end(request, Ended("stop", told))
        self._rows.clear()
        if not restart:
            self._waiting.clear()
        self._restart()
        mx.clear_cache()

    def _flush(self) -> None:
        if self._events:
            self._post(self._events)
            self._events = []

    def _user_facing_error(self, error: Exception) -> Exception:
        if allocation_failed(error):
            return OutOfMemory(
                f"the machine ran out of memory while answering ({str(error)[:200]}); shorten the prompt, ask for fewer answers at once, or take a smaller model"
            )
        return error

    # --- sizes

    def affordable(self, places: Sequence[int]) -> list[int]:
        """Return those of a prompt's places whose caches take at most half of what is kept; the first stays longest.

        Used on the preparing thread: the sizes that it reads never change.
        """
        left = list(places)
        while len(left) > 1 and sum(left) * self._kv_bytes_per_token > self._prompt_cache.max_bytes // 2:
            del left[1]
        return left

    def _kv_bytes(self, request: GenerationRequest) -> int:
        return self._kv_bytes_per_token * (len(request.tokens) + request.max_tokens)

    def _too_large(self, request: GenerationRequest) -> DoesNotFit:
        return DoesNotFit(
            f"a prompt of {len(request.tokens)} tokens with max_tokens={request.max_tokens} needs {self._kv_bytes(request) / 1e9:.2f} GB of memory for {self._name}, and there is less; "
            "shorten the prompt, lower max_tokens, or unload other models"
        )


def guarded(request: GenerationRequest, processor: LogitsProcessor) -> LogitsProcessor:
    """A processor that raises fails its own row, not the batch."""

    def checked(tokens: Any, logits: Any) -> Any:
        if request.error is None:
            try:
                return processor(tokens, logits)
            except Exception as error:
                request.error = error
        return logits

    return checked
