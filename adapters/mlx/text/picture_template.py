"""A conversation with pictures as the text of a prompt, with a mark where each picture is shown.

Families differ: a template of the processor or of the tokenizer, lists of parts, or the library's own marks among the
words. Each way is tried, and the first is taken that shows every text and the pictures.
"""

from collections.abc import Callable, Iterator
from typing import Any

from mlx_vlm.prompt_utils import MODEL_CONFIG, MessageFormat, apply_chat_template

from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.mlx.text.chat import template_refused
from adapters.mlx.text.shown import check_shown
from adapters.mlx.text.template_form import ContentForm, content_of
from adapters.protocol.content import Message

Draw = Callable[[list[Message]], str]

# Families whose processors put pictures into the prompt themselves, with no mark for them in its text.
_UNMARKED = (MessageFormat.PROMPT_ONLY, MessageFormat.TEXT_ONLY)


def rendered_with_pictures(
    model: Any, processor: Any, messages: list[Message], name: str, template: dict[str, Any]
) -> str:
    """Return the prompt. `messages` have a part `{"type": "image"}` for each picture.

    Raises UnsupportedModel for a family without pictures, and where no way shows every text and the pictures;
    InvalidRequest where the template refuses the messages.
    """
    kind = str(model.config.model_type).lower()
    if kind not in MODEL_CONFIG:
        raise UnsupportedModel(f"{name} ({kind}) does not take pictures; choose a vision model, such as starter-vision")
    problem: InvalidRequest | None = None
    for way in _ways(model, processor, kind, messages, template):
        draw = _translated_errors(way)
        try:
            drawn = draw(messages)
            check_shown(drawn, messages, draw, template.get("tools", ()))
            if MODEL_CONFIG[kind] not in _UNMARKED and draw([_without_pictures(one) for one in messages]) == drawn:
                raise UnsupportedModel(
                    "this model's chat template leaves out the pictures; choose another vision model, such as starter-vision"
                )
        except InvalidRequest as error:
            problem = problem or error
        else:
            return drawn
    assert problem is not None
    raise problem


def _translated_errors(draw: Draw) -> Draw:
    def told(messages: list[Message]) -> str:
        try:
            return draw(messages)
        except Exception as error:  # templates raise what they like
            raise template_refused(error) from error

    return told


def _ways(model: Any, processor: Any, kind: str, messages: list[Message], template: dict[str, Any]) -> Iterator[Draw]:
    listed = MODEL_CONFIG[kind].value.startswith("list")
    if listed and (renderer := _with_template(processor)) is not None:
        # Pictures stay where they stand among the words.
        forms: tuple[ContentForm, ...] = ("parts", "parts with content")
        for form in forms:
            for everywhere in (False, True):
                yield lambda given, form=form, everywhere=everywhere: renderer.apply_chat_template(
                    [_in_parts(one, form, everywhere) for one in given],
                    add_generation_prompt=True,
                    tokenize=False,
                    **template,
                )

    def in_order(given: list[Message]) -> str:
        return str(apply_chat_template(processor, model.config, given, num_images=_pictures(given), **template))

    def pictures_first(given: list[Message]) -> str:
        texts = [one | {"content": _text(one["content"])} for one in given]
        return str(apply_chat_template(processor, model.config, texts, num_images=_pictures(given), **template))

    # The library puts pictures before or after the last question, wherever they stand.
    asked = [i for i, one in enumerate(messages) if one["role"] == "user"]
    earlier = any(_pictures([one]) for i, one in enumerate(messages) if i != asked[-1:][0]) if asked else True
    yield from (in_order, pictures_first) if earlier else (pictures_first, in_order)
    mark, renderer = getattr(processor, "image_token", None), _with_template(processor)
    if listed and isinstance(mark, str) and mark and renderer is not None:
        # A template that takes text only: the processor's mark stands among the words.
        yield lambda given: renderer.apply_chat_template(
            [one | {"content": _text(one["content"], mark)} for one in given],
            add_generation_prompt=True,
            tokenize=False,
            **template,
        )


def _with_template(processor: Any) -> Any:
    """Return what renders: the processor, or its tokenizer where only that has a template, as in mlx_vlm."""
    for one in (processor, getattr(processor, "tokenizer", None)):
        if getattr(one, "chat_template", None) is not None:
            return one
    return None


def _in_parts(message: Message, form: ContentForm, everywhere: bool) -> Message:
    content = message.get("content")
    if isinstance(content, str):
        return message | {"content": content_of(form, content)} if everywhere or message["role"] == "user" else message
    made = list[Any]()
    for part in content or []:
        made += content_of(form, part["text"]) if part["type"] == "text" else [part]
    return message | {"content": made}


def _pictures(messages: list[Message]) -> int:
    contents = (one["content"] for one in messages if isinstance(one.get("content"), list))
    return sum(part["type"] == "image" for content in contents for part in content)


def _without_pictures(message: Message) -> Message:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return message | {"content": [part for part in content if part["type"] != "image"]}


def _text(content: Any, mark: str = "") -> str:
    """Return the text of a content, with a mark for each picture where there is one."""
    if isinstance(content, str):
        return content
    pieces = (part["text"] if part["type"] == "text" else mark for part in content)
    return "\n".join(piece for piece in pieces if piece)
