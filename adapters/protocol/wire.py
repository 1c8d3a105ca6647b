"""What every message on the engine's socket is made of, and how it is written."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError, to_json

from adapters.protocol.surrogates import whole_value


class Wire(BaseModel):
    """A message. Unknown fields are refused. No field changes after the message was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def json_of(message: BaseModel, **options: Any) -> bytes:
    """Return the message as JSON, with U+FFFD for lone surrogates in its text. `options` are those of `model_dump`."""
    try:
        return message.model_dump_json(**options).encode()
    except PydanticSerializationError:
        # Only what JSON cannot hold costs this: text that a program cut within a character.
        return to_json(whole_value(message.model_dump(mode="json", **options)), inf_nan_mode="null")
