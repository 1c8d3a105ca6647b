"""What is asked of every text family. Each question gives None when it is as it should be, or what is wrong."""

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from adapters.datasets.gathering import Dataset
from adapters.datasets.rows import TrainingRow
from adapters.mlx.generation.runner import RowRunner
from adapters.mlx.training.trainer import Trainer
from adapters.protocol.training import Train
from adapters.training.frozen_rows import freeze
from adapters.training.run_folder import RunFile
from tests.families.serving import Library, Served, Steps

WORDS = "the red ball is in the box and Tom has a blue hat while Anna lives in Rome with two dogs and a cat named Mia"
PROMPTS = (
    "Hello",
    f"Repeat: {WORDS}.",
    "Count from 1 to 5.",
    f"Here is a story. {' '.join(f'On day {i} {WORDS}.' for i in range(4))} Who has a hat?",
)
QUESTIONS = ("alone", "batch", "cache", "cancel", "schema", "adapter")
TOKENS = 12
LINES = 18


def document() -> str:
    """As `generate` puts a file before a question."""
    text = "\n".join(f"{i}. {WORDS}." for i in range(LINES))
    return f'<document name="notes.txt">\n{text}\n</document>\n\n'


class Answering(Protocol):
    """A library that answers."""

    def answer(self, tokens: Sequence[int], max_tokens: int) -> Steps: ...


class TextFamily:
    """A checkpoint of a family, served and by its library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.served = Served(folder)
        self.library: Answering = Library(folder)
        self._answers: dict[tuple[int, ...], Steps] = {}

    def ask(self, question: str) -> str | None:
        return getattr(self, question)()

    def batching(self) -> str:
        """How rows share this family's batch, once several were asked for."""
        found = getattr(self.served.runner, "_batching", None)
        if found is None or not found.rows:
            return "one by one"
        return "padded" if found.padding else "in equal pieces"

    def kept(self) -> str:
        return "any prefix" if self.served.runner.trimmable else "checkpoints"

    def _expected(self, asking: Served.Asking) -> Steps:
        tokens = tuple(asking.request.tokens)
        if tokens not in self._answers:
            self._answers[tokens] = self.library.answer(tokens, TOKENS)
        return self._answers[tokens]

    def alone(self) -> str | None:
        for prompt in PROMPTS:
            asking = self.served.ask(prompt, TOKENS)
            self.served.run(asking)
            if wrong := asking.steps.difference(self._expected(asking)):
                return f"a prompt of {len(asking.request.tokens)} tokens: {wrong}"
            self._forget()
        return None

    def batch(self) -> str | None:
        """Four prompts of different lengths, that come at once and one after another."""
        for apart in (0, 3):
            together = list[Served.Asking]()
            for prompt in PROMPTS:
                together.append(self.served.ask(prompt, TOKENS))
                self.served.run(steps=apart)
            self.served.run(*together)
            for asking in together:
                if wrong := asking.steps.difference(self._expected(asking)):
                    return f"a prompt of {len(asking.request.tokens)} tokens: {wrong}"
            self._forget()
        return None

    def cache(self) -> str | None:
        """A document is read once: asked the same again, and something else about it."""
        first, other = f"{document()}Who has a hat?", f"{document()}Where does Anna live?"
        read = 0
        for prompt in (first, first, other):
            asking = self.served.ask(prompt, TOKENS)
            self.served.run(asking)
            if wrong := asking.steps.difference(self._expected(asking)):
                return f"with {asking.request.cached_tokens} cached tokens: {wrong}"
            if asking.request.cached_tokens < read:
                return f"{asking.request.cached_tokens} of {len(asking.request.tokens)} tokens were cached, not {read} or more"
            read = len(asking.request.tokens) * 3 // 4
        self._forget()
        return None

    def cancel(self) -> str | None:
        """One that leaves while it is read and one that leaves while it writes disturb nobody, nor what comes after."""
        leaving = [self.served.ask(PROMPTS[3], TOKENS), self.served.ask(PROMPTS[1], 200)]
        staying = self.served.ask(PROMPTS[0], TOKENS)
        for asking in leaving:
            self.served.run(steps=2)
            self.served.runner.cancel(asking.request)
        after = self.served.ask(PROMPTS[1], TOKENS)
        self.served.run(staying, after)
        for asking in (staying, after):
            if wrong := asking.steps.difference(self._expected(asking)):
                return wrong
        self._forget()
        return None

    def schema(self) -> str | None:
        schema = {
            "type": "object", "properties": {"a": {"enum": ["x", "yes"]}}, "required": ["a"],
            "additionalProperties": False,
        }  # fmt: skip
        asking = self.served.ask("Say yes.", 200, json_schema=schema)
        self.served.run(asking)
        try:
            said = json.loads(asking.text)
        except ValueError:
            return f"{asking.text[:80]!r} is not JSON"
        self._forget()
        return None if said in ({"a": "x"}, {"a": "yes"}) else f"{said} is not what the schema asks for"

    def adapter(self) -> str | None:
        """An adapter of two iterations answers as the library with its `adapter_path`, and the base stays as it was."""
        made = trained(self.folder)
        leased = self.served.adapted(made)
        runner = leased.loaded.runner
        assert isinstance(runner, RowRunner)
        expected = Library(self.folder, made)
        base = self.served.ask(PROMPTS[1], TOKENS)
        learned = [self.served.ask(prompt, TOKENS, leased) for prompt in PROMPTS[:3]]
        self.served.run(base)
        self.served.run(*learned, runner=runner)
        self.served.residency.release(leased)
        for asking in learned:
            if wrong := asking.steps.difference(expected.answer(asking.request.tokens, TOKENS)):
                return f"with the adapter: {wrong}"
            if asking.steps.difference(self._expected(asking)) is None:
                return "the adapter changes nothing"
        if wrong := base.steps.difference(self._expected(base)):
            return f"the base beside an adapter: {wrong}"
        self._forget()
        return None

    def _forget(self) -> None:
        self.served.residency.prompt_cache.trim(0)


def trained(folder: Path, iterations: int = 2) -> Path:
    """The folder of an adapter that was trained on a few rows."""
    run = folder.with_name(f"{folder.name}-run")
    run.mkdir(exist_ok=True)
    turns = [
        [{"role": "user", "content": f"Say {i}"}, {"role": "assistant", "content": f"{i} and {i}"}] for i in range(6)
    ]
    rows = [TrainingRow(f"row {i}", messages, (1,)) for i, messages in enumerate(turns)]
    freeze(run, Dataset(rows[:4], rows[4:], 0))
    work = Train(
        adapter=f"{folder.name}-adapter", model=folder.name, iterations=iterations, batch_size=2, rank=4,
        learning_rate=1e-2,
    )  # fmt: skip
    made = Trainer(
        run, RunFile(work=work, model=folder.name, model_folder=folder, memory_free=1 << 40, parent=os.getpid()),
        threading.Event().is_set,
    ).train()  # fmt: skip
    return Path(made.folder)
