"""Random calls of random tools, written as each family writes them: what is read is what was written, or it is text."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.mlx.text.calls.reading import Answered, read, tool
from tests.adapters.mlx.text.calls.writing import ESCAPED, RAW, Call, Write

ALL = ESCAPED | RAW
# Without a mark that begins them, calls are calls only where nothing else is said.
ALONE = {"Llama 3", "Llama 4 without marks", "Hermes without marks", "gpt-oss"}
FEW = settings(max_examples=15, derandomize=True, deadline=None, database=None)
_ODD = ["\n", '"', "'", "{", "}", "[", "]", "(", ")", "\\", "\\n", ",", ":", "=", "</", "🙂", "é", "null", "1", " "]


def marks_of(write: Write) -> list[str]:
    """All tags and marks that stand in what a family writes."""
    written = write([("f", {"k": "v", "n": 1}), ("f", {})])
    return sorted({*re.findall(r"<[^<>]*>|\[[A-Z_]+\]", written), written})


def values(kind: str, texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
    leaf = texts | st.integers(-(10**12), 10**12) | st.booleans() | st.none() | numbers
    keys = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True)
    tree = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=5
    )
    made: dict[str, st.SearchStrategy[Any]] = {
        "string": texts,
        "integer": st.integers(-(10**12), 10**12),
        "number": numbers,
        "boolean": st.booleans(),
        "array": st.lists(tree, max_size=3),
        "object": st.dictionaries(keys, tree, max_size=3),
    }
    return made[kind]


@st.composite
def asked(draw: st.DrawFn, marks: list[str]) -> tuple[list[dict[str, Any]], list[Call]]:
    """Tools, and calls of them."""
    edge = st.sampled_from(["", "", "", "\n", " ", "\n\n"])
    middle = st.lists(st.text(max_size=6) | st.sampled_from(_ODD + marks), max_size=5).map("".join)
    texts = st.tuples(edge, middle, edge).map("".join)
    names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,12}", fullmatch=True)
    keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
    kinds = st.sampled_from(["string", "string", "integer", "number", "boolean", "array", "object", "string?"])
    tools, calls = [], list[Call]()
    for name in draw(st.lists(names, min_size=1, max_size=2, unique=True)):
        declared = draw(st.dictionaries(keys, kinds, max_size=4))
        required = [key for key in declared if draw(st.booleans())]
        schemas: dict[str, Any] = {
            key: {"type": ["string", "null"] if kind == "string?" else kind} for key, kind in declared.items()
        }
        tools.append(tool(name, required, **schemas))
        for _ in range(draw(st.integers(0 if calls else 1, 2))):
            given_ = [key for key in declared if key in required or draw(st.booleans())]
            calls.append((name, {key: draw(values(declared[key].rstrip("?"), texts)) for key in given_}))
    return tools, calls


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces, at = list[str](), 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return [*pieces, text[at:]]


def same(one: Any, other: Any) -> bool:
    """Whether two values are one JSON value: 1 is not true."""
    return repr(one) == repr(other)


def is_part(found: list[Call], written: list[Call]) -> bool:
    """Whether what was found was written, in that order."""
    left = iter(written)
    return all(any(same(call, other) for other in left) for call in found)


@pytest.mark.parametrize("name", ALL)
@FEW
@given(data=st.data())
def test_a_call_is_read_as_it_was_written_or_is_text(name: str, data: st.DataObject) -> None:
    family, write = ALL[name]
    tools, calls = data.draw(asked(marks_of(write)))
    text = write(calls)
    before = data.draw(st.sampled_from(["", "Let me see.\n"])) if name not in ALONE else ""
    sizes = data.draw(st.lists(st.integers(1, 9), max_size=40))
    answered = read(family, *cut(before + text, sizes), tools=tools)
    assert is_part(answered.calls, calls)
    assert family == "harmony" or answered.whole == before + text
    if name in ESCAPED:
        assert same(answered.calls, calls)
    whole = read(family, before + text, tools=tools)
    assert same((whole.calls, whole.shown), (answered.calls, answered.shown))


@pytest.mark.parametrize("name", RAW)
@FEW
@given(data=st.data())
def test_values_without_tags_are_read_whole(name: str, data: st.DataObject) -> None:
    family, write = RAW[name]
    tools, calls = data.draw(asked([]))
    calls = [(one, plain(given_)) for one, given_ in calls]
    answered = read(family, write(calls), tools=tools)
    assert same(answered.calls, calls)


def plain(value: Any) -> Any:
    """The value with no sign in its texts that tags are made of, and none that means a value of another kind."""
    if isinstance(value, str):
        return "x" + re.sub(r"[<>]", "", value).strip()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ALL)
@FEW
@given(data=st.data())
def test_what_was_not_offered_or_does_not_fit_is_text(name: str, data: st.DataObject) -> None:
    family, write = ALL[name]
    tools, calls = data.draw(asked([]))
    others = [tool(one["function"]["name"], ["must"], must={"type": "string"}) for one in tools]
    calls = [(one, plain(given_)) for one, given_ in calls if "must" not in given_]
    if not calls:
        return
    for offered in (others, [tool("something_else")]):
        answered = read(family, write(calls), tools=offered)
        assert answered.calls == []
        assert family == "harmony" or answered.shown == write(calls)


@pytest.mark.parametrize("name", ALL)
@FEW
@given(data=st.data())
def test_a_call_that_is_damaged_is_never_another_call(name: str, data: st.DataObject) -> None:
    family, write = ALL[name]
    tools, calls = data.draw(asked([]))
    calls = [(one, plain(given_)) for one, given_ in calls]
    text = write(calls)
    at = data.draw(st.integers(0, len(text)))
    answered: Answered = read(family, text[:at], tools=tools, cut=True)
    assert is_part(answered.calls, calls)
    assert family == "harmony" or answered.whole == text[:at]
