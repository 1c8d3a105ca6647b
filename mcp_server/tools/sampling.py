"""The arguments that all tools share whose answers a model writes: its adapter, how tokens are chosen, what ends them."""

from typing import Annotated, Any

from pydantic import Field

from adapters.protocol.generation import MAX_STOP_LENGTH, MAX_STOPS, MAX_TEMPERATURE, MAX_TOKENS, MAX_TOP_K

AdapterArgument = Annotated[
    str | None,
    Field(
        description="A trained adapter to answer with: its name (list-library shows them), a hub id, or an absolute folder. `model` may be left out: it is then the adapter's own."
    ),
]
MaxTokens = Annotated[
    int, Field(description="Write at most this many tokens, reasoning included.", ge=1, le=MAX_TOKENS)
]
Temperature = Annotated[
    float, Field(description="0 takes the likeliest token each time; higher is more varied.", ge=0, le=MAX_TEMPERATURE)
]
TopP = Annotated[
    float, Field(description="Choose among the likeliest tokens that make up this probability.", gt=0, le=1)
]
TopK = Annotated[int, Field(description="Choose among this many likeliest tokens; 0 for all.", ge=0, le=MAX_TOP_K)]
MinP = Annotated[
    float,
    Field(description="Leave out tokens less likely than this part of the likeliest one's probability.", ge=0, le=1),
]
RepetitionPenalty = Annotated[float, Field(description="Above 1 discourages repeating recent tokens.", gt=0, le=10)]
Seed = Annotated[
    int | None,
    Field(description="With a temperature above 0: the same seed and request give the same answer.", ge=0, lt=1 << 63),
]
Stop = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]] | None,
    Field(description="End the answer before any of these strings.", max_length=MAX_STOPS),
]
JsonSchema = Annotated[
    dict[str, Any] | None,
    Field(
        description="A JSON schema that the answer must follow. It is enforced while writing: the call gives a valid value in `json`, or fails."
    ),
]
Thinking = Annotated[
    bool, Field(description="Let a reasoning model think before it answers; its thoughts come in `reasoning`.")
]
