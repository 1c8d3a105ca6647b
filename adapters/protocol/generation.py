"""What a job is asked to answer, with which options, and the answers that come of it."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from adapters.protocol.content import Turn
from adapters.protocol.surrogates import whole_value
from adapters.protocol.wire import Wire

FinishReason = Literal["stop", "length", "cancelled"]

MAX_TEMPERATURE = 100.0
MAX_TOP_K = 1_000_000
MAX_TOKENS = 1_000_000
MAX_PROMPTS = 256
MAX_STOPS = 16
MAX_STOP_LENGTH = 256
MAX_SCHEMA_BYTES = 64 << 10
MAX_IMAGES = 32


class Sampling(Wire):
    """How tokens are chosen. A temperature of 0 takes the likeliest; a seed makes any other choice repeatable."""

    temperature: float = Field(default=0.0, ge=0, le=MAX_TEMPERATURE, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    top_k: int = Field(default=0, ge=0, le=MAX_TOP_K)
    min_p: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    repetition_penalty: float = Field(default=1.0, gt=0, le=10, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=0, lt=1 << 64)


class Generate(Wire):
    """One or several conversations to answer with one model, in one batch. Those of `describe` show pictures."""

    kind: Literal["generate", "describe"] = "generate"
    model: str
    adapter: str | None = None
    conversations: list[Annotated[list[Turn], Field(min_length=1)]] = Field(min_length=1, max_length=MAX_PROMPTS)
    tools: list[dict[str, Any]] = []
    max_tokens: int = Field(default=1024, ge=1, le=MAX_TOKENS)
    stop: list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]] = Field(
        default=[], max_length=MAX_STOPS
    )
    json_schema: dict[str, Any] | None = None
    thinking: bool = False
    sampling: Sampling = Sampling()
    offline: bool = False

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        """Take text that a program cut within a character: its lone surrogates become U+FFFD."""
        return whole_value(given)


class Usage(Wire):
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Timing(Wire):
    """Seconds: waiting for a place, loading the model, from asking to the first token, in all."""

    queued_s: float
    load_s: float
    first_token_s: float | None
    total_s: float
    tokens_per_second: float | None


class MadeCall(Wire):
    """What a model wrote as the call of a tool, markers included; `name` is None when it is no call that can be read.

    `after` is how many characters of the answer's text come before it.
    """

    written: str
    after: int = 0
    name: str | None = None
    arguments: dict[str, Any] = {}


class Completion(Wire):
    """One answer. `tool_calls` are those that the model made of the tools that it was offered, in order.

    `stopped_by` is the stop string that ended it, None when the model ended it by itself or was cut. `notes` say what a
    user should know about how the model was asked.
    """

    text: str
    reasoning: str = ""
    tool_calls: list[MadeCall] = []
    json_value: Any = None
    finish_reason: FinishReason
    stopped_by: str | None = None
    usage: Usage
    timing: Timing
    error: dict[str, str] | None = None
    notes: list[str] = []


class Seen(Wire):
    """A picture or video that the model was shown: its true format and size, and how many frames of it."""

    format: str
    width: int
    height: int
    frames: int = 1
    seconds: float | None = None
    shown_width: int
    shown_height: int


class Generated(Wire):
    kind: Literal["generate", "describe"] = "generate"
    model: str
    adapter: str | None
    completions: list[Completion]
    seen: list[Seen] = []


class Partial(Wire):
    """What there is so far of one answer, or what was added to it. Calls of tools are there once they are closed."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[MadeCall] = []

    def __add__(self, more: "Partial") -> "Partial":
        return Partial(
            text=self.text + more.text,
            reasoning=self.reasoning + more.reasoning,
            tool_calls=self.tool_calls + more.tool_calls,
        )
