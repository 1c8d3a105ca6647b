"""Lines of a JSONL file, read alike wherever people's files come in. Raises InvalidRequest with the file and the line.

A line ends at a line feed and nowhere else: other ends of a line, such as U+2028, may stand within a string.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.errors import InvalidRequest
from adapters.files import open_file
from adapters.protocol.surrogates import whole_value

LARGEST_FILE = 4 << 30
_LONGEST_LINE = 64 << 20


def jsonl_entries(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the objects of a file, each with the number of its line; empty lines are passed over.

    Raises FileRefused for what is no file.
    """
    with open(open_file(path, LARGEST_FILE), "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
            origin = f"{path.name}, line {number}"
            if len(line) > _LONGEST_LINE:
                raise InvalidRequest(f"{origin}: over {_LONGEST_LINE} bytes; split the row")
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise InvalidRequest(f"{path.name} is in UTF-16; save it in UTF-8")
            if (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
                yield number, jsonl_entry(line, origin)


def jsonl_entry(line: bytes | str, origin: str) -> dict[str, Any]:
    """Return the object of one line. Half a character (a lone surrogate) in it is U+FFFD."""
    try:
        text = (line if isinstance(line, str) else line.decode("utf-8")).removeprefix("\ufeff")
        entry = whole_value(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise wrong(origin, f"no JSON ({error})") from error
    if not isinstance(entry, dict):
        raise wrong(origin, "no JSON object")
    return entry


def wrong(origin: str, problem: str) -> InvalidRequest:
    """Return the error that says what is wrong with a line."""
    return InvalidRequest(f"{origin}: {problem}; correct the line or remove it")
