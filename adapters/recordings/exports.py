"""Recordings in the forms that mlx_lm trains on: chat, tools and text (mlx_lm/LORA.md)."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from adapters.recordings.conversation import Conversation, RecordedMessage

Form = Literal["chat", "tools", "text"]


def as_chat(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the messages as chat templates take them, the system prompt first."""
    system = [{"role": "system", "content": conversation.system}] if conversation.system else []
    return system + [_message(message, i) for i, message in enumerate(conversation.messages)]


def tools_of(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the tools that were offered, as chat templates take them."""
    return [{"type": "function", "function": tool.model_dump()} for tool in conversation.tools]


def rows(conversations: Iterable[Conversation], form: Form) -> Iterator[dict[str, Any]]:
    """One row for each conversation, cut after the last message that is to be learned from."""
    for conversation in conversations:
        last = max(i for i, message in enumerate(conversation.messages) if message.learned)
        cut = conversation.model_copy(update={"messages": conversation.messages[: last + 1]})
        if form == "text":
            yield {"text": _plain(cut)}
        else:
            row: dict[str, Any] = {"messages": as_chat(cut)}
            yield row | ({"tools": tools_of(cut)} if form == "tools" and cut.tools else {})


def jsonl(conversations: Iterable[Conversation], form: Form) -> str:
    """Return the rows as the content of a JSONL file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(conversations, form))


def _message(message: RecordedMessage, index: int) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        made["reasoning_content"] = message.reasoning
    if message.tool_calls:
        made["tool_calls"] = [
            {
                "id": call.id or f"call_{index}_{i}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for i, call in enumerate(message.tool_calls)
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    if message.name:
        made["name"] = message.name
    return made


def _plain(conversation: Conversation) -> str:
    """Return a conversation as running text, for models without a chat template."""
    parts = [conversation.system] if conversation.system else []
    for message in conversation.messages:
        calls = [f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})" for call in message.tool_calls]
        parts.append("\n".join(filter(None, [f"{message.role.capitalize()}: {message.content}".strip(), *calls])))
    return "\n\n".join(parts)
