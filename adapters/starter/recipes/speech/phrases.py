"""The digits and household commands that the starter speech model understands."""

import hashlib
import random
from collections.abc import Callable

DIGITS = "zero one two three four five six seven eight nine".split()
NUMBERS = DIGITS[1:] + "ten eleven twelve fifteen twenty thirty forty fifty".split()
ROOMS = "kitchen bedroom bathroom garden office hall".split()
DEVICES = "light lamp fan heater radio television".split()
OPENED = "door window gate garage curtain box".split()
NAMES = "tom anna mary john peter lucy david sarah".split()
CITIES = "paris london berlin madrid tokyo rome".split()
GOODS = "milk bread eggs apples coffee rice cheese water".split()
MUSIC = "music jazz rock piano".split()
COLOURS = "red green blue yellow white".split()
FIXED = [
    "yes", "no", "stop", "go", "left", "right", "up", "down", "cancel", "help", "hello", "thank you", "good morning",
    "good night", "what time is it", "play the next song", "never mind", "start again",
]  # fmt: skip


def _digits(chance: random.Random) -> str:
    (count,) = chance.choices(range(1, 8), weights=[2, 3, 5, 4, 3, 2, 2])
    return " ".join(chance.choice(DIGITS) for _ in range(count))


def _timer(chance: random.Random) -> str:
    unit = chance.choice(["", " minutes", " seconds", " hours"])
    return f"set {chance.choice(['', 'a '])}timer {chance.choice(['to', 'for'])} {chance.choice(NUMBERS)}{unit}"


def _alarm(chance: random.Random) -> str:
    past = chance.choice(["", " thirty", " fifteen", " forty five"])
    return f"set {chance.choice(['', 'an '])}alarm for {chance.choice(NUMBERS[:12])}{past}"


def _switch(chance: random.Random) -> str:
    which = chance.choice(["", chance.choice(ROOMS) + " ", chance.choice(COLOURS) + " "])
    return f"turn {chance.choice(['on', 'off'])} the {which}{chance.choice(DEVICES)}"


def _open(chance: random.Random) -> str:
    room = chance.choice(["", chance.choice(ROOMS) + " "])
    return f"{chance.choice(['open', 'close'])} the {room}{chance.choice(OPENED)}"


def _play(chance: random.Random) -> str:
    return f"{chance.choice(['play', 'stop', 'pause'])} the {chance.choice(MUSIC)}"


def _call(chance: random.Random) -> str:
    return f"call {chance.choice(NAMES)}{chance.choice(['', ' now', ' tomorrow'])}"


def _message(chance: random.Random) -> str:
    return f"send a message to {chance.choice(NAMES)}"


def _weather(chance: random.Random) -> str:
    return f"what is the weather in {chance.choice(CITIES)}{chance.choice(['', ' today', ' tomorrow'])}"


def _list(chance: random.Random) -> str:
    return f"add {chance.choice(GOODS)}{chance.choice(['', ' and ' + chance.choice(GOODS)])} to the list"


def _volume(chance: random.Random) -> str:
    return chance.choice(
        [
            "volume up",
            "volume down",
            f"set the volume to {chance.choice(NUMBERS)}",
            f"set volume to {chance.choice(DIGITS)}",
        ]
    )


def _fixed(chance: random.Random) -> str:
    return chance.choice(FIXED)


def _move(chance: random.Random) -> str:
    steps = chance.choice(["", f" {chance.choice(DIGITS[1:])} steps"])
    return f"{chance.choice(['go', 'move', 'turn'])} {chance.choice(['left', 'right', 'up', 'down'])}{steps}"


def _remind(chance: random.Random) -> str:
    whom, what = chance.choice(["me", "tom", "anna"]), chance.choice(["call", "buy", "send"])
    when = chance.choice(["", " today", " tomorrow"])
    return f"remind {whom} to {what} {chance.choice(NAMES + GOODS)}{when}"


_KINDS: list[tuple[Callable[[random.Random], str], int]] = [
    (_digits, 9), (_timer, 4), (_alarm, 2), (_switch, 4), (_open, 3), (_play, 2), (_call, 2), (_message, 2),
    (_weather, 2), (_list, 2), (_volume, 2), (_fixed, 3), (_move, 2), (_remind, 2),
]  # fmt: skip


def is_held_out(text: str) -> bool:
    """Whether a sentence is kept for grading: an eighth of those of three words or more, chosen by hash."""
    if len(text.split()) < 3 or text in FIXED:  # fixed phrases have words that are found nowhere else
        return False
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % 8 == 0


def draw_phrase(chance: random.Random, held_out: bool = False) -> str:
    """A phrase that was kept for grading, or one that was not."""
    while True:
        (kind,) = chance.choices([make for make, _ in _KINDS], weights=[weight for _, weight in _KINDS])
        text = kind(chance)
        if is_held_out(text) == held_out:
            return text
