"""The id of a request that cannot be read as a whole, so that its client still gets an answer. Standard library only."""

import re

# Where an id is looked for: clients write it near the beginning or, some of them, at the end.
_SEARCHED = 1 << 16
_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_VALUE = re.compile(
    rb'\s*:\s*("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,256}"|-?(?:0|[1-9]\d{0,15}))\s*[,}\r\n]'
)


def request_id(line: bytes) -> bytes | None:
    """Return the id of the message on this line as JSON, a text or a whole number; None where there is none to be read.

    Only an id of the message itself counts, not one that stands deeper in it.
    """
    depth = 0
    for found in _PIECE.finditer(line[:_SEARCHED]):
        piece = found.group()
        if piece in b"{[":
            depth += 1
        elif piece in b"}]":
            depth -= 1
        elif depth == 1 and piece == b'"id"' and (value := _VALUE.match(line, found.end())):
            return value[1]
    return None
