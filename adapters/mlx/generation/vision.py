"""Generation of one loaded vision model: requests with and without pictures in one continuous batch.

Everything here runs on the MLX thread. mlx_vlm reads a prompt (`PromptProcessingBatch`) and decodes a batch
(`GenerationBatch`); this adds what its own batch lacks: sampling by each row's options, rows that fail alone, pictures
looked at in pieces and several prompts read in turn, and prompts kept by the content of their pictures.
"""

import copy
import itertools
import logging
import time
from collections import deque
from collections.abc import Generator
from typing import Any

import mlx.core as mx
from mlx_vlm.generate.ar import GenerationBatch, PromptProcessingBatch
from mlx_vlm.generate.common import _chunked_prefill_enabled  # pyright: ignore[reportPrivateUsage]
from mlx_vlm.models.cache import KVCache, make_prompt_cache

from adapters.mlx.generation.batching import Batching, how_batched
from adapters.mlx.generation.request import Ended, GenerationRequest, Reading
from adapters.mlx.generation.runner import SMALLEST_CHUNK, STEPS_BETWEEN_EVALS, RowRunner, guarded
from adapters.mlx.generation.sampling import BatchSampler
from adapters.mlx.thread.pausing import in_steps, pausing_layers

logger = logging.getLogger(__name__)

# What a model gives beside its embeddings that a kept prompt would have to hold too.
_NOT_KEPT = ("cross_attention_states", "decoder_inputs_embeds")
# What language models note about the prompt that they read last.
_OF_THE_LAST_PROMPT = ("_rope_deltas", "_position_ids")
_TOWERS = ("vision_tower", "vision_model", "visual", "vision_encoder")


class VisionRunner(RowRunner):
    """The continuous batch of one vision model."""

    def __init__(self, name: str, model: Any, tokenizer: Any, **shared: Any) -> None:
        super().__init__(name, model, tokenizer, **shared)
        self._model, self._language = model, model.language_model
        for tower in _TOWERS:
            if getattr(model, tower, None) is not None:
                pausing_layers(getattr(model, tower))
        self._sampled: list[GenerationRequest] = []
        self._sampler = BatchSampler(lambda: self._sampled)
        self._uids = itertools.count()
        self._ends = set(tokenizer.eos_token_ids)
        # Rows whose prompts are being read, each by a generator that gives its batch of one at the end.
        self._being_read: deque[tuple[GenerationRequest, Generator[None, None, GenerationBatch]]] = deque()
        self._batch: GenerationBatch | None = None
        # Layers that look at pictures alone take the prompt for one where there is none (mlx_vlm/models/mllama).
        self.needs_a_picture = bool(getattr(getattr(self._language, "config", None), "cross_attention_layers", None))
        self._batching: Batching | None = None  # what rows may share, known once a second one wants to join

    # --- joining

    def _new_cache(self, model: Any) -> list[Any]:
        return make_prompt_cache(model.language_model)

    def _has_place(self) -> bool:
        if not self._rows:
            return True
        if self._batching is None:
            self._batching = self._how_batched()
        return self._batching.rows and super()._has_place()

    def _how_batched(self) -> Batching:
        language, kept = self._language, {}
        for name in _OF_THE_LAST_PROMPT:
            if hasattr(language, name):
                kept[name] = getattr(language, name)

        def forward(tokens: mx.array, caches: list[Any]) -> mx.array:
            self._slots.use([None] * tokens.shape[0])
            out = language(tokens, cache=caches)
            return getattr(out, "logits", out)

        try:
            return how_batched(forward, lambda: make_prompt_cache(language), self._tokenizer, read_alone=True)
        finally:
            for name, value in kept.items():
                setattr(language, name, value)

    def _insert(self, request: GenerationRequest) -> None:
        request.waits_for = None
        request.detokenizer = self._tokenizer.detokenizer
        request.uid = next(self._uids)
        self._rows[request.uid] = request
        request.admitted = time.monotonic()
        self._being_read.append((request, self._read(request)))

    def _read(self, request: GenerationRequest) -> Generator[None, None, GenerationBatch]:
        """Look at the pictures, then read the prompt in chunks; yields in between."""
        assert request.uid is not None
        cache, request.cached_tokens = self._prompt_cache.fetch(self._name, request.cache_key, request.tokens)
        if request.images is not None and request.cached_tokens and request.cached_tokens <= request.images.last:
            cache, request.cached_tokens = None, 0  # with a picture left to look at, all of it is read
        embedded = yield from in_steps(lambda: self._embed(request))
        inputs = embedded.pop("inputs_embeds")
        unread = self._real_tokens(request)[request.cached_tokens :]
        # Some models make more embeddings of a picture than it has tokens: their caches answer to no count of tokens.
        kept = inputs.shape[1] == len(unread) and not any(embedded.get(name) is not None for name in _NOT_KEPT)
        whole = not self._reads_in_chunks(unread, inputs, embedded)
        reading = PromptProcessingBatch(
            self._language,
            [request.uid],
            [unread],
            [request.max_tokens],
            inputs,
            {name: value for name, value in embedded.items() if value is not None},
            logits_processors=[[guarded(request, processor) for processor in request.processors]],
            prefill_step_size=SMALLEST_CHUNK,
            # One row's own kind of cache, where the library would begin with a batch's: features that are added within
            # the model are placed rightly only with this one.
            warm_cache=cache or make_prompt_cache(self._language),
        )
        if embedded.get("deepstack_visual_embeds") is not None:
            # The model takes from the whole mask what a chunk needs of both; from a mask cut to the chunk it would take
            # the features of the first places for all of them.
            aware = reading._prompt_length_aware_keys  # pyright: ignore[reportPrivateUsage]
            aware[:] = [name for name in aware if name != "visual_pos_masks"]
        if whole:
            reading.prefill_step_size = None
        yield from self._read_chunks(request, reading, kept and not whole)
        self._sampled = [request]
        return reading.generate(self._sampler, self._ends.__contains__, compute_logprobs=False)

    def _reads_in_chunks(self, tokens: list[int], inputs: mx.array, embedded: dict[str, Any]) -> bool:
        """Return whether this prompt may be read in pieces: in some models all of it attends to all of it.

        The library asks this of what it is given, the language model; some families say it of the whole.
        """
        return _chunked_prefill_enabled(
            self._model, input_ids=mx.array([tokens]), inputs_embeds=inputs, prefill_kwargs=embedded
        )

    def _read_chunks(self, request: GenerationRequest, reading: Any, kept: bool) -> Generator[None, None, None]:
        done, chunked = request.cached_tokens, reading.prefill_step_size is not None
        checkpoints = [place for place in self._checkpoints(request) if place > done]
        while reading.needs_processing():
            if chunked:
                decoding = len(self._batch) if self._batch is not None else 0
                step = self._chunk(1, decoding)  # however many are being read: a step reads of one
                reading.prefill_step_size = min([step, *(place - done for place in checkpoints[:1])])
            started = time.monotonic()
            count = reading.prompt_step()
            if not count:
                break
            mx.eval([entry.state for entry in reading.prompt_cache])
            if count >= SMALLEST_CHUNK:
                self._tokens_per_second = count / max(time.monotonic() - started, 1e-6)
            done += count
            self._events.append((request, Reading(done, len(request.tokens))))
            if kept and checkpoints and done == checkpoints[0]:
                self._keep(request, done, reading.prompt_cache)
                checkpoints.pop(0)
            yield
        if kept and done > request.cached_tokens:
            self._keep(request, done, reading.prompt_cache)

    def _checkpoints(self, request: GenerationRequest) -> list[int]:
        """Return where a cache that cannot be trimmed is worth keeping: after the pictures, and where turns end."""
        if self.trimmable:
            return []
        return sorted({*request.boundaries, *([request.images.last + 1] if request.images else [])})

    def _keep(self, request: GenerationRequest, count: int, cache: list[Any]) -> None:
        kept: list[Any] = copy.deepcopy(cache)
        for entry in kept:
            # Made in steps of many tokens: only what is filled is kept. Layers that look at pictures may have nothing yet.
            if type(entry) is KVCache and not entry.empty():
                filled: Any = entry.state
                entry.keys, entry.values = (mx.contiguous(part) for part in filled)
                mx.eval(entry.keys, entry.values)
        self._prompt_cache.store(self._name, request.cache_key, request.tokens[:count], kept)

    # --- embedding

    def _real_tokens(self, request: GenerationRequest) -> list[int]:
        return request.images.tokens if request.images is not None else request.tokens

    def _embed(self, request: GenerationRequest) -> dict[str, Any]:
        """Return what the language model takes in place of the tokens that are not known yet, with their positions."""
        tokens = mx.array([self._real_tokens(request)])
        if request.images is None or request.cached_tokens:
            return self._embed_text(request, tokens)
        inputs = dict(request.images.inputs)
        pixels, mask = inputs.pop("pixel_values", None), inputs.pop("attention_mask", None)
        embedded = self._model.get_input_embeddings(tokens, pixels, mask=mask, **inputs).to_dict()
        mx.eval([value for value in embedded.values() if isinstance(value, mx.array)])
        # The language model reads some of them itself, such as which tokens are a picture's, as in mlx_vlm's own loop.
        return inputs | {name: value for name, value in embedded.items() if value is not None}

    def _embed_text(self, request: GenerationRequest, tokens: mx.array) -> dict[str, Any]:
        """Text after what is known: its positions follow from all that came before, pictures among it."""
        rest = tokens[:, request.cached_tokens :]
        embedded = self._model.get_input_embeddings(rest, None).to_dict()
        embedded["attention_mask_4d"] = None
        index = getattr(self._language, "get_rope_index", None)
        if request.cached_tokens and callable(index):
            inputs = request.images.inputs if request.images is not None else {}
            found: Any = index(
                tokens, inputs.get("image_grid_thw"), inputs.get("video_grid_thw"), inputs.get("attention_mask")
            )
            positions, deltas = found
            embedded["position_ids"] = positions[..., request.cached_tokens :]
            embedded["rope_deltas"] = deltas
        return embedded

    # --- running

    def _advance(self) -> None:
        self._steps += 1
        if self._batch is not None:
            self._decode(self._batch)
        if self._being_read:
            self._read_on()

    def _read_on(self) -> None:
        """A piece of one prompt; the next time, of another."""
        request, reading = self._being_read.popleft()
        self._slots.use([request.adapter])
        try:
            next(reading)
        except StopIteration as end:
            request.reading = False
            self._join(request, end.value)
        except Exception as error:
            logger.warning("model=<%s> | a prompt could not be read", self._name, exc_info=error)
            self._rows.pop(request.uid or 0, None)
            self._end(request, Ended("stop", self._user_facing_error(error)))
        else:
            self._being_read.append((request, reading))

    def _join(self, request: GenerationRequest, one: GenerationBatch) -> None:
        if request.error is not None:
            self._rows.pop(request.uid or 0, None)
            self._end(request, Ended("stop", request.error))
        elif self._batch is None or not len(self._batch):
            self._batch = one
        else:
            self._batch.extend(one)

    def _decode(self, batch: GenerationBatch) -> None:
        self._sampled = [self._rows[uid] for uid in batch.uids]
        self._slots.use([request.adapter for request in self._sampled])
        for response in batch.next():
            request = self._rows[response.uid]
            stopped = self._wrote(request, response.token, response.finish_reason)
            if response.finish_reason:
                del self._rows[response.uid]
                self._end(
                    request,
                    Ended(
                        "length" if response.finish_reason == "length" and not request.answer.stopped else "stop",
                        request.error,
                    ),
                )
            elif stopped or request.error is not None:
                self._leave(request)
                self._end(request, Ended("stop", request.error))
        if self._steps % STEPS_BETWEEN_EVALS == 0 and len(batch):
            mx.eval(batch.cache_states())
        if not len(batch):
            self._batch = None

    # --- leaving

    def _leave(self, request: GenerationRequest) -> None:
        assert request.uid is not None
        del self._rows[request.uid]
        for entry in [entry for entry in self._being_read if entry[0] is request]:
            self._being_read.remove(entry)
            entry[1].close()
        if self._batch is not None and request.uid in self._batch.uids:
            self._batch.filter([i for i, uid in enumerate(self._batch.uids) if uid != request.uid])
            if not len(self._batch):
                self._batch = None

    def _restart(self) -> None:
        for _, reading in self._being_read:
            reading.close()
        self._being_read.clear()
        self._batch = None
