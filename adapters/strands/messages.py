"""From what Strands hands a model to what the engine takes: messages, tools, and the schema of a call that is forced."""

import base64
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from strands.types.content import Messages, SystemContentBlock
from strands.types.tools import ToolChoice, ToolSpec

from adapters.errors import InvalidRequest, SchemaError
from adapters.protocol.surrogates import whole_value
from adapters.schemas.modern import modern

# What model providers take for a tool's name, and MCP clients with them.
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEXTS = ("txt", "md", "csv", "html", "json", "xml", "yaml")
_NOT_SHOWN = "(a picture, which this model does not see)"


def turns(
    messages: Messages,
    system_prompt: str | None = None,
    system_content: list[SystemContentBlock] | None = None,
    *,
    sees: bool = False,
) -> list[dict[str, Any]]:
    """Return the conversation as chat templates take it.

    Tool results are plain strings, right after the calls they answer.
    """
    system = _system(system_prompt, system_content)
    made: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in messages:
        made += _assistant(message["content"]) if message["role"] == "assistant" else _user(message["content"], sees)
    return whole_value(made)


def tools(specs: Iterable[ToolSpec] | None) -> list[dict[str, Any]]:
    """Return the tools as chat templates take them. Raises InvalidRequest for a name that no model could call."""
    return [
        {
            "type": "function",
            "function": {
                "name": check_tool_name(spec["name"]),
                "description": spec["description"],
                "parameters": spec["inputSchema"]["json"],
            },
        }
        for spec in specs or []
    ]


def check_tool_name(name: str) -> str:
    if not _TOOL_NAME.fullmatch(name):
        raise InvalidRequest(
            f"tool {name[:80]!r} cannot be called: a tool's name has letters, digits, '_' and '-', 64 at most; rename it"
        )
    return name


def forced_schema(choice: ToolChoice | None, specs: list[ToolSpec] | None) -> tuple[dict[str, Any], list[str]] | None:
    """Return the schema that makes an answer the call of a tool, and the tools that it may call; None when none is
    forced.

    With one tool the answer is its arguments, with several an object with `name` and `arguments`.
    """
    known = {spec["name"]: spec["inputSchema"]["json"] for spec in specs or []}
    asked: Any = choice or {}
    if "tool" in asked:
        names = [asked["tool"]["name"]]
    elif "any" in asked:
        names = list(known)
    else:
        return None
    if missing := [name for name in names if name not in known]:
        raise InvalidRequest(f"tool_choice names {missing[0]!r}, which is not offered; offered are {', '.join(known)}")
    if not names:
        raise InvalidRequest("tool_choice asks for a call, and no tool is offered; offer one")
    if len(names) == 1:
        schema = known[names[0]]
        return schema if schema.get("type") == "object" else _alone(names[0], schema, "d"), names
    calls, definitions = list[dict[str, Any]](), dict[str, Any]()
    for i, name in enumerate(names):
        arguments = _alone(name, known[name], f"tool{i}_")
        definitions |= arguments.pop("$defs", {})
        call = {"name": {"const": name}, "arguments": arguments}
        calls.append(
            {"type": "object", "properties": call, "required": ["name", "arguments"], "additionalProperties": False}
        )
    return {"anyOf": calls} | ({"$defs": definitions} if definitions else {}), names


def of_output(specs: list[ToolSpec] | None, output: type[BaseModel] | None) -> list[ToolSpec] | None:
    """Return the tools with the whole schema of the output model: Strands writes one that has lost what `$ref` leads
    to.
    """
    if not specs or output is None:
        return specs
    whole = output.model_json_schema()
    return [
        ToolSpec(name=spec["name"], description=spec["description"], inputSchema={"json": whole})
        if spec["name"] == output.__name__
        else spec
        for spec in specs
    ]


def _alone(name: str, schema: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the schema of a tool's arguments, which are an object, so that it can stand beside others.

    Raises SchemaError, naming the tool.
    """
    try:
        plain = modern(schema, prefix)
    except SchemaError as error:
        raise SchemaError(f"tool {name!r} cannot be forced: {error}") from error
    if plain.get("type") == "object":
        return plain
    definitions = {key: plain.pop(key) for key in ("$defs",) if key in plain}
    return {"type": "object", "allOf": [plain]} | definitions


def _system(prompt: str | None, content: list[SystemContentBlock] | None) -> str:
    if content:
        return "\n".join(block["text"] for block in content if "text" in block)
    return prompt or ""


def _assistant(blocks: Iterable[Any]) -> list[dict[str, Any]]:
    blocks = list(blocks)
    message: dict[str, Any] = {"role": "assistant", "content": _words(blocks)}
    thoughts = (block["reasoningContent"] for block in blocks if "reasoningContent" in block)
    if reasoning := "".join(thought.get("reasoningText", {}).get("text", "") for thought in thoughts):
        message["reasoning_content"] = reasoning
    if calls := [block["toolUse"] for block in blocks if "toolUse" in block]:
        message["tool_calls"] = [
            {
                "id": call["toolUseId"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["input"] or {}},
            }
            for call in calls
        ]
    return [message] if message["content"] or calls else []


def _user(blocks: Iterable[Any], sees: bool) -> list[dict[str, Any]]:
    blocks, made, pictures = list(blocks), list[dict[str, Any]](), list[dict[str, str]]()
    for result in (block["toolResult"] for block in blocks if "toolResult" in block):
        text = _words(result["content"])
        shown = [_image_part(item["image"]) for item in result["content"] if "image" in item]
        if shown and not sees:
            text = f"{text}\n{_NOT_SHOWN}".strip()
        if result.get("status") == "error" and not text.lower().startswith("error"):
            text = f"Error: {text}"
        made.append({"role": "tool", "tool_call_id": result["toolUseId"], "content": text})
        pictures += shown if sees else []
    pictures += [_image_part(block["image"]) for block in blocks if "image" in block]
    words = _words(block for block in blocks if "toolResult" not in block)
    if pictures:
        made.append({"role": "user", "content": [*pictures, {"type": "text", "text": words or "Here it is."}]})
    elif words or not made:
        made.append({"role": "user", "content": words})
    return made


def _words(blocks: Iterable[Any]) -> str:
    """Return the text of blocks; what marks a place in a cache, calls and thoughts have none here."""
    parts = list[str]()
    for block in blocks:
        if "text" in block:
            parts.append(block["text"])
        elif "json" in block:
            parts.append(json.dumps(block["json"], ensure_ascii=False))
        elif "citationsContent" in block:
            parts += [one.get("text", "") for one in block["citationsContent"].get("content", [])]
        elif "guardContent" in block:
            parts.append(block["guardContent"].get("text", {}).get("text", ""))
        elif "document" in block:
            parts.append(_document(block["document"]))
        elif kind := next((kind for kind in ("video", "audio") if kind in block), None):
            raise InvalidRequest(
                f"a message holds {kind}, which models here do not take in a conversation; use describe-image or transcribe"
            )
    return "\n".join(parts)


def _document(document: dict[str, Any]) -> str:
    kind, content = document.get("format", ""), document.get("source", {}).get("bytes")
    if kind not in _TEXTS or content is None:
        raise InvalidRequest(
            f"a message holds a document of format {kind!r}; give its text, or one of {', '.join(_TEXTS)}"
        )
    return f'<document name="{document.get("name", "document")}">\n{content.decode("utf-8", "replace").strip()}\n</document>'


def _image_part(image: dict[str, Any]) -> dict[str, str]:
    content = image["source"].get("bytes")
    if content is None:
        raise InvalidRequest("a message holds a picture by its location; give its bytes")
    data = base64.b64encode(content).decode()
    return {"type": "image", "source": f"data:image/{image['format']};base64,{data}"}
