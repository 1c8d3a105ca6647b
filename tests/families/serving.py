"""A model as the engine serves it, driven step by step, and the same answers as the library itself gives them.

What is compared are the log-probabilities of every step, not the words alone: random weights often write the same word
again and again, whatever was asked.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from adapters.errors import ServerError
from adapters.lora.check import check_files
from adapters.mlx.generation.request import GenerationRequest
from adapters.mlx.generation.runner import RowRunner
from adapters.mlx.loading import Reader, read_reader
from adapters.mlx.prepare import make_request
from adapters.mlx.residency import Leased, Loaded, Residency
from adapters.models.card import read_card
from adapters.models.safety import check_folder
from adapters.protocol.generation import Generate
from adapters.settings import for_client
from tests.adapters.mlx.asked import Asked, Events, deliver, finished

# Log-probabilities of the same step that differ by more are of another computation, not of another rounding.
TOLERANCE = 0.02


@dataclass
class Steps:
    """The log-probabilities [vocabulary] of each token that was chosen, in order."""

    logprobs: list[np.ndarray] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return [int(one.argmax()) for one in self.logprobs]

    def difference(self, other: "Steps") -> str | None:
        """Say where two answers to one prompt part, or None where they are the same."""
        if not self.logprobs or not other.logprobs:
            return "nothing was written"
        for step, (mine, theirs) in enumerate(zip(self.logprobs, other.logprobs, strict=False)):
            if np.isnan(mine).any() or np.isnan(theirs).any():
                return f"step {step} is no number"
            apart = float(np.abs(mine - theirs).max())
            if apart > TOLERANCE:
                return f"log-probabilities of step {step} are {apart:.2g} apart"
        return None


class _Here:
    """The thread of a test in place of the engine's own."""

    def at_end(self, function: Any) -> None:
        pass

    def add(self, runner: Any) -> None:
        pass

    def remove(self, runner: Any) -> None:
        pass


class Served:
    """A model in memory. Asks go into its batch; `run` steps it until all are answered."""

    def __init__(self, folder: Path, reader: Reader | None = None) -> None:
        check_folder(folder)
        self.card = read_card(folder)
        thread: Any = _Here()
        self.residency = Residency(thread, for_client({"memory_limit_gb": 8, "prompt_cache_gb": 1}), deliver)
        reader = reader or read_reader(folder.name, self.card)
        _, loaded = finished(self.residency.load(folder.name, self.card, reader, lambda *_: None))
        self.loaded: Loaded = loaded

    @property
    def runner(self) -> RowRunner:
        assert isinstance(self.loaded.runner, RowRunner)
        return self.loaded.runner

    def adapted(self, adapter: Path) -> Leased:
        return self.residency.adapt(self.loaded, check_files(adapter))

    def ask(
        self, prompt: str, max_tokens: int, leased: Leased | None = None, media: Any = None, **options: Any
    ) -> "Served.Asking":
        content = options.pop("content", prompt)
        work = Generate(
            model="m", conversations=[[{"role": "user", "content": content}]], max_tokens=max_tokens, **options
        )
        leased = leased or Leased(self.loaded)
        events = Events()
        request = make_request(
            leased, work, 0, media or {}, random_seed=0, asked=time.monotonic(), on_event=events.note
        )
        asking = Served.Asking(request, events)
        request.processors = [*request.processors, asking.note]
        runner = leased.loaded.runner
        assert isinstance(runner, RowRunner)
        runner.submit(request)
        return asking

    def run(self, *asked: "Served.Asking", runner: RowRunner | None = None, steps: int = 4000) -> None:
        runner = runner or self.runner
        while runner.busy and steps:
            runner.step()
            steps -= 1
        for one in asked:
            if one.ended is not None and one.ended.error is not None:
                raise one.ended.error

    class Asking(Asked):
        """A request that notes what the model thought at each step."""

        def __init__(self, request: GenerationRequest, events: Events) -> None:
            super().__init__(request, events)
            self.steps = Steps()

        def note(self, tokens: Any, logits: mx.array) -> mx.array:
            del tokens
            self.steps.logprobs.append(normal(logits[0]))
            return logits


class Library:
    """The same model as mlx_lm serves it."""

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        from mlx_lm import load

        self.model, self.tokenizer, *_ = load(str(folder), adapter_path=str(adapter) if adapter else None)

    def answer(self, tokens: Sequence[int], max_tokens: int) -> Steps:
        from mlx_lm import stream_generate

        written = stream_generate(self.model, self.tokenizer, list(tokens), max_tokens=max_tokens)
        return Steps([normal(one.logprobs) for one in written])


def normal(logits: mx.array) -> np.ndarray:
    """The log-probabilities [vocabulary] of logits, which may be such already."""
    values = logits.astype(mx.float32)
    return np.array(values - mx.logsumexp(values, axis=-1, keepdims=True))


def told(error: BaseException) -> str:
    """What went wrong, in a line; what nobody foresaw is marked."""
    kind = "" if isinstance(error, ServerError) else f"NOT FORESEEN {type(error).__name__}: "
    return kind + " ".join(str(error).split())[:300]
