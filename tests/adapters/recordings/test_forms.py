"""What recordings are made from and what is made of them: checks, imports, exports, splits."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.errors import InvalidRequest
from adapters.recordings.conversation import Conversation, RecordedMessage, ToolCall, ToolSpecification
from adapters.recordings.exports import jsonl, rows
from adapters.recordings.imports import from_jsonl
from adapters.recordings.splits import split_conversations


def said(role: Any, content: str = "x", **more: Any) -> RecordedMessage:
    return RecordedMessage(role=role, content=content, **more)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([said("user")], "no assistant's message to learn from"),
        ([said("system")], "no assistant's message"),
        ([said("user"), said("assistant", keep=False)], "no assistant's message"),
        ([said("assistant")], "needs something before it"),
        ([said("user"), said("system"), said("assistant")], "system message goes first"),
        ([said("user"), said("assistant", "")], "assistant says nothing"),
        ([said("user", tool_calls=[ToolCall(name="t")]), said("assistant")], "only an assistant calls tools"),
    ],
)
def test_what_is_no_conversation_is_refused(messages: list[RecordedMessage], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Conversation(messages=messages)


def test_every_assistants_message_is_learned_unless_it_is_said_otherwise() -> None:
    conversation = Conversation(
        messages=[
            said("user"),
            said("assistant", keep=False),
            said("user"),
            said("assistant"),
            said("assistant", keep=True),
        ]
    )
    assert conversation.learned == 2


WEATHER = Conversation(
    system="Be brief.",
    tools=[ToolSpecification(name="weather", description="The weather", parameters={"type": "object"})],
    messages=[
        said("user", "How is it in Rome?"),
        said("assistant", "", tool_calls=[ToolCall(name="weather", arguments={"city": "Rome"})]),
        said("tool", "sunny", tool_call_id="call_1_0"),
        said("assistant", "Sunny."),
        said("user", "Thanks"),
    ],
)


def test_exports_are_rows_that_a_chat_template_takes() -> None:
    (row,) = rows([WEATHER], "tools")
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    call = row["messages"][2]["tool_calls"][0]
    assert call == {
        "id": "call_1_0",
        "type": "function",
        "function": {"name": "weather", "arguments": {"city": "Rome"}},
    }
    assert row["tools"][0]["function"]["name"] == "weather"
    (chat,) = rows([WEATHER], "chat")
    assert "tools" not in chat
    (plain,) = rows([WEATHER], "text")
    assert plain["text"].splitlines()[0] == "Be brief."
    assert 'weather({"city": "Rome"})' in plain["text"]
    assert json.loads(jsonl([WEATHER], "chat"))["messages"][0]["content"] == "Be brief."


def test_an_export_is_read_back_as_it_was() -> None:
    (again,) = from_jsonl(jsonl([WEATHER], "tools").splitlines(), "export.jsonl")
    assert again.system == WEATHER.system
    assert again.tools == WEATHER.tools
    assert [m.content for m in again.messages] == [m.content for m in WEATHER.messages[:-1]]
    assert again.messages[1].tool_calls[0].arguments == {"city": "Rome"}


def test_the_openai_form_is_read_with_its_arguments_as_text_and_its_weights() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    line = json.dumps({
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
            {"role": "assistant", "content": "wrong", "weight": 0},
            {"role": "assistant", "content": "right", "weight": 1},
        ]
    })  # fmt: skip
    (made,) = from_jsonl([line], "chat.jsonl")
    assert made.system == "Be brief."
    assert made.messages[0].content == "one\ntwo"
    assert made.messages[1].tool_calls[0].arguments == {"a": 1}
    assert [message.learned for message in made.messages] == [False, True, False, False, True]


CLAUDE = [
    {"type": "summary", "summary": "x"},
    {"type": "user", "sessionId": "s", "message": {"role": "user", "content": "List the files."}},
    {"type": "assistant", "sessionId": "s", "message": {"role": "assistant", "content": [{"type": "thinking", "thinking": "I look."}]}},
    {"type": "assistant", "sessionId": "s", "message": {"role": "assistant", "content": [{"type": "text", "text": "I look."}]}},
    {"type": "assistant", "sessionId": "s", "message": {"role": "assistant", "content": [
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]}},
    {"type": "user", "sessionId": "s", "message": {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a.txt"}]}]}},
    {"type": "assistant", "isSidechain": True, "sessionId": "s", "message": {"role": "assistant", "content": [{"type": "text", "text": "aside"}]}},
    {"type": "assistant", "sessionId": "s", "message": {"role": "assistant", "content": [{"type": "text", "text": "There is a.txt."}]}},
]  # fmt: skip


def test_a_claude_code_transcript_becomes_one_conversation() -> None:
    (made,) = from_jsonl([json.dumps(entry) for entry in CLAUDE], "session.jsonl")
    assert [message.role for message in made.messages] == ["user", "assistant", "tool", "assistant"]
    turn = made.messages[1]
    assert (turn.content, turn.reasoning) == ("I look.", "I look.")
    assert turn.tool_calls[0].name == "Bash"
    assert made.messages[2].content == "a.txt"
    assert made.messages[3].content == "There is a.txt."


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "is empty"),
        (["{}"], "line 1: neither"),
        (['{"messages": []}'], "line 1"),
        (['{"messages": [{"role": "user", "content": "x"}]}'], "line 1: .*no assistant"),
        (["", "not json"], "line 2: no JSON"),
        (["[1]"], "line 1: no JSON object"),
        (['{"messages": [{"role": "user"}, {"role": "boss", "content": "x"}]}'], "line 1"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(lines: list[str], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        from_jsonl(lines, "chat.jsonl")


def test_line_731_is_named() -> None:
    good = json.dumps({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]})
    with pytest.raises(InvalidRequest, match=r"chat\.jsonl, line 731"):
        from_jsonl([good] * 730 + ['{"messages": 5}'] + [good] * 3, "chat.jsonl")


def test_a_split_has_two_sides_and_one_seed_gives_one_split() -> None:
    for count in (2, 3, 10, 100):
        kept, held = split_conversations(list(range(count)), 0.1, 7)
        assert kept
        assert held
        assert sorted(kept + held) == list(range(count))
        assert (kept, held) == split_conversations(list(range(count)), 0.1, 7)
    assert split_conversations(list(range(100)), 0.1, 7) != split_conversations(list(range(100)), 0.1, 8)
    with pytest.raises(InvalidRequest, match="at least two"):
        split_conversations([1], 0.1, 0)
