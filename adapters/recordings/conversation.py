"""A recorded conversation: what was said by whom, what tools were offered and called, and what is to be learned from."""

import re
import secrets
import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapters.errors import InvalidRequest
from adapters.protocol.surrogates import whole_value

MOST_MESSAGES = 2000
MOST_TEXT = 4 << 20
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Strict(BaseModel):
    """A part of a recording. Unknown fields are refused; lone surrogates in text become U+FFFD."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        return whole_value(given)


class ToolCall(Strict):
    """A call of a tool, with its arguments as an object."""

    name: str = Field(min_length=1, max_length=128)
    arguments: dict[str, Any] = {}
    id: str | None = Field(default=None, max_length=128)


class RecordedMessage(Strict):
    """One message. `keep` says whether to learn from it; only what an assistant says is ever learned."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field(default="", max_length=MOST_TEXT)
    reasoning: str | None = Field(default=None, max_length=MOST_TEXT)
    tool_calls: list[ToolCall] = []
    tool_call_id: str | None = Field(default=None, max_length=128)
    name: str | None = Field(default=None, max_length=128)
    images: list[str] = []
    keep: bool | None = None

    @property
    def learned(self) -> bool:
        return self.role == "assistant" and self.keep is not False


class ToolSpecification(Strict):
    """A tool that was offered: its name, what it is for, and the JSON schema of its arguments."""

    name: str = Field(min_length=1, max_length=128)
    description: str = ""
    parameters: dict[str, Any] = {}


class Conversation(Strict):
    """A line of a recording."""

    id: str = Field(default_factory=lambda: secrets.token_hex(6))
    created: float = Field(default_factory=time.time)
    source: str | None = Field(default=None, max_length=256)
    tags: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=32)] = []
    system: str | None = Field(default=None, max_length=MOST_TEXT)
    tools: list[ToolSpecification] = Field(default=[], max_length=256)
    messages: list[RecordedMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    redacted: dict[str, int] = {}

    @model_validator(mode="after")
    def _is_a_conversation(self) -> "Conversation":
        """Raises when there is nothing to learn from it, or a part has no place in a conversation."""
        if not any(message.learned for message in self.messages):
            raise ValueError("there is no assistant's message to learn from")
        for i, message in enumerate(self.messages):
            if message.role == "system" and (i or self.system):
                raise ValueError(f"messages[{i}]: a system message goes first, or in `system`, once")
            if message.tool_calls and message.role != "assistant":
                raise ValueError(f"messages[{i}]: only an assistant calls tools")
            if not (message.content or message.tool_calls or message.images or message.role == "tool"):
                raise ValueError(f"messages[{i}]: {message.role} says nothing")
        if self.messages[0].role == "assistant" and not self.system:
            raise ValueError("messages[0]: an assistant's message needs something before it that it answers")
        return self

    @property
    def learned(self) -> int:
        """How many messages are to be learned from."""
        return sum(message.learned for message in self.messages)


def check_session(name: str) -> str:
    """Return the session's id, if it is one. Raises InvalidRequest: an id never becomes a path in any other way."""
    if not _SESSION.fullmatch(name):
        raise InvalidRequest(
            f"session {name[:80]!r} is no session id: letters, digits, '.', '_' and '-', beginning with a letter or digit, 64 at most"
        )
    return name
