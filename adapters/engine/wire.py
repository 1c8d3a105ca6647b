"""What every message on the engine's socket is made of."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A message: unknown fields are refused, none changes after it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)
