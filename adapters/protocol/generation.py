"""What a job is asked to answer, with which options, and the answers that come of it."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from adapters.protocol.content import Message
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
    """How many tokens an answer may have, and how each is chosen.

    This is the only declaration of a sampling option: the tools, the engine, Strands and the documents take name, bounds,
    default and description from here. The options mean what they mean in mlx_lm.
    """

    max_tokens: int = Field(
        default=1024, ge=1, le=MAX_TOKENS, description="Write at most this many tokens, reasoning included."
    )
    temperature: float = Field(
        default=0.0,
        ge=0,
        le=MAX_TEMPERATURE,
        allow_inf_nan=False,
        description="0 takes the likeliest token each time; higher is more varied.",
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Choose among the likeliest tokens that make up this probability.",
    )
    top_k: int = Field(default=0, ge=0, le=MAX_TOP_K, description="Choose among this many likeliest tokens; 0 for all.")
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Leave out tokens less likely than this part of the likeliest one's probability.",
    )
    repetition_penalty: float = Field(
        default=1.0, gt=0, le=10, allow_inf_nan=False, description="Above 1 discourages repeating recent tokens."
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 63,
        description="With a temperature above 0: the same seed and request give the same answer.",
    )


class GenerationOptions(Sampling):
    """How an answer is written: its sampling, what ends it, and what it must keep to.

    Declared once, as `Sampling` is.
    """

    stop: list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]] | None = Field(
        default=None, max_length=MAX_STOPS, description="End the answer before any of these strings."
    )
    json_schema: dict[str, Any] | None = Field(
        default=None,
        description="A JSON schema that the answer must follow. It is enforced while writing: the call gives a valid value in `json`, or fails.",
    )
    thinking: bool = Field(
        default=False,
        description="Let a reasoning model think before it answers; its thoughts come in `reasoning`.",
    )


class Generate(GenerationOptions):
    """One or several conversations to answer with one model, in one batch. Those of `describe` show pictures."""

    kind: Literal["generate", "describe"] = "generate"
    model: str
    adapter: str | None = None
    conversations: list[Annotated[list[Message], Field(min_length=1)]] = Field(min_length=1, max_length=MAX_PROMPTS)
    tools: list[dict[str, Any]] = []
    offline: bool = False

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        """Take text that a program cut within a character: its lone surrogates become U+FFFD."""
        return whole_value(given)


class Usage(Wire):
    """How many tokens were read and written."""

    prompt_tokens: int = Field(description="Tokens of the prompt, those of the chat template included")
    cached_tokens: int = Field(description="Prompt tokens that had been read before and cost nothing now")
    completion_tokens: int = Field(description="Tokens written, reasoning and the end marker included")


class Timing(Wire):
    """Where the time went, in seconds."""

    queued_s: float = Field(description="Seconds spent waiting for a place in the batch")
    load_s: float = Field(description="Seconds spent waiting for the model to be in memory")
    first_token_s: float | None = Field(default=None, description="Seconds from the call to the first token")
    total_s: float = Field(description="Seconds from the call to the end")
    tokens_per_second: float | None = Field(default=None, description="Speed of writing, after the first token")


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


class ImageFacts(Wire):
    """A picture or video as the model was shown it. Sizes in pixels, `seconds` of a video."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    format: str = Field(description="The true format, by the file's content")
    width: int = Field(description="Pixels across, upright")
    height: int = Field(description="Pixels down, upright")
    frames: int = Field(default=1, description="How many frames of it were shown")
    seconds: float | None = Field(default=None, description="A video's length")
    # The tools' answers call the two by the names that clients know.
    resized_width: int = Field(
        validation_alias="shown_width",
        serialization_alias="shown_width",
        description="Pixels across that the model was shown: large pictures are scaled down",
    )
    resized_height: int = Field(
        validation_alias="shown_height",
        serialization_alias="shown_height",
        description="Pixels down that the model was shown",
    )


class Generated(Wire):
    kind: Literal["generate", "describe"] = "generate"
    model: str
    adapter: str | None
    completions: list[Completion]
    image_facts: list[ImageFacts] = []


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
