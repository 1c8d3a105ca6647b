"""A Strands agent thinks with SmolLM2, whose template shows no tools: the call is forced, its result is told in words."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, tool

from adapters.strands import MLXModel
from tests.running import Home

pytestmark = pytest.mark.real

CALLED: list[str] = []


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city.

    Args:
        city: The city's name.
    """
    CALLED.append(city)
    return "It is sunny, 24 degrees."


class Forcing(MLXModel):
    """Forces the call of a tool until its result is there."""

    async def stream(self, messages: Any, tool_specs: Any = None, system_prompt: Any = None, **options: Any) -> AsyncGenerator[Any, None]:  # fmt: skip
        seen = any("toolResult" in block for message in messages for block in message["content"])
        options["tool_choice"] = None if seen else {"tool": {"name": "get_weather"}}
        async for event in super().stream(messages, tool_specs, system_prompt, **options):
            yield event


class Person(BaseModel):
    name: str
    age: int


def test_a_tool_is_called_with_what_was_asked_for_and_its_result_is_answered(shared_home: Home, smollm2: Path) -> None:
    with shared_home.entered():
        model = Forcing(str(smollm2), params={"max_tokens": 40})
        agent = Agent(model=model, tools=[get_weather], callback_handler=None, system_prompt="Be brief.")
        result = agent("What is the weather in Rome?")
    assert CALLED == ["Rome"]
    assert "24" in str(result) or "sunny" in str(result), str(result)


def test_an_answer_is_an_object_of_the_class_that_was_asked_for(shared_home: Home, smollm2: Path) -> None:
    with shared_home.entered():
        model = MLXModel(str(smollm2), params={"max_tokens": 40})
        agent = Agent(model=model, callback_handler=None, system_prompt="Be brief.")
        result = agent("Tom Baker is 52 years old. Who is it?", structured_output_model=Person)
    assert result.structured_output == Person(name="Tom Baker", age=52)
