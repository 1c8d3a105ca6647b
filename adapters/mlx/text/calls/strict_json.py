"""JSON values within a text, read so that nothing is lost: no name twice, no number that is none."""

import json
import math
from typing import Any

from adapters.mlx.text.calls.found import NotACall, Unfinished

# The decoder's errors near the end of a text may be those of a value that is not whole yet.
_NEAR_END = 12


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotACall("a name stands twice in an object")
    return made


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NotACall("a number is too large")
    return value


def _refused(word: str) -> Any:
    raise NotACall(f"{word} is no JSON")


# Line ends within strings are taken as they stand: models write them so.
_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refused)


def read_value(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that begins here, and where it ends.

    Raises NotACall, or Unfinished where the text ends within it.
    """
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Unterminated") or error.pos >= len(text) - _NEAR_END:
            raise Unfinished from error
        raise NotACall(f"no JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise NotACall(f"no JSON: {error}") from error


def whole_value(text: str) -> Any:
    """Return the value of a text that is JSON and nothing else. Raises NotACall."""
    text = text.strip()
    try:
        value, end = read_value(text, 0)
    except Unfinished as error:
        raise NotACall("the JSON is not whole") from error
    if end != len(text):
        raise NotACall("something follows the JSON")
    return value
