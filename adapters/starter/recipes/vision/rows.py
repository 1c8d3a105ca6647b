"""Training rows of the starter vision model: pictures once, then several questions that do not see each other.

One picture serves several questions in one row: each question is a branch that looks at the pictures and at itself.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapters.starter.recipes.vision.network import Grid, VisionShape, patches
from adapters.starter.recipes.vision.questions import WITHOUT_IMAGE, Asked, ask, draw_pair
from adapters.starter.recipes.vision.scenes import COLOURS, GRIDS, SHAPES, Scene, draw_scene
from adapters.starter.recipes.vision.tokenizer import END_OF_TEXT, IMAGE, IMAGE_END, IMAGE_START, TURN_END, TURN_START

IGNORED = -100
QUESTION_START, QUESTION_END = f"{TURN_START}user\n", f"{TURN_END}\n{TURN_START}assistant\n"
Conversation = tuple[Asked, ...]


@dataclass
class Batch:
    """Rows of equal grids. `labels` [images, tokens, 3] says which colour, shape and place each image token shows."""

    tokens: Tensor  # [rows, length]
    targets: Tensor  # [rows, length], IGNORED where nothing is learned
    mask: Tensor  # [rows, 1, length, length], True where a token may look
    positions: Tensor  # [rows, 3, length]
    pixels: Tensor | None = None  # [images, patches, values]
    grid: Grid = (0, 0)
    labels: Tensor | None = None


@dataclass
class _Row:
    """A row as it is built. Branch 0 is what all branches see."""

    tokens: list[int]
    learned: list[bool]
    branch: list[int]
    positions: list[tuple[int, int, int]]

    def text(self, ids: list[int], start: int, branch: int, learned: bool = False) -> int:
        self.tokens += ids
        self.learned += [learned] * len(ids)
        self.branch += [branch] * len(ids)
        self.positions += [(start + i, start + i, start + i) for i in range(len(ids))]
        return start + len(ids)

    def image(self, token: int, rows: int, columns: int, start: int) -> int:
        count = rows * columns
        self.tokens += [token] * count
        self.learned += [False] * count
        self.branch += [0] * count
        self.positions += [(start, start + i // columns, start + i % columns) for i in range(count)]
        return start + max(rows, columns)


class Rows:
    """Makes batches with one tokenizer."""

    def __init__(self, tokenizer: Any, shape: VisionShape) -> None:
        self.tokenizer, self.shape = tokenizer, shape
        self.image_token, self.pad = tokenizer.token_to_id(IMAGE), tokenizer.token_to_id(END_OF_TEXT)
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        if len(self._known) > 100_000:
            self._known.clear()
        if text not in self._known:
            self._known[text] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return self._known[text]

    def training(self, chance: random.Random, count: int = 32) -> Batch:
        """A batch of one kind: one picture, its question first, two pictures, or none."""
        grid = (5, 5) if chance.random() < 0.6 else chance.choice(GRIDS)
        kind = chance.random()
        if kind < 0.03:
            return self._stack([self._row([], [_small_talk(chance)], 0, 0) for _ in range(count)])
        if kind < 0.13:
            pairs = [draw_pair(chance, "train", grid) for _ in range(count // 2)]
            asked = [[(question,) for question in pair.asked] for pair in pairs]
            return self.with_images([pair.scenes for pair in pairs], asked, [pair.labels for pair in pairs])
        scenes = [draw_scene(chance, "train", grid) for _ in range(count)]
        if kind < 0.18:
            return self.with_images([[s] for s in scenes], [[(ask(chance, s, 0)[0],)] for s in scenes], text_first=True)
        return self.with_images([[scene] for scene in scenes], [_branches(chance, scene) for scene in scenes])

    def with_images(
        self,
        images: list[list[Scene]],
        asked: list[list[Conversation]],
        labels: list[list[str]] | None = None,
        text_first: bool = False,
    ) -> Batch:
        """A batch of these pictures and what is asked of each row; pictures of other grids than the first are left out."""
        seen = [[patches(scene.image, self.shape) for scene in scenes] for scenes in images]
        grid = seen[0][0][1]
        kept = [i for i, row in enumerate(seen) if all(g == grid for _, g in row)]
        rows, columns = (side // self.shape.merge for side in grid)
        built = [
            self._row((labels[i] if labels else [""] * len(images[i])), asked[i], rows, columns, text_first)
            for i in kept
        ]
        batch = self._stack(built)
        batch.pixels = torch.from_numpy(np.stack([values for i in kept for values, _ in seen[i]]))
        batch.grid = grid
        shown = [_shown(scene, rows, columns) for i in kept for scene in images[i]]
        batch.labels = torch.from_numpy(np.stack(shown))
        return batch

    def _row(
        self, labels: list[str], asked: list[Conversation], rows: int, columns: int, text_first: bool = False
    ) -> _Row:
        row = _Row([], [], [], [])
        at = row.text(self.encode(QUESTION_START), 0, 0)
        if text_first:
            at = row.text(self.encode(asked[0][0][0]), at, 0)
        for label in labels:
            at = row.text(self.encode(label + IMAGE_START), at, 0)
            at = row.image(self.image_token, rows, columns, at)
            at = row.text(self.encode(IMAGE_END), at, 0)
        for branch, conversation in enumerate(asked, 1):
            here = at
            for turn, (question, answer) in enumerate(conversation):
                opening = f"\n{QUESTION_START}" if turn else ""
                given = QUESTION_END if text_first else f"{opening}{question}{QUESTION_END}"
                here = row.text(self.encode(given), here, branch)
                here = row.text(self.encode(answer + TURN_END), here, branch, learned=True)
        return row

    def _stack(self, rows: list[_Row]) -> Batch:
        length, count = max(len(row.tokens) for row in rows), len(rows)
        tokens, targets = torch.full((count, length), self.pad), torch.full((count, length), IGNORED)
        branch, positions = torch.full((count, length), -1), torch.zeros(count, 3, length, dtype=torch.long)
        for i, row in enumerate(rows):
            size = len(row.tokens)
            tokens[i, :size], branch[i, :size] = torch.tensor(row.tokens), torch.tensor(row.branch)
            positions[i, :, :size] = torch.tensor(row.positions).T
            following = torch.tensor(row.tokens[1:])
            learned = torch.tensor(row.learned[1:])
            # The first token of a branch is never learned, so a target is always the next token of its own branch.
            targets[i, : size - 1] = torch.where(learned, following, IGNORED)
        sees = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == 0)
        mask = torch.ones(length, length, dtype=torch.bool).tril() & sees | torch.eye(length, dtype=torch.bool)
        return Batch(tokens, targets, mask[:, None], positions)


def _branches(chance: random.Random, scene: Scene) -> list[Conversation]:
    """A caption and three questions, of which two are sometimes one conversation of two turns."""
    asked = ask(chance, scene, 3, hard_first=True)
    if len(asked) > 2 and chance.random() < 0.3:
        first, second = chance.sample(asked, 2)
        return [(one,) for one in asked if one not in (first, second)] + [(first, second)]
    return [(one,) for one in asked]


def _small_talk(chance: random.Random) -> Conversation:
    return tuple(chance.choice(WITHOUT_IMAGE) for _ in range(chance.choice([1, 1, 2])))


def _shown(scene: Scene, rows: int, columns: int) -> np.ndarray:
    """Which colour, shape and place each image token shows, [tokens, 3]; 0 is the ground."""
    shown = np.zeros((rows * columns, 3), np.int64)
    for box in scene.boxes:
        colour, shape = list(COLOURS).index(box.thing.colour) + 1, SHAPES.index(box.thing.shape) + 1
        place = min(2, int(box.y * 3)) * 3 + min(2, int(box.x * 3)) + 1
        for row in range(rows):
            for column in range(columns):
                across = abs((column + 0.5) / columns - box.x) < max(box.half_width * 0.8, 0.5 / columns)
                down = abs((row + 0.5) / rows - box.y) < max(box.half_height * 0.8, 0.5 / rows)
                if across and down:
                    shown[row * columns + column] = colour, shape, place
    return shown
