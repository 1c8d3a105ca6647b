"""Rows from sessions and files: each checked, told by file and line, duplicates left out, split by conversation."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.datasets.files import dataset_rows, file_rows
from adapters.datasets.gathering import gather
from adapters.datasets.sessions import session_rows
from adapters.errors import FileRefused, InvalidRequest
from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage, ToolCall, ToolSpecification

CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def jsonl(path: Path, *lines: Any) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def numbered(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"prompt": f"say {i}", "completion": str(i)} for i in range(start, start + count)]


def test_every_form_of_mlx_lm_is_read(tmp_path: Path) -> None:
    call = {"function": {"name": "add", "arguments": '{"a": 1}'}, "id": "c1", "type": "function"}
    tools = {
        "messages": [{"role": "user", "content": "Add."}, {"role": "assistant", "content": None, "tool_calls": [call]}],
        "tools": [{"name": "add", "parameters": {}}],
    }
    rows = file_rows(jsonl(tmp_path / "d.jsonl", CHAT, numbered(1)[0], {"text": "Once"}, "", tools))
    assert [row.origin for row in rows] == [f"d.jsonl, line {n}" for n in (1, 2, 3, 5)]
    assert rows[0].learned == rows[1].learned == (1,)
    assert rows[2].text == "Once"
    assert rows[3].messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert rows[3].tools == [{"type": "function", "function": {"name": "add", "parameters": {}}}]


def test_weights_say_what_is_not_learned(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "weight": 1},
        {"role": "user", "content": "never answered"},
    ]  # fmt: skip
    (row,) = file_rows(jsonl(tmp_path / "d.jsonl", {"messages": turns}))
    assert row.learned == (3,)
    assert len(row.messages) == 4
    assert all("weight" not in message for message in row.messages)


WRONG: list[tuple[Any, str]] = [
    ("{broken", "no JSON"),
    ("[" * 100_000, "no JSON"),
    ("[1]", "no JSON object"),
    ({}, "neither `messages`"),
    ({"text": "  "}, "neither `messages`"),
    ({"messages": []}, "no list, or empty"),
    ({"messages": "hi"}, "no list, or empty"),
    ({"messages": [{"role": "king", "content": "x"}]}, "role 'king'"),
    ({"messages": ["x"]}, "role 'x'"),
    ({"messages": [{"role": "user", "content": "x"}]}, "no assistant's message"),
    ({"messages": [{"role": "system", "content": "x"}]}, "no assistant's message"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "needs something before it"),
    ({"messages": [{"role": "user", "content": 5}]}, "is no text"),
    ({"messages": [{"role": "user", "content": ""}]}, "says nothing"),
    ({"messages": [*CHAT["messages"], {"role": "assistant", "content": "x", "weight": 7}]}, "`weight` of 7"),
    ({"messages": [CHAT["messages"][0], {"role": "assistant", "tool_calls": [{}]}]}, "without a name"),
    ({"messages": [CHAT["messages"][0], {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]}]}, "no JSON"),
    ({"messages": CHAT["messages"], "tools": "add"}, "`tools` is no list"),
    ({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "neither text nor an image"),
    ({"prompt": "x", "completion": ""}, "completion is empty"),
    ({"prompt": 5, "completion": "x"}, "is no text"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_wrong_is_told_with_file_and_line(line: Any, expected: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "d.jsonl", CHAT, line, CHAT)
    with pytest.raises(InvalidRequest) as caught:
        file_rows(path)
    assert str(caught.value).startswith("d.jsonl, line 2: ")
    assert expected in str(caught.value)


def test_a_folder_brings_its_own_rows_to_hold_back(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", *numbered(4))
    jsonl(tmp_path / "valid.jsonl", *numbered(2, 10))
    train, valid = dataset_rows(tmp_path)
    assert (len(train), len(valid)) == (4, 2)
    found = gather([], str(tmp_path), 0.5, 0)
    assert (len(found.train), len(found.held_back)) == (4, 2)


def test_rows_held_back_are_not_trained_on(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", *numbered(4))
    jsonl(tmp_path / "valid.jsonl", *numbered(2))
    found = gather([], str(tmp_path), 0.5, 0)
    assert (len(found.train), len(found.held_back), found.duplicates) == (2, 2, 2)


def test_links_folders_and_empty_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(jsonl(tmp_path / "d.jsonl", CHAT))
    with pytest.raises(FileRefused):
        file_rows(tmp_path / "link.jsonl")
    with pytest.raises(InvalidRequest, match="is empty"):
        file_rows(jsonl(tmp_path / "empty.jsonl"))
    with pytest.raises(InvalidRequest, match=r"no train\.jsonl"):
        dataset_rows(tmp_path / ".")


def talk(*turns: str, **fields: Any) -> Conversation:
    roles = ["user", "assistant"] * len(turns)
    messages = [RecordedMessage(role=role, content=turn) for role, turn in zip(roles, turns, strict=False)]  # type: ignore[arg-type]
    return Conversation(messages=messages, **fields)


def test_sessions_give_their_kept_turns_with_tools_and_system(isolated: Path) -> None:
    one = talk("a", "b", "c", "d", "e", system="Be kind.", tools=[ToolSpecification(name="add")])
    one.messages[1].keep = False
    one.messages[3].tool_calls.append(ToolCall(name="add", arguments={"a": 1}))
    store.append("s", [one])
    (row,) = session_rows("s")
    assert [message["role"] for message in row.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert row.learned == (4,)
    assert row.messages[4]["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 1}}
    assert row.tools[0]["function"]["name"] == "add"


def test_a_broken_line_of_a_session_is_named(isolated: Path) -> None:
    store.append("s", [talk("a", "b")])
    path = isolated / "state" / "recordings" / "s.jsonl"
    path.write_text(path.read_text() + "broken\n")
    with pytest.raises(InvalidRequest, match="session s, line 2"):
        session_rows("s")


def test_duplicates_are_left_out_over_sessions_and_files(isolated: Path, tmp_path: Path) -> None:
    store.append("s", [talk("say 1", "1"), talk("say 1", "1"), talk("say 2", "2")])
    store.append("t", [talk("say 2", "2")])
    found = gather(["s", "t"], str(jsonl(tmp_path / "d.jsonl", *numbered(3))), 0.3, 0)
    assert found.duplicates == 4
    assert len(found.train) + len(found.held_back) == 3


def test_the_same_seed_holds_back_the_same(tmp_path: Path) -> None:
    path = str(jsonl(tmp_path / "d.jsonl", *numbered(30)))
    first, again, other = (gather([], path, 0.2, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.digest == again.digest
    assert [row.origin for row in first.held_back] != [row.origin for row in other.held_back]
    assert len(first.held_back) == 6


@pytest.mark.parametrize(
    ("count", "part", "held_back"), [(2, 0.01, 1), (3, 0.5, 2), (2, 0.5, 1), (5, 0.0, 0), (1, 0.0, 0)]
)
def test_neither_side_is_ever_empty(count: int, part: float, held_back: int, tmp_path: Path) -> None:
    found = gather([], str(jsonl(tmp_path / "d.jsonl", *numbered(count))), part, 0)
    assert (len(found.train), len(found.held_back)) == (count - held_back, held_back)


def test_one_row_cannot_be_held_back(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="pass validation=0"):
        gather([], str(jsonl(tmp_path / "d.jsonl", *numbered(1))), 0.1, 0)
    with pytest.raises(InvalidRequest, match="nothing to learn from"):
        gather([], None, 0.1, 0)


# --- pictures


def shown(picture: str) -> dict[str, Any]:
    return {"messages": CHAT["messages"], "images": [picture]}


def test_pictures_stand_with_the_first_question(tmp_path: Path) -> None:
    (row,) = file_rows(jsonl(tmp_path / "d.jsonl", shown("/a.png")))
    assert row.images == ("/a.png",)
    assert row.messages[0]["content"] == [{"type": "image", "source": "/a.png"}, {"type": "text", "text": "Hi"}]


def test_pictures_that_are_not_there_or_elsewhere_are_told(tmp_path: Path) -> None:
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "link.png").symlink_to("/etc/hosts")
    cases = [
        (str(granted / "none.png"), "there is no picture"),
        ("picture.png", "no absolute path"),
        ("/etc/hosts", "outside the granted folders"),
        (str(granted / "link.png"), "outside the granted folders"),
    ]
    for picture, expected in cases:
        path = jsonl(tmp_path / "d.jsonl", *numbered(2), shown(picture))
        with pytest.raises(InvalidRequest, match=rf"^d\.jsonl, line 3: .*{expected}"):
            gather([], str(path), 0.1, 0, [str(granted.resolve())])
