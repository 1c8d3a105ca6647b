"""A conversation as one model's chat template reads it: calls, results, tools and the system turn in its own form."""

import json
from typing import Any

from adapters.mlx.text.plain_tools import described, written_call, written_result
from adapters.mlx.text.template_form import TemplateForm, short_id
from adapters.protocol.content import Message, TextPart, parts_of

Tools = list[dict[str, Any]]


def arranged(form: TemplateForm, messages: list[Message], tools: Tools) -> tuple[list[Message], Tools]:
    """Return the messages and tools to render. Content stays text, or a list of parts where pictures are among them."""
    made = [one | {"content": joined_text(one.get("content"))} for one in messages]
    if form.plain_tools:
        made, tools = _in_words(made, tools), []
    else:
        made = _native(form, made)
    calls = any(one.get("tool_calls") for one in made)
    has_system = form.has_system and (form.has_system_with_calls or not calls)
    return made if has_system else _without_system(made), tools


def notes_of(form: TemplateForm, messages: list[Message], tools: Tools) -> list[str]:
    """Return what a user should know about how this conversation is handed to the model."""
    notes = list[str]()
    if form.plain_tools and tools:
        notes.append(
            "this model has no form of its own for tools that can be shown and read: they were described to it in words, "
            "and its calls are read as JSON within <tool_call></tool_call>"
        )
    if not form.has_system and any(one["role"] == "system" for one in messages):
        notes.append(
            "this model's chat template has no place for a system prompt: it stands before the first user's message"
        )
    beside = any(one.get("tool_calls") and _says_something(one.get("content")) for one in messages)
    if beside and not form.plain_tools and not form.shows_words_beside_calls:
        notes.append("this model's chat template leaves out what was said beside earlier calls of tools")
    return notes


def joined_text(content: Any) -> Any:
    """Return text that came in parts as one text; a list where it shows pictures or videos."""
    if not isinstance(content, list):
        return content or ""
    parts = parts_of(content)
    if all(isinstance(part, TextPart) for part in parts):
        return "\n".join(part.text for part in parts if isinstance(part, TextPart))
    return content


def _says_something(content: Any) -> bool:
    return any(isinstance(part, TextPart) and part.text.strip() for part in parts_of(content))


def _as_parts(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []


def _put_before(text: str, content: Any) -> Any:
    """Return the content with a text before it."""
    if isinstance(content, str):
        return f"{text}\n\n{content}" if content else text
    return [{"type": "text", "text": f"{text}\n\n"}, *content]


def _without_system(messages: list[Message]) -> list[Message]:
    """Return the messages with the system turn's text before that of the first user's turn."""
    if not messages or messages[0]["role"] != "system" or len(messages) < 2 or messages[1]["role"] != "user":
        return messages
    asked = messages[1] | {"content": _put_before(messages[0]["content"], messages[1]["content"])}
    return [asked, *messages[2:]]


# --- in words


def _in_words(messages: list[Message], tools: Tools) -> list[Message]:
    made = list[Message]()
    for one in messages:
        if calls := one.get("tool_calls"):
            written = "\n".join(written_call(call["function"]["name"], call["function"]["arguments"]) for call in calls)
            content = _two(one["content"], written) if one["content"] else written
            made.append({key: value for key, value in one.items() if key != "tool_calls"} | {"content": content})
        elif one["role"] == "tool":
            _add_result(made, one["content"])
        elif one["role"] == "user" and made and made[-1].get("shows_results"):
            made[-1]["content"] = _two(made[-1]["content"], one["content"])
        else:
            made.append(dict(one))
    for one in made:
        one.pop("shows_results", None)
    return _offered(made, tools) if tools else made


def _add_result(made: list[Message], content: Any) -> None:
    """Show a result in a user's turn, together with those just before it: turns of users and assistants must alternate."""
    shown: Any = written_result(content) if isinstance(content, str) else [
        {"type": "text", "text": "<tool_response>\n"}, *content, {"type": "text", "text": "\n</tool_response>"},
    ]  # fmt: skip
    if made and made[-1].get("shows_results"):
        made[-1]["content"] = _two(made[-1]["content"], shown)
    else:
        made.append({"role": "user", "content": shown, "shows_results": True})


def _two(first: Any, second: Any) -> Any:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    return [*_as_parts(first), {"type": "text", "text": "\n"}, *_as_parts(second)]


def _offered(messages: list[Message], tools: Tools) -> list[Message]:
    words = described(tools)
    if messages and messages[0]["role"] == "system":
        told = messages[0]["content"]
        return [messages[0] | {"content": f"{told}\n\n{words}" if told else words}, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


# --- in the template's own form


def _native(form: TemplateForm, messages: list[Message]) -> list[Message]:
    names = {
        call.get("id"): call["function"]["name"] for one in messages for call in one.get("tool_calls") or [] if call
    }
    made = list[Message]()
    for one in messages:
        if one.get("tool_calls"):
            made.append(_calling(form, one))
        elif one["role"] == "tool":
            made.append(_result(form, one, names))
        else:
            made.append(one)
    return _one_call_a_message(made) if form.one_call_a_message else made


def _calling(form: TemplateForm, message: Message) -> Message:
    calls = list[dict[str, Any]]()
    for call in message["tool_calls"]:
        arguments = call["function"]["arguments"]
        given = json.dumps(arguments, ensure_ascii=False) if form.arguments_as_text else arguments
        made = call | {"function": call["function"] | {"arguments": given}}
        calls.append(made | {"id": short_id(str(call.get("id", "")))} if form.short_ids else made)
    content = message["content"] if form.shows_words_beside_calls else ""
    return message | {"content": content or form.empty_content, "tool_calls": calls}


def _result(form: TemplateForm, message: Message, names: dict[Any, str]) -> Message:
    number, made = message.get("tool_call_id"), dict(message)
    if form.named_results and number in names:
        made.setdefault("name", names[number])
    if form.short_ids:
        made["tool_call_id"] = short_id(str(number or ""))
    return made


def _one_call_a_message(messages: list[Message]) -> list[Message]:
    """Several calls of one message one after another, each followed by its result."""
    made, left = list[Message](), list(messages)
    while left:
        one = left.pop(0)
        calls = one.get("tool_calls") or []
        if len(calls) < 2 or not left or left[0]["role"] != "tool":
            made.append(one)  # calls without results are the answer itself
            continue
        results = list[Message]()
        while left and left[0]["role"] == "tool":
            results.append(left.pop(0))
        for i, call in enumerate(calls):
            made.append(
                one | {"tool_calls": [call]} | ({"content": None if one["content"] is None else ""} if i else {})
            )
            number = call.get("id")
            mine = [result for result in results if number is not None and result.get("tool_call_id") == number]
            found = mine or results[:1]
            made += found
            results = [result for result in results if not any(result is used for used in found)]
        made += results
    return made
