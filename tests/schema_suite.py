"""The public JSON-Schema-Test-Suite, put to the schemas that answers are held to.

The source distribution of `jsonschema` carries it, pinned as the package is. `suite` gives its folder, or the reason why
it cannot be had here.
"""

import fcntl
import itertools
import json
import random
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llguidance import LLMatcher, LLTokenizer

from adapters.errors import SchemaError
from adapters.mlx.text.schema import check_answer, compile_schema
from adapters.schemas.check import check_value
from adapters.schemas.drafts import KEYWORDS

_ROOT = Path(__file__).parent.parent
_DOWNLOAD_SECONDS = 240
DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
# Answers drawn from a grammar until one is valid, and the longest of them, in bytes.
_DRAWS, _LONGEST = 60, 400


@dataclass
class Found:
    """How many groups of tests, one schema each, the schema of which is enforced, checked after, or refused.

    `wrong` names those that were accepted and wrong, `unnamed` those refused without a word of what is in the way.
    """

    enforced: int = 0
    checked: int = 0
    refused: int = 0
    no_object: int = 0
    wrong: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)


@cache
def suite() -> Path | str:
    """Return the folder of the suite's tests, one folder a draft; or why it cannot be had."""
    name = f"jsonschema-{version('jsonschema')}"
    folder = _ROOT / ".suites"
    folder.mkdir(exist_ok=True)
    with open(folder / ".lock", "w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        tests = folder / name / "json" / "tests"
        if not tests.exists() and (problem := _download(folder, name)):
            return f"the JSON-Schema-Test-Suite could not be downloaded: {problem}"
    return tests


def _download(folder: Path, name: str) -> str | None:
    wanted = name.replace("-", "==", 1)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]
    try:
        ran = subprocess.run(
            [*command, str(folder), wanted], capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return "it took too long"
    if ran.returncode:
        return ran.stderr.strip()[-300:]
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return None


def run(tests: Path, draft: str) -> Found:
    """Put every schema of a draft to the test, those of optional parts too."""
    found = Found()
    for path in sorted((tests / draft).rglob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            place = f"{path.relative_to(tests).with_suffix('')}: {group['description']}"
            _judge(place, group, DRAFTS[draft], found)
    return found


def _judge(place: str, group: dict[str, Any], declared: str, found: Found) -> None:
    schema = group["schema"]
    if not isinstance(schema, dict):
        found.no_object += 1
        return
    schema = {"$schema": declared, **schema}
    try:
        grammar = compile_schema(schema)
    except SchemaError as error:
        found.refused += 1
        found.reasons.append((place, str(error)))
        if not _is_named(str(error)):
            found.unnamed.append(f"{place}: {error}")
        return
    held, reached = True, False
    for test in group["tests"]:
        texts = [text for text in _orders(test["data"]) if is_allowed(grammar, text)]
        passed = [text for text in texts if _passes(text, schema)]
        if test["valid"]:
            reached = reached or bool(passed)
            refused = len(passed) < len(texts) or not _is_valid(test["data"], schema)
            if refused and not _is_annotation(place):
                found.wrong.append(f"{place}: {test['description']}: refused, and it is valid")
        else:
            held = held and not texts
            if passed or _is_valid(test["data"], schema):
                found.wrong.append(f"{place}: {test['description']}: passed, and it is invalid")
    if not reached and not any(_passes(text, schema) for text in drawn(grammar)):
        found.wrong.append(f"{place}: the grammar gives no valid answer")
    found.enforced += held
    found.checked += not held


def _is_annotation(place: str) -> bool:
    """Return whether these tests say that a format is a remark; who writes one here means it."""
    return place.partition(": ")[0].endswith(("/format", "/content")) or "format-annotation" in place


def _is_named(message: str) -> bool:
    """Return whether a refusal says what is in the way: a keyword, a number, or that no value follows the schema."""
    told = message.removeprefix("json_schema ")
    words = set(re.findall(r"[$\w]+", told))
    return bool(words & (KEYWORDS | {"$schema"})) or "no value" in told or "the number" in told


def _orders(value: Any) -> Iterator[str]:
    """Return the value's JSON as answers are laid out, with its properties in every order."""
    if isinstance(value, dict) and len(value) < 5:
        for order in itertools.permutations(value.items()):
            yield json.dumps(dict(order), ensure_ascii=False)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _passes(text: str, schema: dict[str, Any]) -> bool:
    try:
        check_answer(text, schema)
    except ValueError:
        return False
    return True


def _is_valid(value: Any, schema: dict[str, Any]) -> bool:
    try:
        check_value(value, schema)
    except ValueError:
        return False
    return True


@cache
def _bytes() -> LLTokenizer:
    """Return a tokenizer whose tokens are bytes."""
    return LLTokenizer("byte")


def is_allowed(grammar: str, text: str) -> bool:
    """Return whether a grammar allows a text as a whole answer."""
    matcher = LLMatcher(_bytes(), grammar, log_level=0)
    try:
        written = list(text.encode())
    except UnicodeEncodeError:
        return False
    return matcher.try_consume_tokens(written) == len(written) and matcher.is_accepting()


def drawn(grammar: str) -> Iterator[str]:
    """Return answers that a grammar allows, drawn at random, which soon try to end."""
    chance = random.Random(1)
    for _ in range(_DRAWS):
        matcher, written = LLMatcher(_bytes(), grammar, log_level=0), bytearray()
        while len(written) < _LONGEST and not matcher.is_error():
            if matcher.is_accepting() and (matcher.is_stopped() or chance.random() < 0.8):
                yield written.decode("utf-8", "replace")
                break
            mask = matcher.compute_bitmask()
            allowed = [token for token in range(256) if mask[token // 8] >> token % 8 & 1]
            closing = [token for token in allowed if token in b'"]}']
            plain = [token for token in allowed if 0x20 <= token < 0x7F] or allowed
            if not plain:
                break
            token = chance.choice(closing if closing and chance.random() < 0.5 else plain)
            matcher.consume_token(token)
            written.append(token)
