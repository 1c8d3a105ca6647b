"""Text generation of one loaded model: requests join and leave one continuous batch.

Everything here runs on the MLX thread. mlx_lm's `BatchGenerator` does the work; this adds what it lacks: rows that fail
alone, prompts read once when several requests share them, chunks small enough that nobody waits long, cancellation.
"""

import itertools
import time
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache

from adapters.mlx.generation.batching import Batching, can_be_merged, how_batched, one_row
from adapters.mlx.generation.request import Ended, Reading, Row
from adapters.mlx.generation.request_tag import RowTag, TaggedModel
from adapters.mlx.generation.runner import SMALLEST_CHUNK, STEPS_BETWEEN_EVALS, RowRunner, guarded
from adapters.mlx.generation.sampling import BatchSampler

# A prompt's cache is kept as soon as it is read, before its answer is done, from this many tokens on.
_WORTH_KEEPING = 256


class LanguageRunner(RowRunner):
    """The continuous batch of one text model."""

    def __init__(self, name: str, model: Any, tokenizer: Any, **shared: Any) -> None:
        super().__init__(name, model, tokenizer, **shared)
        self._model = TaggedModel(model, self._slots)
        self._sampler = BatchSampler(lambda: self._model.rows)
        self._generator = self._new_generator()
        self._mergeable = can_be_merged(self._new_cache(model))
        self._batching: Batching | None = None  # what rows may share, known once a second one wants to join

    # --- joining

    def _new_cache(self, model: Any) -> list[Any]:
        return make_prompt_cache(model)

    def _has_place(self) -> bool:
        if not self._rows:
            return True
        if self._batching is None:
            model = self._model.model
            self._batching = how_batched(self._model.forward, lambda: make_prompt_cache(model), self._tokenizer)
        return self._batching.rows and super()._has_place()

    def _insert(self, row: Row) -> None:
        row.waits_for = None
        cache, row.cached_tokens = self._prompt_cache.fetch(self._name, row.cache_key, row.tokens)
        row.detokenizer = self._tokenizer.detokenizer
        cache = cache or make_prompt_cache(self._model.model)
        if not self._mergeable or (self._batching and not self._batching.rows):
            cache = one_row(cache)
        known, rest = row.tokens[: row.cached_tokens], row.tokens[row.cached_tokens :]
        (row.uid,) = self._generator.insert_segments(
            [self._segments(row, rest)],
            max_tokens=[row.max_tokens],
            caches=[[*cache, RowTag([row])]],
            all_tokens=[list(known)],
            samplers=[self._sampler],
            logits_processors=[[guarded(row, processor) for processor in row.processors]],
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
        chunk = self._chunk(reading, len(self._rows) - reading)
        self._generator.prefill_step_size = min([chunk, *self._unpadded()])
        started, before = time.monotonic(), self._generator._counters.prompt_tokens  # pyright: ignore[reportPrivateUsage]
        prompts, tokens = self._generator.next()
        read = self._generator._counters.prompt_tokens - before  # pyright: ignore[reportPrivateUsage]
        if read >= SMALLEST_CHUNK:
            self._tokens_per_second = read / max(time.monotonic() - started, 1e-6)
        self._steps += 1
        if self._steps % STEPS_BETWEEN_EVALS == 0:
            batch = self._generator._generation_batch  # pyright: ignore[reportPrivateUsage]
            mx.eval([cache.state for cache in batch.prompt_cache])
        for response in prompts:
            self._read(response)
        for response in tokens:
            self._decoded(response)
        for row in [row for row in self._rows.values() if row.error is not None]:
            self._leave(row)
            self._end(row, Ended("stop", row.error))

    def _unpadded(self) -> list[int]:
        """The lengths of the pieces to be read next, where they may not be padded to one length."""
        if self._batching is None or self._batching.padding:
            return []
        being_read = [entry[0] for entry in self._generator._currently_processing]  # pyright: ignore[reportPrivateUsage]
        coming = [entry[1] for entry in self._generator._unprocessed_sequences]  # pyright: ignore[reportPrivateUsage]
        # A prompt with one token left is read no further: its answer begins with that one.
        return [len(segments[0]) for segments in [*being_read, *coming] if sum(map(len, segments)) > 1]

    def _read(self, response: Any) -> None:
        row = self._rows[response.uid]
        if response.end_of_prompt:
            row.reading = False
            # What cannot be trimmed serves no prompt from here: its places were kept before.
            if self.trimmable and (len(row.tokens) - row.cached_tokens >= _WORTH_KEEPING or self._waiting):
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
        stopped = self._wrote(row, response.token, response.finish_reason)
        if response.finish_reason:
            del self._rows[response.uid]
            if row.error is None:
                self._store(row, response.all_tokens, response.prompt_cache)
            self._end(row, Ended("stop" if row.answer.stopped else response.finish_reason, row.error))
        elif stopped:
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

    def _restart(self) -> None:
        self._generator = self._new_generator()

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
