"""The messages of a conversation as chat templates take them, and the parts that a message's content may have."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from adapters.protocol.wire import Wire

ROLES = ("system", "user", "assistant", "tool")


class TextPart(Wire):
    type: Literal["text"] = "text"
    text: str


class ImagePart(Wire):
    """A picture: a resolved path, a data URI, or an https address."""

    type: Literal["image"] = "image"
    source: str


class VideoPart(Wire):
    """A video at a resolved path. The model is shown frames with their times."""

    type: Literal["video"] = "video"
    source: str


Part = Annotated[TextPart | ImagePart | VideoPart, Field(discriminator="type")]
_read_parts: TypeAdapter[list[Part]] = TypeAdapter(list[Part])


def parts_of(content: Any) -> list[Part]:
    """Return the parts of a message's content, which is text, a list of parts, or nothing."""
    if isinstance(content, str):
        return [TextPart(text=content)]
    return _read_parts.validate_python(content) if content else []


def media_of(conversation: list[dict[str, Any]]) -> list[ImagePart | VideoPart]:
    """Return the pictures and videos of a conversation, in order."""
    parts = (
        part
        for message in conversation
        if not isinstance(message.get("content"), str)
        for part in parts_of(message.get("content"))
    )
    return [part for part in parts if not isinstance(part, TextPart)]


def _check_message(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("role") not in ROLES:
        raise ValueError(f"role {message.get('role')!r} is none of {', '.join(ROLES)}")
    if not isinstance(message.get("content"), str | list | None):
        raise ValueError("content is neither text nor a list of parts")
    parts_of(message.get("content"))
    return message


# A message as chat templates take it: a role, content, and what else the role has (tool calls, a tool's name).
Message = Annotated[dict[str, Any], AfterValidator(_check_message)]


def is_data_uri(source: str) -> bool:
    """Return whether the source of a picture is the picture itself, written as an address."""
    return source[:5].lower() == "data:"


def is_address(source: str) -> bool:
    """Return whether the source of a picture is an address of the web."""
    return source[:8].lower().startswith(("http://", "https://"))
