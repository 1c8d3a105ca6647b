"""From a conversation to the tokens that a model reads, by its own chat template."""

from dataclasses import dataclass
from typing import Any

from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.mlx.text.tools import in_words

Message = dict[str, Any]


@dataclass(frozen=True)
class Prompt:
    """The tokens; where a checkpoint is worth keeping; whether the answer begins inside reasoning."""

    tokens: list[int]
    boundaries: list[int]
    in_reasoning: bool


def render(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, checkpoints: bool
) -> Prompt:
    """Render a conversation that ends with a user's or a tool's message. Raises InvalidRequest where the template does.

    A model without a chat template is a base model: it gets the texts one after another and continues them.
    """
    if thinking and not tokenizer.has_thinking:
        raise UnsupportedModel("this model has no thinking mode; leave `thinking` out, or choose a reasoning model")
    if not tokenizer.has_chat_template:
        return Prompt(tokenizer.encode(_joined(in_words(tokenizer, messages, tools))), [], False)
    tokens = _rendered(tokenizer, messages, tools, thinking, add_generation_prompt=True)
    opened = tokenizer.has_thinking and ends_with(tokenizer, tokens, tokenizer.think_start)
    boundaries = _boundaries(tokenizer, messages, tools, thinking, tokens) if checkpoints else []
    return Prompt(tokens, boundaries, opened)


def _rendered(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, **options: Any
) -> list[int]:
    try:
        told = in_words(tokenizer, messages, tools)
        return list(tokenizer.apply_chat_template(told, tools=tools or None, enable_thinking=thinking, **options))
    except Exception as error:  # templates raise what they like, jinja2's own errors among it
        raise InvalidRequest(
            f"this model's chat template refuses the messages: {str(error)[:300] or type(error).__name__}. Change their roles or order"
        ) from error


def rendered_text(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, prompt: bool
) -> str:
    """The conversation as text: with the beginning of an answer at its end if it is a `prompt`, else as it stands.

    Raises InvalidRequest where the template refuses it.
    """
    if not tokenizer.has_chat_template:
        return _joined(in_words(tokenizer, messages, tools))
    try:
        told = in_words(tokenizer, messages, tools)
        return tokenizer.apply_chat_template(
            told, tools=tools or None, enable_thinking=thinking, add_generation_prompt=prompt, tokenize=False
        )
    except Exception as error:  # templates raise what they like, jinja2's own errors among it
        raise InvalidRequest(
            f"this model's chat template refuses the messages: {str(error)[:300] or type(error).__name__}. Change their roles or order"
        ) from error


def _joined(messages: list[Message]) -> str:
    return "\n\n".join(str(message.get("content") or "") for message in messages)


def ends_with(tokenizer: Any, tokens: list[int], marker: str) -> bool:
    """Whether the last of these tokens spell the marker."""
    return tokenizer.decode(tokens[-8:]).rstrip().endswith(marker)


def _boundaries(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, tokens: list[int]
) -> list[int]:
    """The ends, in tokens, of the system prompt and of every message before the last, where the template puts them so."""
    found = []
    for count in range(1, len(messages)):
        if messages[count - 1].get("role") == "assistant":
            continue
        try:
            prefix = _rendered(tokenizer, messages[:count], tools, thinking, add_generation_prompt=False)
        except InvalidRequest:
            continue  # some templates refuse a conversation that has no user's message yet
        if tokens[: len(prefix)] == prefix:
            found.append(len(prefix))
    return found
