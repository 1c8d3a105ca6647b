"""From a conversation to the tokens that a model reads, by its own chat template.

Serving, counting, training and recordings all render here: a model is trained on what it will be given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.mlx.text.arrangement import arranged, notes_of
from adapters.mlx.text.shown import check_shown
from adapters.mlx.text.template_probes import form_of
from adapters.protocol.content import Message

# Characters in which the marks at a prompt's beginning stand.
_BEGINNING = 256


@dataclass(frozen=True)
class Prompt:
    """The tokens; where a checkpoint is worth keeping; whether the answer begins inside reasoning.

    `notes` say what a user should know about how the conversation was handed over.
    """

    tokens: list[int]
    boundaries: list[int]
    in_reasoning: bool
    notes: Sequence[str] = ()


def render(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, checkpoints: bool
) -> Prompt:
    """Render a conversation that ends with a user's or a tool's message.

    Raises InvalidRequest where the template does, UnsupportedModel where it leaves out what a message says. A model
    without a chat template is a base model: it gets the texts one after another and continues them.
    """
    if thinking and not tokenizer.has_thinking:
        raise UnsupportedModel("this model has no thinking mode; leave `thinking` out, or choose a reasoning model")
    text = rendered_text(tokenizer, messages, tools, thinking, prompt=True)
    notes = notes_of(form_of(tokenizer), messages, tools)
    if not tokenizer.has_chat_template:
        return Prompt(opened_once(tokenizer, text), [], False, notes)
    tokens = list(tokenizer.encode(text, add_special_tokens=False))
    opened = tokenizer.has_thinking and ends_with(tokenizer, tokens, tokenizer.think_start)
    boundaries = _boundaries(tokenizer, messages, tools, thinking, tokens) if checkpoints else []
    return Prompt(tokens, boundaries, opened, notes)


def rendered_text(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, prompt: bool
) -> str:
    """Return the conversation as text: with the beginning of an answer at its end if it is a `prompt`, else as it
    stands.

    Raises InvalidRequest where the template refuses it, UnsupportedModel where it leaves out what a message says.
    """
    handed, offered = arranged(form_of(tokenizer), messages, tools)

    def draw(given: list[Message]) -> str:
        return _drawn(tokenizer, given, offered, thinking, prompt)

    text = draw(handed)
    check_shown(text, handed, draw, offered, tokenizer.think_end)
    return text


def _drawn(tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, prompt: bool) -> str:
    if not tokenizer.has_chat_template:
        return "\n\n".join(str(one["content"]) for one in messages)
    form = form_of(tokenizer)
    given = [
        one | {"content": form.content(one["role"], one["content"])} if isinstance(one["content"], str) else one
        for one in messages
    ]
    try:
        return tokenizer.apply_chat_template(
            given, tools=tools or None, enable_thinking=thinking, add_generation_prompt=prompt, tokenize=False
        )
    except Exception as error:  # templates raise what they like, jinja2's own errors among it
        raise template_refused(error) from error


def template_refused(error: Exception) -> InvalidRequest:
    """Return what is told of a chat template's own error."""
    return InvalidRequest(
        f"this model's chat template refuses the messages: {str(error)[:300] or type(error).__name__}. Change their roles or order"
    )


def opened_once(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of running text, with what the tokenizer puts around it, such as <bos>, once.

    Text that has these marks itself is not given them again.
    """
    tokens = list(tokenizer.encode(text))
    bare = list(tokenizer.encode(text, add_special_tokens=False))
    before, after = _put_around(tokenizer)
    if before and bare[: len(before)] == before and tokens[: len(before)] == before:
        tokens = tokens[len(before) :]
    if after and bare[-len(after) :] == after and tokens[-len(after) :] == after:
        tokens = tokens[: -len(after)]
    return tokens


def begins_as_read(tokenizer: Any, text: str) -> bool:
    """Return whether a rendered prompt begins already with what the tokenizer would put before it, such as <bos>."""
    before, after = _put_around(tokenizer)
    beginning = list(tokenizer.encode(text[:_BEGINNING], add_special_tokens=False))
    return bool(after) or beginning[: len(before)] == before


def _put_around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the tokens that the tokenizer puts before and after a text."""
    bare, whole = list(tokenizer.encode("a", add_special_tokens=False)), list(tokenizer.encode("a"))
    at = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), None) if bare else None
    return (whole[:at], whole[at + len(bare) :]) if at is not None else ([], [])


def ends_with(tokenizer: Any, tokens: list[int], marker: str) -> bool:
    """Return whether the last of these tokens spell the marker."""
    return tokenizer.decode(tokens[-8:]).rstrip().endswith(marker)


def _boundaries(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, tokens: list[int]
) -> list[int]:
    """Return the ends, in tokens, of the system prompt and of every message before the last, where the template puts
    them so.
    """
    found, form = [], form_of(tokenizer)
    for count in range(1, len(messages)):
        if messages[count - 1].get("role") == "assistant":
            continue
        handed, offered = arranged(form, messages[:count], tools)
        try:
            prefix = _drawn(tokenizer, handed, offered, thinking, prompt=False)
        except InvalidRequest:
            continue  # some templates refuse a conversation that has no user's message yet
        encoded = list(tokenizer.encode(prefix, add_special_tokens=False))
        if tokens[: len(encoded)] == encoded:
            found.append(len(encoded))
    return found
