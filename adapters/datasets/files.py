"""Rows from JSONL files in the forms that mlx_lm takes: chat, tools, completions and text (mlx_lm/LORA.md).

A folder holds `train.jsonl`, and `valid.jsonl` where what is held back was chosen already.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.datasets.rows import Row
from adapters.errors import InvalidRequest
from adapters.files import open_file
from adapters.protocol.surrogates import whole_value

LARGEST_FILE = 4 << 30
_LONGEST_LINE = 64 << 20
_ROLES = ("system", "user", "assistant", "tool")


def dataset_rows(path: Path) -> tuple[list[Row], list[Row]]:
    """What a file or folder has to train on, and what it says to hold back.

    Raises InvalidRequest with the file and line of what is wrong, FileRefused for what is no file.
    """
    if not path.is_dir():
        return file_rows(path), []
    train, valid = path / "train.jsonl", path / "valid.jsonl"
    if not train.is_file():
        raise InvalidRequest(f"{path} has no train.jsonl; name a JSONL file, or a folder with train.jsonl")
    return file_rows(train), file_rows(valid) if valid.is_file() else []


def file_rows(path: Path) -> list[Row]:
    """The rows of one JSONL file. Raises InvalidRequest with the line of what is wrong."""
    rows = [_row(line, path.name, number) for number, line in _lines(path)]
    if not rows:
        raise InvalidRequest(f"{path.name} is empty; each line is a JSON object with `messages`, `prompt` or `text`")
    return rows


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with open(open_file(path, LARGEST_FILE), "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
            if len(line) > _LONGEST_LINE:
                raise InvalidRequest(f"{path.name}, line {number}: over {_LONGEST_LINE} bytes; split the row")
            if line.strip():
                yield number, line


def _row(line: bytes, name: str, number: int) -> Row:
    origin = f"{name}, line {number}"
    try:
        entry = whole_value(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise _wrong(origin, f"no JSON ({error})") from error
    if not isinstance(entry, dict):
        raise _wrong(origin, "no JSON object")
    if "messages" in entry:
        return _chat(entry, origin)
    if "prompt" in entry and "completion" in entry:
        turns = (("user", entry["prompt"]), ("assistant", entry["completion"]))
        messages = [{"role": role, "content": _text(content, origin, role)} for role, content in turns]
        if not messages[1]["content"]:
            raise _wrong(origin, "the completion is empty")
        return Row(origin, messages, (1,))
    if isinstance(entry.get("text"), str) and entry["text"].strip():
        return Row(origin, text=entry["text"])
    raise _wrong(origin, "neither `messages`, nor `prompt` with `completion`, nor a `text` that says something")


def _chat(entry: dict[str, Any], origin: str) -> Row:
    messages, tools = entry["messages"], entry.get("tools") or []
    if not isinstance(messages, list) or not messages:
        raise _wrong(origin, "`messages` is no list, or empty")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise _wrong(origin, "`tools` is no list of objects")
    turns = [_message(message, i, origin) for i, message in enumerate(messages)]
    learned = [
        i for i, (turn, given) in enumerate(zip(turns, messages, strict=True)) if _is_learned(turn, given, origin)
    ]
    if not learned:
        raise _wrong(origin, "there is no assistant's message to learn from")
    if learned[0] == 0:
        raise _wrong(origin, "the first message is the assistant's; it needs something before it that it answers")
    cut = turns[: learned[-1] + 1]
    return Row(origin, cut, tuple(learned), [_tool(tool) for tool in tools], images=_images(entry, cut, origin))


def _is_learned(turn: dict[str, Any], given: dict[str, Any], origin: str) -> bool:
    weight = given.get("weight", 1)
    if weight not in (0, 1, None):
        raise _wrong(origin, f"`weight` of {weight!r} is neither 0 nor 1")
    return turn["role"] == "assistant" and weight != 0 and given.get("keep") is not False


def _message(message: Any, index: int, origin: str) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        role = message.get("role") if isinstance(message, dict) else message
        raise _wrong(origin, f"messages[{index}] has role {str(role)[:40]!r}, which is none of {', '.join(_ROLES)}")
    made = {key: value for key, value in message.items() if key not in ("weight", "keep")}
    content = made.get("content")
    if isinstance(content, list):
        made["content"] = [_part(part, index, origin) for part in content]
    else:
        made["content"] = _text(content if content is not None else "", origin, f"messages[{index}].content")
    if calls := made.get("tool_calls"):
        made["tool_calls"] = [_call(call, index, origin) for call in calls]
    if not made["content"] and not made.get("tool_calls") and made["role"] != "tool":
        raise _wrong(origin, f"messages[{index}] says nothing")
    return made


def _part(part: Any, index: int, origin: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    source = part.get("source") or part.get("image") or part.get("path") if kind == "image" else None
    if isinstance(source, str):
        return {"type": "image", "source": source}
    raise _wrong(origin, f"messages[{index}] has a part that is neither text nor an image with a path")


def _images(entry: dict[str, Any], messages: list[dict[str, Any]], origin: str) -> tuple[str, ...]:
    """The row's pictures. Those that stand beside the messages, as mlx_vlm takes them, are shown with the first question."""
    beside = entry.get("images") or []
    if not isinstance(beside, list) or not all(isinstance(image, str) for image in beside):
        raise _wrong(origin, "`images` is no list of paths")
    if beside:
        asked = next((message for message in messages if message["role"] == "user"), None)
        if asked is None:
            raise _wrong(origin, "there is no user's message to show the images with")
        content = asked["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        asked["content"] = [*({"type": "image", "source": image} for image in beside), *parts]
    contents = (message["content"] for message in messages if isinstance(message["content"], list))
    return tuple(part["source"] for content in contents for part in content if part["type"] == "image")


def _call(call: Any, index: int, origin: str) -> dict[str, Any]:
    """A tool call with its arguments as an object: OpenAI's form has them as text, which templates would quote again."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _wrong(origin, f"messages[{index}] has a tool call without a name")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = whole_value(json.loads(arguments))
        except ValueError as error:
            raise _wrong(origin, f"messages[{index}] has a tool call whose arguments are no JSON") from error
    if not isinstance(arguments, dict):
        raise _wrong(origin, f"messages[{index}] has a tool call whose arguments are no object")
    made = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
    return made | ({"id": call["id"]} if call.get("id") else {})


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return tool if "function" in tool else {"type": "function", "function": tool}


def _text(value: Any, origin: str, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(origin, f"{name} is no text")
    return value


def _wrong(origin: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{origin}: {problem}; correct the line or remove it")
