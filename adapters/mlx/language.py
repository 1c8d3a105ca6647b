"""Text generation of one loaded model: requests join and leave one continuous batch.

Everything here runs on the MLX thread. mlx_lm's `BatchGenerator` does the work; this adds what it lacks: rows that fail
alone, prompts read once when several requests share them, chunks small enough that nobody waits long, cancellation.
"""

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache

from adapters.errors import DoesNotFit, OutOfMemory, ServerError
from adapters.mlx.prompt_cache import PromptCache
from adapters.mlx.row import Ended, LogitsProcessor, Reading, Row, RowEvent, Written
from adapters.mlx.row_tag import RowTag, TaggedModel
from adapters.mlx.sampling import BatchSampler

logger = logging.getLogger(__name__)

Post = Callable[[list[tuple[Row, RowEvent]]], None]

# A prefix shared with a prompt that is being read is waited for from this many tokens on.
_WORTH_SHARING = 32
# A prompt's cache is kept as soon as it is read, before its answer is done, from this many tokens on.
_WORTH_KEEPING = 256
# Hybrid models' caches grow a chain of unevaluated operations, one a token, that Metal refuses in the end (mlx-lm#1845).
_STEPS_BETWEEN_EVALS = 32
# Chunks of a prompt, in tokens, and how long one may take, in seconds: alone, and while others are decoding.
_CHUNK_ALONE, _CHUNK_BESIDE, _SMALLEST_CHUNK = 2048, 256, 32
_SECONDS_ALONE, _SECONDS_BESIDE = 1.0, 0.25
# How long an idle batch waits for requests that are known to be coming, so that those of one moment are read together.
_MOMENT_SECONDS = 0.03


class LanguageRunner:
    """The continuous batch of one model.

    `room` says whether so many more bytes of KV cache fit now, `coming` how many requests are about to be submitted.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        *,
        kv_bytes_per_token: int,
        rows: int,
        prompt_cache: PromptCache,
        room: Callable[[int], bool],
        post: Post,
        coming: Callable[[], int] = lambda: 0,
    ) -> None:
        self.trimmable = can_trim_prompt_cache(make_prompt_cache(model))
        self._name, self._tokenizer = name, tokenizer
        self._model = TaggedModel(model)
        self._sampler = BatchSampler(lambda: self._model.rows)
        self._kv_bytes_per_token, self._capacity = kv_bytes_per_token, rows
        self._prompt_cache, self._room, self._post = prompt_cache, room, post
        self._coming = coming
        self._moment_began: float | None = None
        self._waiting: deque[Row] = deque()
        self._rows: dict[int, Row] = {}
        self._events: list[tuple[Row, RowEvent]] = []
        self._steps = 0
        self._tokens_per_second = 0.0
        self._generator = self._new_generator()

    @property
    def busy(self) -> bool:
        return bool(self._rows or self._waiting)

    @property
    def row_count(self) -> int:
        return len(self._rows)

    @property
    def reserved_bytes(self) -> int:
        """What the rows' KV caches may grow to."""
        return sum(self._kv_bytes(row) for row in self._rows.values())

    def submit(self, row: Row) -> None:
        """Queue a request; it is admitted in order, as places and memory allow."""
        self._waiting.append(row)

    def cancel(self, row: Row) -> None:
        """Take a request out at once, wherever it is. What was read and written so far may serve the next one."""
        row.cancelled = True
        if row in self._waiting:
            self._waiting.remove(row)
        elif row.uid in self._rows:
            self._leave(row)
        else:
            return
        self._end(row, Ended("cancelled"))
        self._flush()

    def step(self) -> None:
        """Admit, read a chunk, decode a token for every row, and post what came of it."""
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
        """True while the batch is empty, the first request of a moment waits, and others are about to join it."""
        if self._rows or not self._coming():
            self._moment_began = None
            return False
        now = time.monotonic()
        self._moment_began = self._moment_began or now
        return now - self._moment_began < _MOMENT_SECONDS

    def _admit(self) -> None:
        for row in list(self._waiting):
            if len(self._rows) >= self._capacity:
                return
            if self._is_being_read(row):
                continue
            if not self._room(self._kv_bytes(row)):
                if not self._rows:
                    self._waiting.remove(row)
                    self._end(row, Ended("stop", self._too_large(row)))
                return
            self._waiting.remove(row)
            try:
                self._insert(row)
            except Exception as error:
                logger.exception("model=<%s> | a row could not be inserted", self._name)
                self._end(row, Ended("stop", error))

    def _is_being_read(self, row: Row) -> bool:
        """True when another prompt with much the same beginning is being read now: its cache is worth the wait."""
        if row.waits_for is not None and row.waits_for.reading and row.waits_for.uid in self._rows:
            return True  # compared once, not at every step
        row.waits_for = None
        readers = [other for other in self._rows.values() if other.reading and other.cache_key == row.cache_key]
        if not readers:
            return False
        shared, reader = max(((self._shared(row, other), other) for other in readers), key=lambda found: found[0])
        known = (
            self._prompt_cache.known_prefix(self._name, row.cache_key, row.tokens) if shared >= _WORTH_SHARING else 0
        )
        if shared >= known + _WORTH_SHARING:
            row.waits_for = reader
        return row.waits_for is not None

    def _shared(self, row: Row, reader: Row) -> int:
        """How much of the reader's cache would serve this row: up to a checkpoint where caches cannot be trimmed."""
        length = min(len(row.tokens) - 1, len(reader.tokens))
        shared = next((i for i in range(length) if row.tokens[i] != reader.tokens[i]), length)
        return shared if self.trimmable else max((place for place in reader.boundaries if place <= shared), default=0)

    def _insert(self, row: Row) -> None:
        row.waits_for = None
        cache, row.cached_tokens = self._prompt_cache.fetch(self._name, row.cache_key, row.tokens)
        row.detokenizer = self._tokenizer.detokenizer
        known, rest = row.tokens[: row.cached_tokens], row.tokens[row.cached_tokens :]
        (row.uid,) = self._generator.insert_segments(
            [self._segments(row, rest)],
            max_tokens=[row.max_tokens],
            caches=[[*(cache or make_prompt_cache(self._model.model)), RowTag([row])]],
            all_tokens=[list(known)],
            samplers=[self._sampler],
            logits_processors=[[_guarded(row, processor) for processor in row.processors]],
        )
        self._rows[row.uid] = row
        row.admitted = time.monotonic()

    def _segments(self, row: Row, rest: list[int]) -> list[list[int]]:
        """The unread tokens, cut where a checkpoint is to be kept."""
        start = row.cached_tokens
        cuts = [] if self.trimmable else [place - start for place in row.boundaries if place > start]
        edges = [0, *cuts, len(rest)]
        return [rest[a:b] for a, b in itertools.pairwise(edges) if b > a]

    # --- running

    def _advance(self) -> None:
        reading = sum(row.reading for row in self._rows.values())
        self._generator.prefill_step_size = self._chunk(reading, len(self._rows) - reading)
        started, before = time.monotonic(), self._generator._counters.prompt_tokens  # pyright: ignore[reportPrivateUsage]
        prompts, tokens = self._generator.next()
        read = self._generator._counters.prompt_tokens - before  # pyright: ignore[reportPrivateUsage]
        if read >= _SMALLEST_CHUNK:
            self._tokens_per_second = read / max(time.monotonic() - started, 1e-6)
        self._steps += 1
        if self._steps % _STEPS_BETWEEN_EVALS == 0:
            batch = self._generator._generation_batch  # pyright: ignore[reportPrivateUsage]
            mx.eval([cache.state for cache in batch.prompt_cache])
        for response in prompts:
            self._read(response)
        for response in tokens:
            self._decoded(response)
        for row in [row for row in self._rows.values() if row.error is not None]:
            self._leave(row)
            self._end(row, Ended("stop", row.error))

    def _chunk(self, reading: int, decoding: int) -> int:
        """Prompt tokens to read next: a power of two that is done in time at the speed seen last."""
        most, seconds = (_CHUNK_BESIDE, _SECONDS_BESIDE) if decoding else (_CHUNK_ALONE, _SECONDS_ALONE)
        if not self._tokens_per_second:
            return _CHUNK_BESIDE
        wanted = int(self._tokens_per_second * seconds / max(reading, 1))
        return min(most, max(_SMALLEST_CHUNK, 1 << max(wanted, 1).bit_length() - 1))

    def _read(self, response: Any) -> None:
        row = self._rows[response.uid]
        if response.end_of_prompt:
            row.reading = False
            if len(row.tokens) - row.cached_tokens >= _WORTH_KEEPING or self._waiting:
                self._keep(row)
        elif response.end_of_segment and not self.trimmable and self._is_boundary(row, response):
            self._keep(row)
        done = row.cached_tokens + response.progress[0]
        self._events.append((row, Reading(min(done, len(row.tokens)), len(row.tokens))))

    def _is_boundary(self, row: Row, response: Any) -> bool:
        return row.cached_tokens + response.progress[0] in row.boundaries

    def _decoded(self, response: Any) -> None:
        row = self._rows.get(response.uid)
        if row is None:
            return
        row.last_token = time.monotonic()
        row.first_token = row.first_token or row.last_token
        row.completion_tokens += 1
        if response.finish_reason != "stop":
            row.detokenizer.add_token(response.token)
        if response.finish_reason:
            row.detokenizer.finalize()
        text, reasoning = row.answer.add(row.detokenizer.last_segment)
        if response.finish_reason:
            rest = row.answer.finish()
            text, reasoning = text + rest[0], reasoning + rest[1]
        if text or reasoning:
            self._events.append((row, Written(text, reasoning)))
        if response.finish_reason:
            del self._rows[response.uid]
            if row.error is None:
                self._store(row, response.all_tokens, response.prompt_cache)
            self._end(row, Ended("stop" if row.answer.stopped else response.finish_reason, row.error))
        elif row.answer.stopped:
            self._leave(row)
            self._end(row, Ended("stop"))

    # --- leaving

    def _leave(self, row: Row) -> None:
        """Take a row out of the batch, keeping what it has read."""
        assert row.uid is not None
        del self._rows[row.uid]
        caches = self._generator.remove([row.uid], return_prompt_caches=True)
        if row.error is None and row.uid in caches:
            cache, tokens = caches[row.uid]
            self._store(row, tokens, cache)

    def _keep(self, row: Row) -> None:
        """Store a row's cache as it is now, while it goes on."""
        cache, tokens = self._generator.extract_cache([row.uid])[row.uid]
        self._store(row, tokens, cache)

    def _store(self, row: Row, tokens: Sequence[int], cache: list[Any]) -> None:
        kept = cache[:-1]  # without the tag
        # Evaluated, a row's cache is a copy of its own; until then it holds on to the whole batch's.
        mx.eval([entry.state for entry in kept])
        self._prompt_cache.store(self._name, row.cache_key, list(tokens), kept)

    def _end(self, row: Row, event: Ended) -> None:
        self._events.append((row, event))

    def _fail_all(self, error: Exception, restart: bool = True) -> None:
        """The batch is lost: every row in it fails, and the next starts clean."""
        if restart:
            logger.error("model=<%s>, rows=<%s> | the batch failed", self._name, len(self._rows), exc_info=error)
        told = _told(error)
        for row in [*self._rows.values(), *([] if restart else self._waiting)]:
            self._end(row, Ended("stop", told))
        self._rows.clear()
        if not restart:
            self._waiting.clear()
        mx.clear_cache()
        self._generator = self._new_generator()

    def _flush(self) -> None:
        if self._events:
            self._post(self._events)
            self._events = []

    # --- sizes

    def _kv_bytes(self, row: Row) -> int:
        return self._kv_bytes_per_token * (len(row.tokens) + row.max_tokens)

    def _too_large(self, row: Row) -> DoesNotFit:
        return DoesNotFit(
            f"a prompt of {len(row.tokens)} tokens with max_tokens={row.max_tokens} needs {self._kv_bytes(row) / 1e9:.2f} GB of memory for {self._name}, and there is less; "
            "shorten the prompt, lower max_tokens, or unload other models"
        )

    def _new_generator(self) -> BatchGenerator:
        generator = BatchGenerator(
            self._model,  # pyright: ignore[reportArgumentType]
            stop_tokens=[[token] for token in self._tokenizer.eos_token_ids],
            sampler=self._sampler,
            completion_batch_size=self._capacity,
            prefill_batch_size=min(8, self._capacity),
            stream=mx.default_stream(mx.default_device()),
        )
        # Undoes the one thing that its construction changes for the whole machine: the wired limit (mlx#3186).
        generator.close()
        return generator


def _guarded(row: Row, processor: LogitsProcessor) -> LogitsProcessor:
    """A processor that raises fails its own row, not the batch."""

    def guarded(tokens: Any, logits: Any) -> Any:
        if row.error is None:
            try:
                return processor(tokens, logits)
            except Exception as error:
                row.error = error
        return logits

    return guarded


def _told(error: Exception) -> Exception:
    if isinstance(error, MemoryError) or "alloc" in str(error).lower():
        return OutOfMemory(
            f"the machine ran out of memory while answering ({str(error)[:200]}); shorten the prompt, ask for fewer answers at once, or take a smaller model"
        )
    return error
