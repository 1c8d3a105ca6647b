"""What is asked of every vision family about text alone: the same as of a text family, compared with mlx_vlm.

Pictures need a processor of each family's own, which is not made here; see tests/adapters/mlx/generation/test_vision.py.
"""

from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
from mlx_lm.utils import load_tokenizer

from adapters.mlx.loading import Reader
from tests.families.asked_of_text import TextFamily
from tests.families.serving import Served, Steps, normal

QUESTIONS = ("alone", "batch", "cache", "cancel", "schema")


class VisionLibrary:
    """The same model as mlx_vlm serves it."""

    def __init__(self, folder: Path) -> None:
        from mlx_vlm.utils import load_model

        self.model = load_model(folder)

    def answer(self, tokens: Sequence[int], max_tokens: int) -> Steps:
        from mlx_vlm.generate.ar import generate_step

        written = generate_step(mx.array([list(tokens)]), self.model, None, None, max_tokens=max_tokens)
        return Steps([normal(logprobs) for _, logprobs in written])


class VisionFamily(TextFamily):
    """A checkpoint of a vision family, served and by its library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers = {}
        self.served = Served(folder, Reader(load_tokenizer(folder, eos_token_ids=[1529])))
        self.library = VisionLibrary(folder)

    def batching(self) -> str:
        return "yes" if super().batching() != "one by one" else "one by one"
