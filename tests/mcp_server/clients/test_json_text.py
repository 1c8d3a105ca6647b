"""One member of a JSON text changes, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.clients.json_text import JsonTextError, read, with_member, without_member

ENTRY = {"command": "/bin/x", "args": ["--a", "b"]}
PATH = ("servers", "mlx")

COMMENTED = """\
// My servers.
{
\t"inputs": [], /* none yet */
\t"servers": {
\t\t// the first one
\t\t"other": { "command": "o" }, // keep me
\t},
}
"""

TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def test_comments_order_and_indentation_stay() -> None:
    changed = with_member(COMMENTED, PATH, {"command": "c"}, comments=True)
    for line in COMMENTED.splitlines():
        assert line in changed.splitlines()
    assert read(changed, comments=True)["servers"] == {"other": {"command": "o"}, "mlx": {"command": "c"}}
    assert '\n\t\t"mlx": {\n\t\t\t"command": "c"\n\t\t},' in changed
    assert without_member(changed, PATH, comments=True) == COMMENTED


def test_a_comment_behind_the_last_member_stays_with_it() -> None:
    text = '{\n  "servers": {\n    "other": 1 // why\n  }\n}\n'
    changed = with_member(text, PATH, 2, comments=True)
    assert '"other": 1, // why\n    "mlx": 2\n' in changed


@pytest.mark.parametrize("text", ["", " \n", "{}", "{ }", '{"servers": {}}', '{\r\n  "a": 1\r\n}\r\n'])
def test_what_is_missing_on_the_way_is_made(text: str) -> None:
    changed = with_member(text, PATH, ENTRY, comments=False)
    assert read(changed, comments=False)["servers"] == {"mlx": ENTRY}
    assert ("\r\n" in changed) == ("\r\n" in text)
    assert "\n" not in changed.replace("\r\n", "") or "\r\n" not in text


def test_a_value_that_is_there_is_replaced_in_its_place() -> None:
    text = '{"servers": {"mlx": {"old": [1, 2]}, "z": 1}}'
    assert with_member(text, PATH, 5, comments=False) == '{"servers": {"mlx": 5, "z": 1}}'


@given(st.dictionaries(st.text(max_size=5), TEXTS, max_size=4), st.sampled_from([None, 2, 4, "\t"]), TEXTS)
def test_any_object_keeps_all_but_the_member(before: dict[str, Any], indent: Any, value: Any) -> None:
    before.pop("servers", None)
    text = json.dumps(before, indent=indent, ensure_ascii=False)
    changed = with_member(text, PATH, value, comments=False)
    assert read(changed, comments=False) == before | {"servers": {"mlx": value}}
    assert read(without_member(changed, PATH, comments=False), comments=False) == before | {"servers": {}}


@given(TEXTS)
def test_it_reads_what_json_writes(value: Any) -> None:
    assert read(json.dumps({"v": value}), comments=False) == {"v": value}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,}', "line 1, column 9: a comma stands before the end"),
        ('{\n  "a": }', "line 2, column 8: a value was expected"),
        ('{"a" 1}', "a colon was expected"),
        ("{a: 1}", "a name in double quotes was expected"),
        ('{"a": 1} x', "something follows the end"),
        ("[1]", "not an object"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": // c\n 1}', "a value was expected"),
        ('{"a": 01}', "Extra data"),
        ('{"a": "x\n"}', "a value was expected"),
        ('{"a": 1', "a comma or '}' was expected"),
        ("[" * 300, "nested more than 200 deep"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(JsonTextError, match=said.replace("(", r"\(").replace("}", r"\}")):
        read(text, comments=False)


def test_a_way_that_leads_through_no_object_is_refused() -> None:
    with pytest.raises(JsonTextError, match="'servers' is not an object"):
        with_member('{"servers": [1]}', PATH, ENTRY, comments=False)
