"""A line in the OpenAI chat form, as chat templates take it: `messages`, `tools`, and pictures in or beside the messages.

Training and the import of recordings read their files with this. Sources: platform.openai.com/docs/guides/fine-tuning
(`weight`, roles, `function_call` of older files) and mlx_vlm's datasets (`images`).
"""

import json
from dataclasses import dataclass
from typing import Any

from adapters.protocol.surrogates import whole_value
from adapters.recordings.jsonl import wrong

ROLES = ("system", "user", "assistant", "tool")
# What OpenAI has called the same at other times.
_OTHER_ROLES = {"developer": "system", "function": "tool"}


@dataclass(frozen=True)
class Chat:
    """The messages of a line, all of them; for each whether it is to be learned from, None where nothing is said of it.

    `learned` are the places of the messages to learn; `images` the sources of all pictures, in order.
    """

    messages: list[dict[str, Any]]
    keep: list[bool | None]
    learned: tuple[int, ...]
    tools: list[dict[str, Any]]


def read_chat(entry: dict[str, Any], origin: str) -> Chat:
    """Return the conversation of a line. Raises InvalidRequest, beginning with `origin`, for what is none."""
    messages, tools = entry["messages"], entry.get("tools") or []
    if not isinstance(messages, list) or not messages:
        raise wrong(origin, "`messages` is no list, or empty")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise wrong(origin, "`tools` is no list of objects")
    turns = [_message(message, i, origin) for i, message in enumerate(messages)]
    keep = [_keep(message, origin) for message in messages]
    learned = tuple(
        i
        for i, (turn, kept) in enumerate(zip(turns, keep, strict=True))
        if turn["role"] == "assistant" and kept is not False
    )
    if not learned:
        raise wrong(origin, "there is no assistant's message to learn from")
    if learned[0] == 0:
        raise wrong(origin, "the first message is the assistant's; it needs something before it that it answers")
    _show_beside(entry, turns, origin)
    return Chat(turns, keep, learned, [_tool(tool, i, origin) for i, tool in enumerate(tools)])


def images_of(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the sources of the pictures in messages, in order."""
    contents = (message["content"] for message in messages if isinstance(message["content"], list))
    return tuple(part["source"] for content in contents for part in content if part["type"] == "image")


def text_of(content: str | list[dict[str, Any]]) -> str:
    """Return the text of a message's content."""
    return (
        content if isinstance(content, str) else "\n".join(part["text"] for part in content if part["type"] == "text")
    )


def _keep(message: dict[str, Any], origin: str) -> bool | None:
    weight = message.get("weight")
    if weight not in (0, 1, None):
        raise wrong(origin, f"`weight` of {weight!r} is neither 0 nor 1")
    if message.get("keep") is False or weight == 0:
        return False
    return True if weight == 1 or message.get("keep") is True else None


def _message(message: Any, index: int, origin: str) -> dict[str, Any]:
    role = message.get("role") if isinstance(message, dict) else message
    role = _OTHER_ROLES.get(role, role) if isinstance(role, str) else role
    if not isinstance(message, dict) or role not in ROLES:
        raise wrong(origin, f"messages[{index}] has role {str(role)[:40]!r}, which is none of {', '.join(ROLES)}")
    left_out = ("weight", "keep", "function_call", "tool_calls")
    made = {key: value for key, value in message.items() if key not in left_out and value is not None}
    made |= {"role": role, "content": _content(message.get("content"), index, origin)}
    calls = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
    if not isinstance(calls, list):
        raise wrong(origin, f"messages[{index}] has `tool_calls` that are no list")
    if calls and role != "assistant":
        raise wrong(origin, f"messages[{index}] calls tools, and only an assistant does")
    if calls:
        made["tool_calls"] = [_call(call, index, origin) for call in calls]
    if not made["content"] and not calls and role != "tool":
        raise wrong(origin, f"messages[{index}] says nothing")
    return made


def _content(content: Any, index: int, origin: str) -> str | list[dict[str, Any]]:
    """Return text, also of several parts; or the parts where one of them is a picture."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise wrong(origin, f"messages[{index}].content is no text")
    parts = [_part(part, index, origin) for part in content]
    return parts if images_of([{"content": parts}]) else text_of(parts)


def _part(part: Any, index: int, origin: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return {"type": "text", "text": part["refusal"]}
    source = part.get("source") or part.get("image") or part.get("path") if kind == "image" else None
    if kind == "image_url":
        source = part["image_url"].get("url") if isinstance(part.get("image_url"), dict) else part.get("image_url")
    if isinstance(source, str):
        return {"type": "image", "source": source}
    raise wrong(origin, f"messages[{index}] has a part that is neither text nor an image with a path")


def _show_beside(entry: dict[str, Any], messages: list[dict[str, Any]], origin: str) -> None:
    """Show the pictures that stand beside the messages, as mlx_vlm takes them, with the first question."""
    beside = entry.get("images") or []
    if not isinstance(beside, list) or not all(isinstance(image, str) for image in beside):
        raise wrong(origin, "`images` is no list of paths")
    if beside:
        asked = next((message for message in messages if message["role"] == "user"), None)
        if asked is None:
            raise wrong(origin, "there is no user's message to show the images with")
        content = asked["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        asked["content"] = [*({"type": "image", "source": image} for image in beside), *parts]


def _call(call: Any, index: int, origin: str) -> dict[str, Any]:
    """Return a tool call with its arguments as an object: OpenAI's form has them as text, which templates would quote
    again.
    """
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise wrong(origin, f"messages[{index}] has a tool call without a name")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = whole_value(json.loads(arguments))
        except (ValueError, RecursionError) as error:
            raise wrong(origin, f"messages[{index}] has a tool call whose arguments are no JSON") from error
    if not isinstance(arguments, dict):
        raise wrong(origin, f"messages[{index}] has a tool call whose arguments are no object")
    made = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
    return made | ({"id": call["id"]} if call.get("id") else {})


def _tool(tool: dict[str, Any], index: int, origin: str) -> dict[str, Any]:
    function = tool.get("function", tool)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise wrong(origin, f"tools[{index}] has no name")
    return tool if "function" in tool else {"type": "function", "function": tool}
