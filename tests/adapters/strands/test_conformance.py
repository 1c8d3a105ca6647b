"""What Strands asks of every model provider, as its own conformance cases and those of its providers put it.

Strands publishes them with its repository (tests_integ/models/test_conformance.py and tests/strands/models), not in its
package: a provider can be made; structured output comes out whatever the model would rather say, by the agent's method and
by a call's argument; events come in one order.
"""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from strands import Agent
from strands.event_loop.streaming import process_stream
from strands.models.model import BaseModelConfig, Model

from adapters.strands import MLXModel
from tests.adapters.strands.scripted import MODEL, saying
from tests.adapters.strands.test_model import add, call, specs

pytestmark = pytest.mark.anyio


# Bounded, as the starter model, asked for what it knows nothing of, would write a word without an end.
Word = Annotated[str, Field(max_length=20)]


class Weather(BaseModel):
    """What the weather is, and when."""

    time: Word
    weather: Word


class Profile(BaseModel):
    """Who somebody is."""

    name: Word
    age: Annotated[int, Field(ge=0, le=150)]
    occupation: Word


def provider() -> MLXModel:
    return MLXModel(MODEL, params={"max_tokens": 200}, engine="in-process")


def test_a_provider_can_be_made_and_is_a_model() -> None:
    made = provider()
    assert isinstance(made, Model)
    assert made.get_config()["model_id"] == MODEL
    assert set(BaseModelConfig.__annotations__) <= set(MLXModel.MLXConfig.__annotations__)


@pytest.mark.filterwarnings("ignore:Agent.structured_output")
def test_structured_output_is_forced_where_the_model_knows_nothing_of_it() -> None:
    assert isinstance(
        Agent(model=provider(), callback_handler=None).structured_output(Weather, "How are you?"), Weather
    )


def test_structured_output_is_forced_when_a_call_asks_for_it() -> None:
    with saying("I would rather talk."):  # the first answer is free, and the second is forced
        asked = Agent(model=provider(), callback_handler=None)
        result = asked("Write a profile of John, a dentist of 25.", structured_output_model=Profile)
    assert isinstance(result.structured_output, Profile)
    assert asked("Hello").structured_output is None


async def test_the_events_of_a_turn_are_read_by_strands_as_one_message() -> None:
    messages: Any = [{"role": "user", "content": [{"text": "Add 2 and 3."}]}]
    with saying("I add. " + call("add", '{"a": 2, "b": 3}')):
        read = [event async for event in process_stream(provider().stream(messages, specs(add)))]
    stop, message, usage, metrics = read[-1]["stop"]
    assert stop == "tool_use"
    text, used = message["content"]
    assert text == {"text": "I add. "}
    assert (used["toolUse"]["name"], used["toolUse"]["input"]) == ("add", {"a": 2, "b": 3})
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0
    assert metrics["latencyMs"] > 0
