"""Finds the form that a chat template reads, by rendering probes.

Templates differ in what they read: text or a list of parts, the arguments of a call as an object or as JSON text, call ids
of nine letters only, one call a message. What a template does not read it leaves out without a word, so each form is tried
with words that stand nowhere else, and the first one that shows all of them is taken.
"""

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from adapters.mlx.text.arrangement import arranged
from adapters.mlx.text.calls.families import has_channels, known_family
from adapters.mlx.text.template_form import CONTENT_FORMS, NO_TEMPLATE, ContentForm, TemplateForm
from adapters.protocol.content import Message

logger = logging.getLogger(__name__)

Draw = Callable[[list[Message], list[dict[str, Any]]], str]

# Words that no template has, one for each place.
_ASKED, _TOLD, _ANSWERED, _BESIDE = "qvaskedzk", "qvtoldzk", "qvansweredzk", "qvbesidezk"
_RESULTS, _VALUES = ("qvresultzk", "qvoutcomezk"), ("qvvaluezk", "qvotherzk")
_TOOL, _NAME = "qvtoolzk", "qvargumentzk"
_LONG_IDS = ("call_0_qv_first", "call_0_qv_second")
# What a list of parts, or the arguments of a call, are written as where a template takes them for text.
_AS_PYTHON = ("{'type': 'text'", f"'{_NAME}': '")

# By tokenizer: the template that was probed, and its form.
_known: WeakKeyDictionary[Any, tuple[Any, TemplateForm]] = WeakKeyDictionary()


def form_of(tokenizer: Any) -> TemplateForm:
    """Return the form that an `mlx_lm` tokenizer's template reads.

    Found at the first call, with some tens of renderings.
    """
    template = tokenizer.chat_template if tokenizer.has_chat_template else None
    if tokenizer not in _known or _known[tokenizer][0] != template:
        _known[tokenizer] = template, _found(tokenizer) if tokenizer.has_chat_template else NO_TEMPLATE
    return _known[tokenizer][1]


def reads_calls(tokenizer: Any) -> bool:
    """Return whether the form is known in which this model writes calls."""
    return has_channels(tokenizer) or known_family(tokenizer) is not None


def _found(tokenizer: Any) -> TemplateForm:
    def draw(messages: list[Message], tools: list[dict[str, Any]]) -> str:
        try:
            return tokenizer.apply_chat_template(
                messages, tools=tools or None, add_generation_prompt=True, tokenize=False, enable_thinking=False
            )
        except Exception as error:  # noqa: BLE001  templates raise what they like; what they refuse is not their form
            logger.debug("error=<%s> | a probe of a chat template was refused", error)
            return ""

    form = TemplateForm()
    user: Message = {"role": "user", "content": _ASKED}
    for role, probe, word in (
        ("user", [user], _ASKED),
        ("system", [{"role": "system", "content": _TOLD}, user], _TOLD),
        ("assistant", [user, {"role": "assistant", "content": _ANSWERED}, user], _ANSWERED),
    ):
        read = next((one for one in CONTENT_FORMS if _shows(draw(_as(form, role, one, probe), []), word)), None)
        if role == "system":
            form = replace(form, has_system=read is not None)
        if read not in (None, "text"):
            form = replace(form, contents=form.contents | {role: read})
    return _with_tools(form, tokenizer, draw)


def _as(form: TemplateForm, role: str, tried: ContentForm, messages: list[Message]) -> list[Message]:
    trying = replace(form, contents=form.contents | {role: tried})
    return [one | {"content": trying.content(one["role"], one["content"])} for one in messages]


def _shows(drawn: str, *words: str) -> bool:
    """Return whether all words are there, and no list or object of Python's in their place."""
    return all(word in drawn for word in words) and not any(mark in drawn for mark in _AS_PYTHON)


def _with_tools(form: TemplateForm, tokenizer: Any, draw: Draw) -> TemplateForm:
    """Return the form with what is known of its tools: in words unless tools, calls and results are all shown and read."""
    if not reads_calls(tokenizer) or not _offers(form, draw):
        return form
    orders: Any = itertools.product(
        (True, False), (False, True), (False, True), (False, True), ("", None), (False, True), CONTENT_FORMS
    )
    for beside, apart, short, named, empty, as_text, results in orders:
        tried = replace(
            form,
            contents=form.contents | {"tool": results},
            plain_tools=False,
            arguments_as_text=as_text,
            empty_content=empty,
            short_ids=short,
            named_results=named,
            one_call_a_message=apart,
            shows_words_beside_calls=beside,
        )
        if _calls_are_shown(tried, draw):
            # Mistral's templates lose the system turn where the last message is a result.
            return tried if _system_is_shown(tried, draw) else replace(tried, has_system_with_calls=False)
    return form


def _offers(form: TemplateForm, draw: Draw) -> bool:
    """Return whether a tool is shown, without a system turn and, where there is a place for one, with it."""
    asked = [{"role": "user", "content": form.content("user", _ASKED)}]
    told = [{"role": "system", "content": form.content("system", _TOLD)}, *asked]
    return _TOOL in draw(asked, [_tool()]) and (not form.has_system or _TOOL in draw(told, [_tool()]))


def _tool() -> dict[str, Any]:
    parameters = {"type": "object", "properties": {_NAME: {"type": "string"}}, "required": [_NAME]}
    return {"type": "function", "function": {"name": _TOOL, "description": "Do it.", "parameters": parameters}}


def _calls_are_shown(form: TemplateForm, draw: Draw) -> bool:
    """Return whether one call by itself, and two calls with words beside them, are shown with their results."""
    one, two = _calling("", 1), _calling(_BESIDE, 2)
    words = (_BESIDE,) if form.shows_words_beside_calls else ()
    return _drawn_whole(form, draw, one, _VALUES[:1]) and _drawn_whole(form, draw, two, _VALUES, *words)


def _system_is_shown(form: TemplateForm, draw: Draw) -> bool:
    messages = [{"role": "system", "content": _TOLD}, *_calling("", 1)]
    return form.has_system and _drawn_whole(form, draw, messages, _VALUES[:1], _TOLD)


def _calling(text: str, count: int) -> list[Message]:
    calls = [
        {"id": number, "type": "function", "function": {"name": _TOOL, "arguments": {_NAME: value}}}
        for number, value in zip(_LONG_IDS[:count], _VALUES, strict=False)
    ]
    results = [
        {"role": "tool", "tool_call_id": number, "content": result}
        for number, result in zip(_LONG_IDS[:count], _RESULTS, strict=False)
    ]
    return [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": text, "tool_calls": calls}, *results]


def _drawn_whole(form: TemplateForm, draw: Draw, messages: list[Message], values: tuple[str, ...], *words: str) -> bool:
    handed, tools = arranged(form, messages, [_tool()])
    drawn = draw([one | {"content": _content(form, one)} for one in handed], tools)
    if not _shows(drawn, _ASKED, *values, *_RESULTS[: len(values)], *words):
        return False
    # Not JSON in JSON, as `tojson` makes of arguments that are text already.
    return all(json.dumps(json.dumps({_NAME: value}))[1:-1] not in drawn for value in values)


def _content(form: TemplateForm, message: Message) -> Any:
    return form.content(message["role"], message["content"]) if isinstance(message["content"], str) else None
