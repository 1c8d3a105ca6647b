"""Pictures of coloured shapes, drawn at random, and what is in them."""

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

Rgb = tuple[int, int, int]
Place = tuple[int, int]  # row and column of a 3 by 3 grid

COLOURS: dict[str, list[Rgb]] = {
    "red": [(230, 25, 25), (255, 0, 0), (200, 20, 30)],
    "green": [(0, 128, 0), (30, 170, 50), (0, 200, 0), (0, 255, 0)],
    "blue": [(0, 0, 255), (30, 60, 220), (20, 40, 160), (50, 110, 240)],
    "yellow": [(255, 255, 0), (245, 225, 20), (255, 220, 0)],
    "orange": [(255, 165, 0), (255, 140, 0), (245, 125, 20)],
    "purple": [(128, 0, 128), (150, 40, 200), (110, 20, 160)],
    "black": [(0, 0, 0), (20, 20, 20)],
    "white": [(255, 255, 255), (245, 245, 245)],
}
GROUNDS: dict[str, list[Rgb]] = {
    "white": [(255, 255, 255)] * 4 + [(248, 248, 248)],
    "black": [(0, 0, 0), (15, 15, 15)],
    "gray": [(128, 128, 128), (190, 190, 190), (90, 90, 90), (211, 211, 211)],
} | {name: shades for name, shades in COLOURS.items() if name not in ("white", "black")}
GROUND_WEIGHTS = [14.0, 4.0, 5.0] + [0.6] * (len(GROUNDS) - 3)
SHAPES = ["circle", "square", "triangle", "star", "cross"]
PLACES: dict[Place, str] = {
    (0, 0): "in the top left", (0, 1): "at the top", (0, 2): "in the top right",
    (1, 0): "on the left", (1, 1): "in the center", (1, 2): "on the right",
    (2, 0): "in the bottom left", (2, 1): "at the bottom", (2, 2): "in the bottom right",
}  # fmt: skip
# Where the middle of a shape may lie, as part of the side, for each row or column.
BANDS = [(0.14, 0.32), (0.42, 0.58), (0.68, 0.86)]
# Rows and columns of image tokens that the processor makes of pictures of these proportions.
GRIDS = [(5, 5)] * 6 + [(4, 6), (6, 4), (4, 5), (5, 4), (4, 4), (3, 8), (8, 3)]
PIXELS_PER_TOKEN = 16


@dataclass(frozen=True)
class Thing:
    place: Place
    colour: str
    shape: str


@dataclass(frozen=True)
class Box:
    """Where a thing lies: its middle and half its sides, as parts of the picture's sides."""

    x: float
    y: float
    half_width: float
    half_height: float
    thing: Thing


@dataclass
class Scene:
    """A picture and its things. `kind` is one, two, three, or many (two to six of the same)."""

    kind: str
    things: list[Thing]
    ground: str
    image: Image.Image
    boxes: list[Box] = field(default_factory=list)


def arrangement(chance: random.Random) -> tuple[str, list[Thing]]:
    """A kind and its things at their places."""

    def things(places: list[Place]) -> list[Thing]:
        return [Thing(place, chance.choice(list(COLOURS)), chance.choice(SHAPES)) for place in places]

    part = chance.random()
    if part < 0.22:
        return "one", things([chance.choice(list(PLACES))])
    if part < 0.54:
        usual = [[(1, 0), (1, 2)]] * 5 + [[(0, 1), (2, 1)]] * 4 + [[(0, 0), (2, 2)], [(0, 2), (2, 0)]]
        return "two", things(chance.choice(usual + [sorted(chance.sample(list(PLACES), 2))] * 3))
    if part < 0.75:
        usual = [[(1, 0), (1, 1), (1, 2)]] * 3 + [[(0, 1), (1, 1), (2, 1)]] * 2
        return "three", things(chance.choice(usual + [sorted(chance.sample(list(PLACES), 3))] * 2))
    colour, shape = chance.choice(list(COLOURS)), chance.choice(SHAPES)
    places = sorted(chance.sample(list(PLACES), chance.randint(2, 6)))
    return "many", [Thing(place, colour, shape) for place in places]


def is_held_out(kind: str, things: list[Thing]) -> bool:
    """Whether such a picture is kept for grading: a tenth of the arrangements, chosen by hash."""
    if kind == "one":
        key: tuple[object, ...] = (kind, things[0].place, things[0].colour, things[0].shape)
    elif kind == "many":
        key = (kind, len(things), things[0].colour, things[0].shape)
    else:  # which things appear together, wherever they are
        key = (kind, *sorted((thing.colour, thing.shape) for thing in things))
    return int(hashlib.md5(repr(key).encode(), usedforsecurity=False).hexdigest(), 16) % 10 == 0


def draw_scene(chance: random.Random, split: str = "train", grid: tuple[int, int] = (5, 5)) -> Scene:
    """A picture of the split `train` or `test`, in the proportions of `grid` (rows, columns of image tokens)."""
    while True:
        kind, things = arrangement(chance)
        if is_held_out(kind, things) == (split == "test"):
            return paint(chance, kind, things, grid)


def paint(
    chance: random.Random,
    kind: str,
    things: list[Thing],
    grid: tuple[int, int] = (5, 5),
    ground: tuple[str, Rgb] | None = None,
    scale: float | None = None,
) -> Scene:
    """Draw the things, each at its place, with sizes, shades and the ground by chance."""
    shades = {thing.colour: chance.choice(COLOURS[thing.colour]) for thing in things}
    name, fill = ground or _ground(chance, shades)
    scale = scale or chance.choice([1, 1, 2, 2.8, 3, 4])
    width, height = (int(side * PIXELS_PER_TOKEN * scale) for side in (grid[1], grid[0]))
    image = Image.new("RGB", (width, height), fill)
    pen, unit = ImageDraw.Draw(image), min(width, height)
    scene, shared = Scene(kind, things, name, image), chance.uniform(0.09, 0.15)
    for thing in things:
        if len(things) == 1:
            half = unit * chance.uniform(0.10, 0.27)
        else:
            half = unit * (chance.uniform(0.09, 0.17) if len(things) == 2 else shared)
        row, column = thing.place
        x = _inside(width * chance.uniform(*BANDS[column]), half, width)
        y = _inside(height * chance.uniform(*BANDS[row]), half, height)
        red, green, blue = (min(255, max(0, value + chance.randint(-8, 8))) for value in shades[thing.colour])
        line = {"outline": (0, 0, 0), "width": max(1, unit // 90)} if chance.random() < 0.1 else {}
        OUTLINES[thing.shape](pen, x, y, half, {"fill": (red, green, blue), **line})
        scene.boxes.append(Box(x / width, y / height, half / width, half / height, thing))
    return scene


def _inside(middle: float, half: float, side: int) -> float:
    return min(max(middle, half * 1.05), side - half * 1.05)


def _near(one: Rgb, other: Rgb) -> bool:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) < 110**2


def _ground(chance: random.Random, shades: dict[str, Rgb]) -> tuple[str, Rgb]:
    """A ground on which every one of the shades can be told."""
    while True:
        (name,) = chance.choices(list(GROUNDS), weights=GROUND_WEIGHTS)
        fill = chance.choice(GROUNDS[name])
        if name not in shades and not any(_near(fill, shade) for shade in shades.values()):
            return name, fill


def _circle(pen: ImageDraw.ImageDraw, x: float, y: float, half: float, paint: dict[str, object]) -> None:
    pen.ellipse([x - half, y - half, x + half, y + half], **paint)  # pyright: ignore[reportArgumentType]


def _polygon(
    corners: list[tuple[float, float]],
) -> Callable[[ImageDraw.ImageDraw, float, float, float, dict[str, object]], None]:
    def draw(pen: ImageDraw.ImageDraw, x: float, y: float, half: float, paint: dict[str, object]) -> None:
        pen.polygon([(x + a * half, y + b * half) for a, b in corners], **paint)  # pyright: ignore[reportArgumentType]

    return draw


_STAR_RADII = [1.15, 0.483] * 5
_STAR = [(r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5)) for i, r in enumerate(_STAR_RADII)]
_ARM = 0.36
_CROSS: list[tuple[float, float]] = [
    (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
    (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
]  # fmt: skip
OUTLINES: dict[str, Callable[[ImageDraw.ImageDraw, float, float, float, dict[str, object]], None]] = {
    "circle": _circle,
    "square": _polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)]),
    "triangle": _polygon([(0, -1.05), (1.1, 0.9), (-1.1, 0.9)]),
    "star": _polygon(_STAR),
    "cross": _polygon(_CROSS),
}
