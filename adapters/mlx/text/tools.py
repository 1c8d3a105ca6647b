"""Tools for models whose chat template shows none: said in words, and called in the form that most models know.

A template that never names `tools` drops them silently, and the calls in a conversation with them: an agent's tools would
never be called, and nobody would know why.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlx_lm.tool_parsers import json_tools

Message = dict[str, Any]

_TOOLS = """You may call tools. Each is described by a line of JSON:
{tools}
To call one, answer with its name and its arguments, and nothing else:
{start}
{{"name": "the tool's name", "arguments": {{"an argument": "its value"}}}}
{end}"""
_RESULT = "<tool_response>\n{result}\n</tool_response>"


@dataclass(frozen=True)
class CallForm:
    """How a model writes a call: between which markers, and what reads that. No markers: it writes none."""

    start: str | None
    end: str | None
    parse: Callable[..., Any] | None


def call_form(tokenizer: Any) -> CallForm:
    """Return the form that mlx_lm knows of this model, or the one that it is told of here."""
    if shows_tools(tokenizer):
        return CallForm(tokenizer.tool_call_start, tokenizer.tool_call_end, tokenizer.tool_parser)
    return CallForm(json_tools.tool_call_start, json_tools.tool_call_end, json_tools.parse_tool_call)


def shows_tools(tokenizer: Any) -> bool:
    """Return whether the model's own template tells it of its tools. One that is code in place of a text is taken to."""
    if tokenizer.has_tool_calling:
        return True
    if not tokenizer.has_chat_template:
        return False
    template = getattr(tokenizer, "chat_template", None)
    return not isinstance(template, str) or "tools" in template


def in_words(tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]]) -> list[Message]:
    """Return the messages with tools, calls and results as text, where the model would see nothing of them otherwise.

    The tools stand at the end of the system prompt, or at the beginning of the first message of a user.
    """
    uses_tools = bool(tools) or any(message.get("tool_calls") or message["role"] == "tool" for message in messages)
    if not uses_tools or shows_tools(tokenizer):
        return messages
    told: list[Message] = []
    after_result = False
    for message in messages:
        result, written = message["role"] == "tool", _written(message)
        if told and written["role"] == told[-1]["role"] == "user" and (result or after_result):
            # Many templates refuse two messages of a user in a row.
            written = written | {"content": f"{told.pop()['content']}\n{written['content']}"}
        told.append(written)
        after_result = result
    if not tools:
        return told
    lines = "\n".join(json.dumps(tool.get("function", tool), ensure_ascii=False) for tool in tools)
    words = _TOOLS.format(tools=lines, start=json_tools.tool_call_start, end=json_tools.tool_call_end)
    if told and told[0]["role"] == "system":
        return [told[0] | {"content": f"{told[0]['content']}\n\n{words}"}, *told[1:]]
    first = next((i for i, message in enumerate(told) if message["role"] == "user"), None)
    if first is None:
        return [{"role": "system", "content": words}, *told]
    with_tools = told[first] | {"content": f"{words}\n\n{told[first]['content']}"}
    return [*told[:first], with_tools, *told[first + 1 :]]


def _written(message: Message) -> Message:
    """Return a message whose calls stand in its text, and a tool's result as what a user says."""
    content = str(message.get("content") or "")
    if message.get("role") == "tool":
        return {"role": "user", "content": _RESULT.format(result=content)}
    if not message.get("tool_calls"):
        return message
    calls = [
        f"{json_tools.tool_call_start}\n{json.dumps(_call(call), ensure_ascii=False)}\n{json_tools.tool_call_end}"
        for call in message["tool_calls"]
    ]
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return rest | {"content": "\n".join([content, *calls] if content else calls)}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", call)
    arguments = function.get("arguments") or {}
    return {
        "name": function["name"],
        "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments,
    }
