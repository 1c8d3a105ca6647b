"""What is asked about pictures of shapes, and the right answers."""

import json
import random
from dataclasses import dataclass, replace

from adapters.starter.recipes.vision.scenes import (
    COLOURS,
    PLACES,
    SHAPES,
    Scene,
    Thing,
    arrangement,
    is_held_out,
    paint,
)

Asked = tuple[str, str]  # question, answer

COUNTS = ["zero", "one", "two", "three", "four", "five", "six"]
CAPTIONS = [
    "Describe the image.", "Describe this image.", "What is in the image?", "What is in this picture?",
    "What do you see?", "Describe the picture.", "What is this?", "Caption this image.",
    "Describe what you see.", "What does the image show?", "What is in this photo?", "What is in this image?",
]  # fmt: skip
AS_JSON = ["Give the color and shape as JSON.", "Read the shape and the color into JSON.", "Answer in JSON."]
# Said to a model that sees nothing.
WITHOUT_IMAGE: list[Asked] = [
    ("Hello", "Hello! Show me a picture."),
    ("Hi", "Hello! Show me a picture."),
    ("Who are you?", "I am a tiny vision model."),
    ("What is your name?", "I am a tiny vision model."),
    ("What can you do?", "I can describe pictures of shapes."),
    ("Thank you", "You are welcome."),
    ("Describe the image.", "I see no image."),
    ("What do you see?", "I see no image."),
    ("What is in this picture?", "I see no image."),
]


def _a(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def plural(shape: str) -> str:
    return "crosses" if shape == "cross" else shape + "s"


def caption(scene: Scene) -> str:
    """The sentence that tells all of a picture."""
    if scene.kind == "many":
        thing = scene.things[0]
        return _first_upper(f"{COUNTS[len(scene.things)]} {thing.colour} {plural(thing.shape)}.")
    parts = [f"{_a(thing.colour)} {thing.shape} {PLACES[thing.place]}" for thing in scene.things]
    return _first_upper(parts[0] + "." if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] + ".")


def questions(chance: random.Random, scene: Scene) -> list[Asked]:
    """Every question that has one right answer for this picture, in varied words."""
    found: list[Asked] = []
    colour_word = chance.choice(["colour", "color"])
    for thing in scene.things:
        found += _about_thing(chance, scene, thing, colour_word)
    colours = [thing.colour for thing in scene.things]
    shapes = [thing.shape for thing in scene.things]
    if scene.kind == "one":
        found.append(
            (
                chance.choice([f"What {colour_word} is it?", f"What {colour_word} is the shape?"]),
                _first_upper(colours[0]),
            )
        )
        found.append(
            (
                chance.choice(["What shape is it?", "Which shape is this?", "What shape is this?"]),
                _first_upper(shapes[0]),
            )
        )
        found.append((chance.choice(AS_JSON), json.dumps({"color": colours[0], "shape": shapes[0]})))
    elif len(set(colours)) == 1:
        found.append((f"What {colour_word} are the shapes?", _first_upper(colours[0])))
    for _ in range(2):
        asked = chance.choice(
            ["How many shapes are there?", "How many objects are there?", "How many shapes do you see?"]
        )
        found.append((asked, str(len(scene.things))))
    shape = chance.choice([*shapes, chance.choice(SHAPES)])
    found.append((f"How many {plural(shape)} are there?", str(shapes.count(shape))))
    colour = chance.choice([*colours, chance.choice(list(COLOURS))])
    found.append((f"How many {colour} shapes are there?", str(colours.count(colour))))
    pairs = [(thing.colour, thing.shape) for thing in scene.things]
    pair = chance.choice(pairs) if chance.random() < 0.5 else (chance.choice(list(COLOURS)), chance.choice(SHAPES))
    found.append((f"Is there {_a(pair[0])} {pair[1]}?", "Yes." if pair in pairs else "No."))
    found.append((f"What {colour_word} is the background?", _first_upper(scene.ground)))
    return found


def _about_thing(chance: random.Random, scene: Scene, thing: Thing, colour_word: str) -> list[Asked]:
    found: list[Asked] = []
    colour, shape, place = thing.colour, thing.shape, PLACES[thing.place]
    if sum(other.shape == shape for other in scene.things) == 1:
        asked = [f"What {colour_word} is the {shape}?", f"What is the {colour_word} of the {shape}?"]
        found.append((chance.choice(asked), _first_upper(colour)))
    if sum(other.colour == colour for other in scene.things) == 1:
        asked = [f"What shape is {colour}?", f"Which shape is {colour}?", f"What is the {colour} shape?"]
        found.append((chance.choice(asked), _first_upper(shape)))
    if scene.kind != "many":
        if len(scene.things) > 1 or chance.random() < 0.5:
            asked = [f"What is {place}?", f"What do you see {place}?"]
            found.append((chance.choice(asked), _first_upper(f"{_a(colour)} {shape}.")))
        if sum((other.colour, other.shape) == (colour, shape) for other in scene.things) == 1:
            found.append((f"Where is the {colour} {shape}?", _first_upper(place) + "."))
    return found


def ask(chance: random.Random, scene: Scene, count: int, hard_first: bool = False) -> list[Asked]:
    """A caption and `count` questions; with `hard_first`, places and counts come more often."""
    rest = questions(chance, scene)
    chance.shuffle(rest)
    hard = [asked for asked in rest if asked[0].startswith(("Where", "How many"))]
    if hard_first and hard and chance.random() < 0.6:
        first = chance.choice(hard)
        rest.remove(first)
        rest.insert(0, first)
    return [(chance.choice(CAPTIONS), caption(scene)), *rest[:count]]


@dataclass
class Pair:
    """Two pictures, of which the second differs from the first in one thing or in none."""

    scenes: list[Scene]
    asked: list[Asked]
    labels: list[str]  # what stands before each picture: nothing, its number, or its time


def draw_pair(chance: random.Random, split: str = "train", grid: tuple[int, int] = (5, 5)) -> Pair:
    """Two pictures of one shape each, and what changed between them."""
    while True:
        kind, things = arrangement(chance)
        if kind == "one":
            after, change = _changed(chance, things[0])
            if is_held_out("pair", [things[0], after]) == (split == "test"):
                break
    scale = chance.choice([1, 1, 2, 3])
    scenes = [paint(chance, "one", [thing], grid, scale=scale) for thing in (things[0], after)]
    asked: list[Asked] = [
        (chance.choice(["What changed?", "What changed between them?", "What is different?"]), change),
        ("What is in the first image?", caption(scenes[0])),
        ("What is in the second image?", caption(scenes[1])),
    ]
    numbered = chance.random()
    labels = ["", ""] if numbered < 0.5 else ["Image 1:", "Image 2:"]
    if numbered > 0.75:
        second = chance.randint(1, 9)
        labels = ["0.0 s:", f"{second}.{chance.randint(0, 9)} s:"]
    return Pair(scenes, asked, labels)


def _changed(chance: random.Random, thing: Thing) -> tuple[Thing, str]:
    part = chance.random()
    if part < 0.3:
        colour = chance.choice([other for other in COLOURS if other != thing.colour])
        return replace(thing, colour=colour), f"The color changed from {thing.colour} to {colour}."
    if part < 0.6:
        shape = chance.choice([other for other in SHAPES if other != thing.shape])
        return replace(thing, shape=shape), f"The shape changed from {thing.shape} to {shape}."
    if part < 0.85:
        place = chance.choice([other for other in PLACES if other != thing.place])
        return replace(thing, place=place), f"It moved from {PLACES[thing.place]} to {PLACES[place]}."
    return thing, "Nothing changed."
