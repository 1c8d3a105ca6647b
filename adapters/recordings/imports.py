"""Turning what people already have into recordings: JSONL in the OpenAI chat form, and transcripts of Claude Code."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.errors import InvalidRequest
from adapters.recordings.chat_form import images_of, read_chat, text_of
from adapters.recordings.conversation import Conversation, RecordedMessage, ToolCall, ToolSpecification
from adapters.recordings.jsonl import jsonl_entries, jsonl_entry, wrong


def from_file(path: Path) -> list[Conversation]:
    """Return the conversations of a JSONL file, told by its first line to be one form or the other.

    Raises InvalidRequest with the number of the line that is wrong, FileRefused for what is no file.
    """
    return _conversations(list(jsonl_entries(path)), path.name)


def from_jsonl(lines: Iterable[str], source: str) -> list[Conversation]:
    """Return the conversations of lines, as `from_file` does.

    Raises InvalidRequest with the number of the wrong line.
    """
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    return _conversations(
        [(number, jsonl_entry(line, f"{source}, line {number}")) for number, line in numbered], source
    )


def _conversations(entries: list[tuple[int, dict[str, Any]]], source: str) -> list[Conversation]:
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


# --- the OpenAI chat form


def _openai(number: int, entry: dict[str, Any], source: str) -> Conversation:
    origin = f"{source}, line {number}"
    if "messages" not in entry:
        raise wrong(origin, "there is no `messages`")
    chat = read_chat(entry, origin)
    try:
        messages = [_recorded(message, keep) for message, keep in zip(chat.messages, chat.keep, strict=True)]
        system = messages.pop(0).content if messages[0].role == "system" else None
        tools = [ToolSpecification(**_known(tool["function"])) for tool in chat.tools]
        return Conversation(source=source, system=system, tools=tools, messages=messages)
    except ValidationError as error:
        raise wrong(origin, _first(error)) from error


def _known(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name)}


def _recorded(message: dict[str, Any], keep: bool | None) -> RecordedMessage:
    calls = [call["function"] | {"id": call.get("id")} for call in message.get("tool_calls", ())]
    made = {
        "role": message["role"],
        "content": text_of(message["content"]),
        "reasoning": message.get("reasoning_content"),
        "tool_calls": calls,
        "tool_call_id": message.get("tool_call_id"),
        "name": message.get("name"),
        "images": list(images_of([message])),
        "keep": keep,
    }
    return RecordedMessage.model_validate(made)


def _text(content: Any) -> str:
    """Return the text of a content that is text, a list of parts, or nothing."""
    if isinstance(content, list):
        return "\n".join(_text(part.get("text") or part.get("content")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


# --- transcripts of Claude Code


def _claude_code(entries: list[tuple[int, dict[str, Any]]], source: str) -> Iterator[Conversation]:
    """Yield the main line of each session in the file: one message for each turn, thinking and tool use apart."""
    sessions: dict[str, list[RecordedMessage]] = {}
    for number, entry in entries:
        if entry.get("type") not in ("user", "assistant") or entry.get("isSidechain") or entry.get("isMeta"):
            continue
        try:
            messages = sessions.setdefault(str(entry.get("sessionId", "")), [])
            for message in _claude_messages(entry["message"]):
                _join(messages, message)
        except (ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise wrong(f"{source}, line {number}", _first(error)) from error
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
    """Return what is wrong, in a line."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    return f"{type(error).__name__}: {error}"
