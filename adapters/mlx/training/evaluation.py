"""Does it answer as it should: the rows held back whose answers are short, answered greedily and compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache

from adapters.mlx.generation.batching import how_batched, one_row
from adapters.mlx.training.examples import Example

# An answer of up to so many tokens is either right or not; a longer one can be right in many words.
_SHORT = 32
_MOST = 64
_ROWS = 16


@dataclass(frozen=True)
class Question:
    """A prompt, in tokens, and the one answer to it. `inputs` are the processor's arrays of its pictures."""

    prompt: list[int]
    answer: list[int]
    inputs: dict[str, Any] | None = None


def questions(examples: Sequence[Example]) -> list[Question]:
    """Return the last answers that are short, of the first examples that have one."""
    found = list[Question]()
    for example in examples:
        last = int(np.flatnonzero(example.learned)[-1])
        earlier = np.flatnonzero(~example.learned[: last + 1])
        begin = int(earlier[-1]) + 1
        if begin > 1 and last + 1 - begin <= _SHORT:
            tokens = example.tokens
            found.append(Question(tokens[:begin].tolist(), tokens[begin : last + 1].tolist(), example.inputs))
    return found[:_MOST]


def exact(model: Any, tokenizer: Any, asked: Sequence[Question], stopping: Callable[[], bool]) -> int | None:
    """Return how many are answered exactly, white space at the ends aside; None when told to stop."""
    ends = set(tokenizer.eos_token_ids)
    shared = how_batched(lambda tokens, cache: model(tokens, cache=cache), lambda: make_prompt_cache(model), tokenizer)
    generator = BatchGenerator(
        model,
        stop_tokens=[[token] for token in ends],
        completion_batch_size=_ROWS if shared.rows else 1,
        prefill_batch_size=8 if shared.padding else 1,
    )
    try:
        ids = generator.insert(
            [one.prompt for one in asked],
            max_tokens=[len(one.answer) + 1 for one in asked],
            caches=None if shared.rows else [one_row(make_prompt_cache(model)) for _ in asked],
        )
        written: dict[int, list[int]] = {uid: [] for uid in ids}
        left = set(ids)
        while left:
            if stopping():
                return None
            for response in generator.next_generated():
                if response.token not in ends:
                    written[response.uid].append(response.token)
                if response.finish_reason:
                    left.discard(response.uid)
    finally:
        generator.close()

    def text(tokens: Sequence[int]) -> str:
        return tokenizer.decode([token for token in tokens if token not in ends]).strip()

    return sum(text(written[uid]) == text(one.answer) for uid, one in zip(ids, asked, strict=True))
