"""What one training conversation is, and the draw that keeps held-out arguments out of training."""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.starter.recipes.text.words import CITIES, MORE_CITIES, NAMES

Message = dict[str, Any]
Split = Literal["train", "test"]

# A key of None says that the task is a closed list of facts: all of it is trained on, and asked again in the test.
Key = Any


@dataclass
class Example:
    """A conversation that ends with the assistant's answer; `key` holds the arguments that decide its split."""

    messages: list[Message]
    key: Key
    tools: list[dict[str, Any]] = field(default_factory=list)
    thought: str = ""
    task: str = ""

    @property
    def question(self) -> str:
        return self.messages[-2]["content"]

    @property
    def answer(self) -> str:
        return self.messages[-1]["content"]


Maker = Callable[["Source"], Example]
TASKS: dict[str, tuple[Maker, float]] = {}


def task(weight: float) -> Callable[[Maker], Maker]:
    """Register a maker of examples under its function's name, drawn in proportion to `weight`."""

    def register(maker: Maker) -> Maker:
        TASKS[maker.__name__] = (maker, weight)
        return maker

    return register


class Source(random.Random):
    """A seeded generator that also draws names, cities and words nobody has seen before."""

    # Every plain word piece of the tokenizer, so that copying is learned for any token; set by the trainer.
    pieces: list[str] | None = None

    def invented(self) -> str:
        """A string that is no word: syllables, letters and digits, a number, or capitals."""
        kind = self.random()
        if kind < 0.4:
            syllables = [self.choice("bcdfghjklmnprstvwz") + self.choice("aeiou") for _ in range(self.randint(1, 3))]
            return "".join(syllables) + self.choice(["", "n", "x", "k", "t"])
        if kind < 0.7:
            return "".join(self.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=self.randint(2, 6)))
        if kind < 0.85:
            return str(self.randint(0, 99999))
        return "".join(self.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=self.randint(2, 5)))

    def rare(self) -> str:
        return self.choice(self.pieces) if self.pieces and self.random() < 0.6 else self.invented()

    def new_name(self) -> str:
        letters = "".join(c for c in self.rare() if c.isalpha())[:8].lower()
        return (
            letters.capitalize()
            if len(letters) > 2
            else self.choice(["Zelda", "Sally", "Fred", "Wendy", "Carl", "Gina"])
        )

    def name(self) -> str:
        return self.choice(NAMES) if self.random() < 0.8 else self.new_name()

    def city(self) -> str:
        kind = self.random()
        return self.choice(CITIES) if kind < 0.65 else self.choice(MORE_CITIES) if kind < 0.88 else self.new_name()

    def words(self, least: int, most: int, pool: Sequence[str]) -> list[str]:
        return [self.choice(pool) for _ in range(self.randint(least, most))]

    def asked(self, *forms: str) -> str:
        """One of the forms, now and then in lower case or with a polite start."""
        text, kind = self.choice(forms), self.random()
        lowered = text[:1].lower() + text[1:]
        if kind < 0.12:
            return lowered
        if kind < 0.2:
            return "Please " + lowered
        if kind < 0.25:
            return self.choice(["Can you ", "Could you ", "Hey, ", "Now ", "OK, "]) + lowered
        return text


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}


def system(content: str) -> Message:
    return {"role": "system", "content": content}


def exchange(question: str, answer: str, key: Key, thought: str = "") -> Example:
    return Example([user(question), assistant(answer)], key, thought=thought)


def is_held_out(name: str, key: Key) -> bool:
    """True for one in ten arguments of a task, always the same ones: no training example has them."""
    return int(hashlib.md5(repr((name, key)).encode(), usedforsecurity=False).hexdigest(), 16) % 10 == 0


def draw(source: Source, split: Split = "train", name: str | None = None) -> Example:
    """One example of the split, of the named task or of any task by its weight."""
    while True:
        chosen = name or source.choices(list(TASKS), weights=[weight for _, weight in TASKS.values()])[0]
        example = TASKS[chosen][0](source)
        example.task = chosen
        closed = example.key is None
        if split == "train" and (closed or not is_held_out(chosen, example.key)):
            return example
        if split == "test" and ((closed and name is not None) or (not closed and is_held_out(chosen, example.key))):
            return example
