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
from adapters.mlx.generation.request import Ended, GenerationRequest, Reading
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

    def _insert(self, request: GenerationRequest) -> None:
        request.waits_for = None
        cache, request.cached_tokens = self._prompt_cache.fetch(self._name, request.cache_key, request.tokens)
        request.detokenizer = self._tokenizer.detokenizer
        cache = cache or make_prompt_cache(self._model.model)
        if not self._mergeable or (self._batching and not self._batching.rows):
            cache = one_row(cache)
        known, rest = request.tokens[: request.cached_tokens], request.tokens[request.cached_tokens :]
        (request.uid,) = self._generator.insert_segments(
            [self._segments(request, rest)],
            max_tokens=[request.max_tokens],
            caches=[[*cache, RowTag([request])]],
            all_tokens=[list(known)],
            samplers=[self._sampler],
            logits_processors=[[guarded(request, processor) for processor in request.processors]],
        )
        self._rows[request.uid] = request
        request.admitted = time.monotonic()

    def _segments(self, request: GenerationRequest, rest: list[int]) -> list[list[int]]:
        """Return the unread tokens, cut where a checkpoint is to be kept."""
        start = request.cached_tokens
        cuts = [] if self.trimmable else [place - start for place in request.boundaries if place > start]
        edges = [0, *cuts, len(rest)]
        return [rest[a:b] for a, b in itertools.pairwise(edges) if b > a]

    # --- running

    def _advance(self) -> None:
        reading = sum(request.reading for request in self._rows.values())
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
        for request in [request for request in self._rows.values() if request.error is not None]:
            self._leave(request)
            self._end(request, Ended("stop", request.error))

    def _unpadded(self) -> list[int]:
        """Return the lengths of the pieces to be read next, where they may not be padded to one length."""
        if self._batching is None or self._batching.padding:
            return []
        being_read = [entry[0] for entry in self._generator._currently_processing]  # pyright: ignore[reportPrivateUsage]
        coming = [entry[1] for entry in self._generator._unprocessed_sequences]  # pyright: ignore[reportPrivateUsage]
        # A prompt with one token left is read no further: its answer begins with that one.
        return [len(segments[0]) for segments in [*being_read, *coming] if sum(map(len, segments)) > 1]

    def _read(self, response: Any) -> None:
        request = self._rows[response.uid]
        if response.end_of_prompt:
            request.reading = False
            # What cannot be trimmed serves no prompt from here: its places were kept before.
            worth = len(request.tokens) - request.cached_tokens >= _WORTH_KEEPING or self._waiting
            if self.trimmable and worth:
                self._keep(request)
        elif response.end_of_segment and not self.trimmable and self._is_boundary(request, response):
            self._keep(request)
        done = request.cached_tokens + response.progress[0]
        self._events.append((request, Reading(min(done, len(request.tokens)), len(request.tokens))))

    def _is_boundary(self, request: GenerationRequest, response: Any) -> bool:
        return request.cached_tokens + response.progress[0] in request.boundaries

    def _decoded(self, response: Any) -> None:
        request = self._rows.get(response.uid)
        if request is None:
            return
        stopped = self._wrote(request, response.token, response.finish_reason)
        if response.finish_reason:
            del self._rows[response.uid]
            if request.error is None:
                self._store(request, response.all_tokens, response.prompt_cache)
            self._end(request, Ended("stop" if request.answer.stopped else response.finish_reason, request.error))
        elif stopped:
            self._leave(request)
            self._end(request, Ended("stop"))

    # --- leaving

    def _leave(self, request: GenerationRequest) -> None:
        """Take a row out of the batch, keeping what it has read."""
        assert request.uid is not None
        del self._rows[request.uid]
        caches = self._generator.remove([request.uid], return_prompt_caches=True)
        if request.error is None and request.uid in caches:
            cache, tokens = caches[request.uid]
            self._store(request, tokens, cache)

    def _keep(self, request: GenerationRequest) -> None:
        """Store a row's cache as it is now, while it goes on."""
        cache, tokens = self._generator.extract_cache([request.uid])[request.uid]
        self._store(request, tokens, cache)

    def _store(self, request: GenerationRequest, tokens: Sequence[int], cache: list[Any]) -> None:
        kept = cache[:-1]  # without the tag
        # Evaluated, a row's cache is a copy of its own; until then it holds on to the whole batch's.
        mx.eval([entry.state for entry in kept])
        self._prompt_cache.store(self._name, request.cache_key, list(tokens), kept)

    def _restart(self) -> None:
        self._generator = self._new_generator()

    def _new_generator(self) -> BatchGenerator:
        generator = BatchGenerator(
            self._model,  # pyright: ignore[reportArgumentType]
            stop_tokens=[[token] for token in self._tokenizer.eos_token_ids],
            sampler=self._sampler,
            completion_batch_size=self._batch_size,
            prefill_batch_size=min(8, self._batch_size),
            stream=mx.default_stream(mx.default_device()),
        )
        # Undoes the one thing that its construction changes for the whole machine: the wired limit (mlx#3186).
        generator.close()
        return generator
