"""Whether a rendered prompt says all that the messages say: what a template leaves out, it leaves out without a word."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from adapters.errors import UnsupportedModel
from adapters.protocol.content import Message

# A text as short as this may stand in a prompt by chance.
_SHORT = 24
# Of a text that is looked for, so much is told.
_TOLD = 60
# Templates leave out what was thought before an earlier answer.
_THOUGHT = re.compile(r"<think>.*?</think>|<\|channel>thought.*?<channel\|>|\[THINK\].*?\[/THINK\]", re.DOTALL)
_THOUGHT_ENDS = ("</think>", "<channel|>", "[/THINK]")


def check_shown(
    drawn: str,
    messages: Sequence[Message],
    draw: Callable[[list[Message]], str],
    tools: Sequence[dict[str, Any]] = (),
    think_end: str | None = None,
) -> None:
    """Raise UnsupportedModel unless the rendered messages say what each of them says, in order.

    White space, JSON's escapes, and what an assistant thought before its answer may differ; a system turn may stand
    anywhere. `draw` renders other messages of the same roles: texts that are short are looked for by words in their place.
    """
    spot, whole = 0, _Drawn(drawn)
    for message in messages:
        for text in _texts(message):
            found = whole.place(text, message["role"], spot, think_end)
            if found is None:
                raise _left_out(message["role"], text)
            spot = found
        _check_calls(drawn, message)
    for tool in tools:
        name = str(tool.get("function", tool).get("name", ""))
        if name not in drawn:
            raise UnsupportedModel(
                f"this model's chat template leaves out the tool {name!r}; offer fewer tools, or choose another model"
            )
    _check_short(messages, draw)


def _texts(message: Message) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for part in content or []:
        if part["type"] == "text" and part["text"].strip():
            yield part["text"].strip()


class _Drawn:
    """A rendered prompt to look for texts in."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _spread(self) -> str:
        """The prompt with one space for any white space."""
        return " ".join(self._text.split())

    def place(self, text: str, role: str, spot: int, think_end: str | None) -> int | None:
        """Return where the text ends, at or after `spot`; `spot` itself where it stands elsewhere; None where it stands
        nowhere.
        """
        if role != "system":
            for one in _written(text, role, think_end):
                if (at := self._text.find(one, spot)) >= 0:
                    return at + len(one)
        for one in _written(text, role, think_end):
            bare = " ".join(one.split())
            # Elsewhere than in its order a short text stands by chance.
            if (role == "system" and one in self._text) or (len(bare) >= _SHORT and bare in self._spread):
                return spot
        if role == "tool" and all(leaf in self._text for leaf in _leaves(text)):
            return spot
        return None


def _written(text: str, role: str, think_end: str | None) -> Iterator[str]:
    """Yield the ways in which a template may write a text."""
    yield text
    for plain_ascii in (False, True):
        yield json.dumps(text, ensure_ascii=plain_ascii)[1:-1]
    if role == "assistant":
        yield _THOUGHT.sub("", text).strip()
        for end in filter(None, {*_THOUGHT_ENDS, think_end}):
            if end in text:
                yield text.rpartition(end)[2].strip()


def _leaves(text: str) -> list[str]:
    """Return the words and numbers of a result that is JSON: some templates write it anew.

    One word that is nowhere where it is not.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    if not isinstance(value, dict | list):
        return [text]
    return [
        json.dumps(leaf, ensure_ascii=False).strip('"') for leaf in _scalars(value) if leaf not in (None, True, False)
    ]


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _scalars(one)
    elif isinstance(value, list):
        for one in value:
            yield from _scalars(one)
    else:
        yield value


def _check_calls(drawn: str, message: Message) -> None:
    for call in message.get("tool_calls") or []:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        if isinstance(arguments, str):
            given: list[Any] = [arguments]
        else:
            given = [one for one in _scalars(arguments) if isinstance(one, str) and one]
        for text in [name, *given]:
            if not any(one in drawn for one in _written(text, "tool", None)):
                raise UnsupportedModel(
                    f"this model's chat template leaves out {text[:_TOLD]!r} of a call of {name!r}; choose another model"
                )


def _check_short(messages: Sequence[Message], draw: Callable[[list[Message]], str]) -> None:
    """Render words that stand nowhere else in place of all texts, and look for those of texts that are short."""
    short = {
        index for index, one in enumerate(messages) if (texts := list(_texts(one))) and len("".join(texts)) < _SHORT
    }
    if not short:
        return
    try:
        drawn = draw([_with_words(one, index) for index, one in enumerate(messages)])
    except Exception:  # noqa: BLE001  a template that reads what is said: then only what is said can be looked for
        return
    for index in sorted(short):
        if _word(index) not in drawn:
            raise _left_out(messages[index]["role"], next(_texts(messages[index])))


def _word(index: int) -> str:
    return f"qv{index}said{index}zk"


def _with_words(message: Message, index: int) -> Message:
    content, word = message.get("content"), _word(index)
    if isinstance(content, str):
        return message | {"content": word if content.strip() else content}
    if not isinstance(content, list):
        return message
    return message | {
        "content": [{"type": "text", "text": word} if one.get("type") == "text" else one for one in content]
    }


def _left_out(role: str, text: str) -> UnsupportedModel:
    told = text if len(text) <= _TOLD else f"{text[:_TOLD]}…"
    return UnsupportedModel(
        f"this model's chat template leaves out what the {role} says ({told!r}); change the order or the roles of the messages, or choose another model"
    )
