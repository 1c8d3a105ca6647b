"""Training and `sessions import` read the same files alike: the same turns, the same ones learned, the same words for what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.datasets.files import file_rows
from adapters.errors import InvalidRequest
from adapters.recordings.conversation import Conversation
from adapters.recordings.exports import as_chat
from adapters.recordings.imports import from_file

ASKED: dict[str, Any] = {"role": "user", "content": "Which colours?"}
SAID: dict[str, Any] = {"role": "assistant", "content": "Red\u2028and blue\u2029\x85."}
CALL = {"name": "look", "arguments": '{"at": "sky"}'}


def written(path: Path, *entries: Any, before: bytes = b"", end: str = "\n") -> Path:
    lines = "".join(
        f"{entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False)}{end}" for entry in entries
    )
    path.write_bytes(before + lines.encode())
    return path


def turns(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What is said and called, without ids that are made up."""
    calls = [[call["function"] for call in message.get("tool_calls", [])] for message in messages]
    return [(message["role"], message["content"], called) for message, called in zip(messages, calls, strict=True)]


def learned(conversation: Conversation) -> tuple[int, ...]:
    before = 1 if conversation.system else 0
    return tuple(i + before for i, message in enumerate(conversation.messages) if message.learned)


ROWS: dict[str, list[dict[str, Any]]] = {
    "line ends of Unicode within a string": [ASKED, SAID],
    "developer": [{"role": "developer", "content": "Be brief."}, ASKED, SAID],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "input_text", "text": "two"}]}, SAID],
    "a refusal": [ASKED, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
    "function": [
        ASKED, {"role": "assistant", "content": None, "function_call": CALL},
        {"role": "function", "name": "look", "content": "blue"}, SAID,
    ],
    "calls": [
        ASKED, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": CALL}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "blue"}]}, SAID,
    ],
    "weights": [ASKED, SAID | {"weight": 0}, ASKED, SAID | {"weight": 1}],
    "keep": [ASKED, SAID | {"keep": False}, ASKED, SAID],
    "half a character": [{"role": "user", "content": "\\ud83d"}, SAID],
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("before", "end"), [(b"", "\n"), (b"\xef\xbb\xbf", "\r\n"), (b"", "\n \n")])
def test_a_row_is_the_same_to_both(name: str, before: bytes, end: str, tmp_path: Path) -> None:
    entry = json.dumps({"messages": ROWS[name]}, ensure_ascii=False).replace("\\\\ud83d", "\\ud83d")
    path = written(tmp_path / "d.jsonl", entry, entry, before=before, end=end)
    rows, recorded = file_rows(path), from_file(path)
    assert len(rows) == len(recorded) == 2
    assert turns(rows[1].messages) == turns(as_chat(recorded[1]))
    assert rows[1].learned == learned(recorded[1])
    said = [part[1] for part in turns(rows[1].messages)]
    if name == "parts":
        assert said[0] == "one\ntwo"
    if name == "half a character":
        assert said[0] == "\ufffd"
    if name in ("function", "calls"):
        assert turns(rows[1].messages)[1:3] == [
            ("assistant", "", [{"name": "look", "arguments": {"at": "sky"}}]), ("tool", "blue", []),
        ]  # fmt: skip


def test_pictures_in_and_beside_messages_are_the_same_to_both(tmp_path: Path) -> None:
    inside = [{"type": "image", "path": "/a.png"}, {"type": "text", "text": "What is it?"}]
    entries = [
        {"messages": [{"role": "user", "content": inside}, SAID]},
        {"messages": [ASKED, SAID], "images": ["/b.png"]},
    ]
    path = written(tmp_path / "d.jsonl", *entries)
    rows, recorded = file_rows(path), from_file(path)
    assert [row.images for row in rows] == [("/a.png",), ("/b.png",)]
    assert [one.messages[0].images for one in recorded] == [["/a.png"], ["/b.png"]]
    assert recorded[0].messages[0].content == "What is it?"


WRONG: list[Any] = [
    "{broken",
    "[1]",
    {"messages": []},
    {"messages": [{"role": "king", "content": "x"}]},
    {"messages": [ASKED]},
    {"messages": [SAID]},
    {"messages": [{"role": "user", "content": 5}, SAID]},
    {"messages": [{"role": "user", "content": ""}, SAID]},
    {"messages": [{"role": "user", "content": [{"type": "sound"}]}, SAID]},
    {"messages": [ASKED, SAID | {"weight": 7}]},
    {"messages": [ASKED, {"role": "assistant", "tool_calls": [{}]}]},
    {"messages": [ASKED, {"role": "assistant", "tool_calls": [{"function": CALL | {"arguments": "{"}}]}]},
    {"messages": [ASKED | {"tool_calls": [{"function": CALL}]}, SAID]},
    {"messages": [ASKED, SAID], "tools": [{"description": "no name"}]},
    {"messages": [ASKED, SAID], "images": "a.png"},
]


@pytest.mark.parametrize("entry", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_wrong_is_told_in_the_same_words(entry: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "d.jsonl", {"messages": [ASKED, SAID]}, "", entry)
    said = list[str]()
    for read in (file_rows, from_file):
        with pytest.raises(InvalidRequest) as caught:
            read(path)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].startswith("d.jsonl, line 3: ")


def test_a_file_in_utf16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"messages": [ASKED, SAID]}), encoding="utf-16")
    for read in (file_rows, from_file):
        with pytest.raises(InvalidRequest, match="is in UTF-16; save it in UTF-8"):
            read(path)
