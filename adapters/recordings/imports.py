"""Turning what people already have into recordings: JSONL in the OpenAI chat form, and transcripts of Claude Code."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from adapters.errors import InvalidRequest
from adapters.protocol.surrogates import whole_text, whole_value
from adapters.recordings.conversation import Conversation, RecordedMessage, ToolCall, ToolSpecification


def from_jsonl(lines: Iterable[str], source: str) -> list[Conversation]:
    """The conversations of a file, told by its first line to be one form or the other.

    Raises InvalidRequest with the number of the line that is wrong.
    """
    source = whole_text(source)
    entries = [(number, _entry(number, line, source)) for number, line in enumerate(lines, 1) if line.strip()]
    if not entries:
        raise InvalidRequest(f"{source} is empty; give a JSONL file with conversations")
    if any("messages" in entry for _, entry in entries[:1]):
        return [_openai(number, entry, source) for number, entry in entries]
    if any(
        entry.get("type") in ("user", "assistant", "summary", "system", "file-history-snapshot") for _, entry in entries
    ):
        return list(_claude_code(entries, source))
    raise InvalidRequest(
        f"{source}, line {entries[0][0]}: neither a chat in the OpenAI form (an object with `messages`) nor a Claude Code transcript"
    )


def _entry(number: int, line: str, source: str) -> dict[str, Any]:
    try:
        entry = whole_value(json.loads(line))
    except ValueError as error:
        raise InvalidRequest(f"{source}, line {number}: no JSON ({error}); correct the line or remove it") from error
    if not isinstance(entry, dict):
        raise InvalidRequest(f"{source}, line {number}: no JSON object; correct the line or remove it")
    return entry


# --- the OpenAI chat form


def _openai(number: int, entry: dict[str, Any], source: str) -> Conversation:
    try:
        messages = [_openai_message(message) for message in entry["messages"]]
        system = messages.pop(0).content if messages and messages[0].role == "system" else None
        tools = [ToolSpecification(**_known(tool.get("function", tool))) for tool in entry.get("tools") or []]
        return Conversation(source=source, system=system, tools=tools, messages=messages)
    except (ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"{source}, line {number}: {_first(error)}; correct the line or remove it") from error


def _known(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name)}


def _openai_message(message: dict[str, Any]) -> RecordedMessage:
    role = {"developer": "system", "function": "tool"}.get(message["role"], message["role"])
    made = {
        "role": role,
        "content": _text(message.get("content")),
        "reasoning": message.get("reasoning_content"),
        "tool_calls": [_openai_call(call) for call in message.get("tool_calls") or []],
        "tool_call_id": message.get("tool_call_id"),
        "name": message.get("name"),
        # OpenAI's own way to say what is not to be learned from.
        "keep": None if message.get("weight") is None else bool(message["weight"]),
    }
    return RecordedMessage.model_validate(made)


def _openai_call(call: dict[str, Any]) -> ToolCall:
    function = call["function"]
    arguments = function.get("arguments") or {}
    parsed = whole_value(json.loads(arguments)) if isinstance(arguments, str) else arguments
    return ToolCall.model_validate({"id": call.get("id"), "name": function["name"], "arguments": parsed})


def _text(content: Any) -> str:
    """The text of a content that is text, a list of parts, or nothing."""
    if isinstance(content, list):
        return "\n".join(_text(part.get("text") or part.get("content")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


# --- transcripts of Claude Code


def _claude_code(entries: list[tuple[int, dict[str, Any]]], source: str) -> Iterator[Conversation]:
    """The main line of each session in the file: one message for each turn, thinking and tool use apart."""
    sessions: dict[str, list[RecordedMessage]] = {}
    for number, entry in entries:
        if entry.get("type") not in ("user", "assistant") or entry.get("isSidechain") or entry.get("isMeta"):
            continue
        try:
            messages = sessions.setdefault(str(entry.get("sessionId", "")), [])
            for message in _claude_messages(entry["message"]):
                _join(messages, message)
        except (ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidRequest(f"{source}, line {number}: {_first(error)}; correct the line or remove it") from error
    for messages in sessions.values():
        while messages and messages[0].role != "user":
            messages.pop(0)
        if any(message.role == "assistant" for message in messages):
            yield Conversation(source=source, messages=messages)


def _claude_messages(message: dict[str, Any]) -> Iterator[RecordedMessage]:
    content = message["content"]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in blocks:
        if block["type"] == "tool_result":
            yield RecordedMessage(role="tool", content=_text(block.get("content")), tool_call_id=block["tool_use_id"])
    texts = [block["text"] for block in blocks if block["type"] == "text" and block["text"].strip()]
    thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking" and block.get("thinking")]
    calls = [
        ToolCall(id=block["id"], name=block["name"], arguments=block["input"])
        for block in blocks
        if block["type"] == "tool_use"
    ]
    if texts or calls or thoughts:
        yield RecordedMessage(
            role=message["role"], content="\n".join(texts), reasoning="\n".join(thoughts) or None, tool_calls=calls
        )


def _join(messages: list[RecordedMessage], message: RecordedMessage) -> None:
    """Add a message; the pieces of one assistant's turn, which come line by line, become one."""
    last = messages[-1] if messages else None
    if last is not None and last.role == message.role == "assistant" and not last.tool_calls:
        messages[-1] = RecordedMessage(
            role="assistant",
            content="\n".join(filter(None, [last.content, message.content])),
            reasoning="\n".join(filter(None, [last.reasoning, message.reasoning])) or None,
            tool_calls=message.tool_calls,
        )
    elif (
        last is not None and last.role == message.role == "assistant" and not message.content and not message.reasoning
    ):
        messages[-1] = last.model_copy(update={"tool_calls": [*last.tool_calls, *message.tool_calls]})
    else:
        messages.append(message)


def _first(error: Exception) -> str:
    """What is wrong, in a line."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    return f"{type(error).__name__}: {error}"
