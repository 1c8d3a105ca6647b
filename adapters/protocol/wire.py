"""What every message on the engine's socket is made of."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A message. Unknown fields are refused. No field changes after the message was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)
