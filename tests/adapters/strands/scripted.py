"""An engine in this process whose models say exactly what a test has written for them."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import mlx.core as mx

from adapters.mlx import prepare

MODEL = "starter"


class Script:
    """A logits processor that leaves one token at each step: the next of the text, then the end of the turn."""

    def __init__(self, tokenizer: Any, text: str) -> None:
        self._tokens = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        self._place = 0

    def __call__(self, tokens: Any, logits: Any) -> Any:
        del tokens
        token = self._tokens[min(self._place, len(self._tokens) - 1)]
        self._place += 1
        return mx.where(mx.arange(logits.shape[-1])[None] == token, mx.array(0.0), mx.array(-float("inf")))


@contextmanager
def saying(*texts: str) -> Iterator[deque[str]]:
    """The next answers of any model, in order; gives those that have not been said yet. Counting tokens says nothing."""
    left = deque(texts)
    usual = prepare._processors  # pyright: ignore[reportPrivateUsage]

    def scripted(loaded: Any, work: Any, prompt: Any) -> Any:
        if not left or work.json_schema is not None:
            return usual(loaded, work, prompt)
        return [Script(loaded.tokenizer, left.popleft())]

    with mock.patch.object(prepare, "_processors", scripted):
        yield left
