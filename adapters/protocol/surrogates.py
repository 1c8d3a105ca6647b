"""Text without lone surrogates, which no UTF-8 holds: halves of an emoji that a program cut in two.

JSON can write such a half as an escape (`"\\ud83d"`, RFC 8259 section 8.2), and Python reads it; UTF-8 and strict JSON
readers refuse it. Each one becomes U+FFFD, as when bytes are decoded with replacement. Two halves that stand next to each
other are one character.
"""

import re
from typing import Any

_LONE = re.compile("[\ud800-\udfff]")
# A pair, a half, or any other escape: the last so that the second backslash of `\\` begins none.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def whole_text(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate."""
    if not _LONE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def whole_value(value: Any) -> Any:
    """Return a value of lists, dicts and text with `whole_text` for each text in it, names of keys among them."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {whole_value(name): whole_value(one) for name, one in value.items()}
    if isinstance(value, list):
        return [whole_value(one) for one in value]
    if isinstance(value, tuple):
        return tuple(whole_value(one) for one in value)
    return value


def whole_json(content: bytes) -> bytes:
    """Return JSON in UTF-8 with U+FFFD for each lone surrogate, escaped or not, and for bytes that are no UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        try:
            content = whole_text(content.decode("utf-8", "surrogatepass")).encode()
        except UnicodeDecodeError:
            content = content.decode("utf-8", "replace").encode()
    if b"\\ud" not in content and b"\\uD" not in content:
        return content
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], content)
