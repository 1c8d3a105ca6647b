"""What a vision model is shown: a conversation with pictures as its tokens and pixel values.

Runs on the engine's preparing thread. The library's own processors make the numbers; everything leaves here computed,
since a thread's unfinished arrays belong to it alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_vlm.utils import prepare_inputs, should_add_special_tokens
from PIL import Image

from adapters.errors import UnsupportedModel
from adapters.media.images import Picture
from adapters.media.video import Video
from adapters.mlx.text.chat import begins_as_read
from adapters.mlx.text.picture_template import rendered_with_pictures
from adapters.protocol.content import ImagePart, TextPart, VideoPart, parts_of

# Media by the source that a message names.
Media = Mapping[str, Picture | Video]

# What a processor makes of words alone.
_TEXT_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}
_MEDIA_TOKENS = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")


@dataclass(frozen=True)
class ImagePrompt:
    """A prompt with pictures.

    `tokens` are what the model reads, `key` the same with the pictures' content in it: equal keys mean equal pictures.
    After `last` there is text only. `inputs` are the processor's arrays.
    """

    tokens: list[int]
    key: list[int]
    last: int
    inputs: dict[str, Any]


def look(
    model: Any, processor: Any, conversation: list[dict[str, Any]], media: Media, name: str, **template: Any
) -> ImagePrompt:
    """Render a conversation with pictures and process them.

    Raises UnsupportedModel for a model that cannot take them.
    """
    messages, images = _with_markers(conversation, media)
    prompt = rendered_with_pictures(model, processor, messages, name, template)
    try:
        inputs = prepare_inputs(
            processor,
            images=images,
            prompts=[prompt],
            image_token_index=getattr(model.config, "image_token_index", None),
            add_special_tokens=should_add_special_tokens(model.config.model_type, processor)
            and not begins_as_read(getattr(processor, "tokenizer", processor), prompt),
        )
    except Exception as error:  # processors raise what they like
        raise UnsupportedModel(
            f"{name} cannot take these {len(images)} pictures ({str(error)[:200] or type(error).__name__}); show fewer at once, or choose another vision model"
        ) from error
    arrays = {key: value for key, value in inputs.items() if value is not None}
    if images and set(arrays) <= _TEXT_INPUTS:
        raise UnsupportedModel(f"{name} makes nothing of pictures; choose a vision model, such as starter-vision")
    mx.eval([value for value in arrays.values() if isinstance(value, mx.array)])
    tokens: list[int] = arrays.pop("input_ids").reshape(-1).tolist()
    key, last = _keyed(model, tokens, images)
    return ImagePrompt(tokens, key, last, arrays)


def _with_markers(conversation: list[dict[str, Any]], media: Media) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """Return the messages with a marker where each picture stands, a video as its frames with their times; and the
    pictures.
    """
    images: list[Image.Image] = []
    messages: list[dict[str, Any]] = []
    for turn in conversation:
        content: list[dict[str, str]] = []
        for part in parts_of(turn.get("content")):
            if isinstance(part, TextPart):
                content.append({"type": "text", "text": part.text})
                continue
            shown = media[part.source]
            if isinstance(part, VideoPart) and isinstance(shown, Video):
                for frame in shown.frames:
                    content += [{"type": "text", "text": f"{frame.seconds:.1f} s:"}, {"type": "image"}]
                    images.append(frame.image)
            elif isinstance(part, ImagePart) and isinstance(shown, Picture):
                content.append({"type": "image"})
                images.append(shown.image)
        plain = isinstance(turn.get("content"), str)
        messages.append(turn if plain else turn | {"content": content})
    return messages, images


def _keyed(model: Any, tokens: list[int], images: list[Image.Image]) -> tuple[list[int], int]:
    """Return the tokens with the pictures' content at the first place of theirs, and the last such place."""
    marks = {getattr(model.config, name, None) for name in _MEDIA_TOKENS} - {None}
    places = [i for i, token in enumerate(tokens) if token in marks]
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.size}".encode())
        digest.update(image.tobytes())
    # Negative numbers are no tokens, so no text has the key of a picture.
    mark = -1 - int.from_bytes(digest.digest()[:7], "big")
    key = list(tokens)
    key[places[0] if places else 0] = mark
    return key, places[-1] if places else len(tokens) - 1
