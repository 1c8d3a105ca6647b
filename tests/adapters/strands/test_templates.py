"""An agent on models whose chat templates read less than messages hold: all of it reaches the model, or is told of."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool

from adapters.datasets.sessions import session_rows
from adapters.errors import UnsupportedModel
from adapters.recordings import store
from adapters.strands import MLXModel, TrainingRecorder
from tests.adapters.mlx.text import chat_templates
from tests.adapters.strands.scripted import MODEL, saying
from tests.adapters.strands.test_model import text_of
from tests.scripted_models import scripted_model

pytestmark = pytest.mark.anyio

CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city.

    Args:
        city: Where.
    """
    return f"In {city} it is sunny."


def agent(folder: Path, **options: Any) -> Agent:
    model = MLXModel(str(folder), params={"max_tokens": 200}, engine="in-process")
    return Agent(model=model, tools=[get_weather], callback_handler=None, **options)


@pytest.mark.parametrize("kind", ["STRINGS", "PARTS", "NO_SYSTEM", "TOOLS_BUT_NO_CALLS", None])
def test_an_agent_uses_tools_on_a_model_whose_template_has_no_place_for_them(
    kind: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = scripted_model(tmp_path / "model", getattr(chat_templates, kind) if kind else None)
    with saying(f"I look. {CALL}", "Sunny."), caplog.at_level(logging.WARNING):
        asked = agent(folder, system_prompt="Be brief.")
        assert str(asked("How is it in Rome?")).strip() == "Sunny."
    uses = [block["toolUse"] for message in asked.messages for block in message["content"] if "toolUse" in block]
    assert [(use["name"], use["input"]) for use in uses] == [("get_weather", {"city": "Rome"})]
    assert text_of(asked.messages[1]).strip() == "I look."
    assert "described to it in words" in caplog.text


async def test_the_stop_of_an_answer_names_its_notes(tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", chat_templates.STRINGS)
    model = MLXModel(str(folder), params={"max_tokens": 200}, engine="in-process")
    messages: Any = [{"role": "user", "content": [{"text": "How is it in Rome?"}]}]
    with saying(CALL):
        told = [event async for event in model.stream(messages, [get_weather.tool_spec])]
    (stop,) = (event["messageStop"] for event in told if "messageStop" in event)
    fields: Any = stop.get("additionalModelResponseFields")
    assert stop.get("stopReason") == "tool_use"
    assert "described to it in words" in fields["notes"][0]


@pytest.mark.parametrize(
    "written", ["not JSON", "[1]", '{"name": "get_weather"}', '{"name": "get_weather", "arguments": 1}']
)
def test_what_is_no_call_in_words_is_text(written: str, tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", chat_templates.STRINGS)
    with saying(f"<tool_call>\n{written}\n</tool_call>"):
        result = agent(folder)("How is it in Rome?")
    assert result.stop_reason == "end_turn"
    assert written in str(result)


@pytest.mark.parametrize("kind", ["CONCATENATED", "NO_CONTENT", "ONE_CALL", "NINE_LETTERS"])
def test_the_second_turn_of_an_agent_is_rendered(kind: str, tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", getattr(chat_templates, kind), tool_parser_type="json_tools")
    with saying(f"{CALL}\n{CALL.replace('Rome', 'Oslo')}", "Sunny.", "Yes."):
        asked = agent(folder, system_prompt="Be brief.")
        assert str(asked("How is it in Rome and in Oslo?")).strip() == "Sunny."
        assert str(asked("Sure?")).strip() == "Yes."


def test_a_question_that_the_template_leaves_out_is_refused(tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", chat_templates.MUTE)
    model = MLXModel(str(folder), params={"max_tokens": 20}, engine="in-process")
    with pytest.raises(UnsupportedModel, match="leaves out what the user says"):
        Agent(model=model, callback_handler=None)("How is it in Rome?")


def test_halves_of_characters_do_not_stop_an_agent_or_its_recording(tmp_path: Path) -> None:
    halves: Any = {"city": "R\ud83d"}
    model = MLXModel(MODEL, params={"max_tokens": 60, "stop": ["\ud83d"]}, engine="in-process")
    plugins: Any = [TrainingRecorder("halves")]
    with saying("One.", "Two."):
        asked = Agent(model=model, tools=[get_weather], callback_handler=None, plugins=plugins, system_prompt="\ud83d")
        asked.messages = [
            {"role": "user", "content": [{"text": "Hi \ud83d"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "get_weather", "input": halves}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": "\ude00"}]}}]},
            {"role": "assistant", "content": [{"text": "ok"}]},
        ]  # fmt: skip
        assert str(asked("And \ud83d?")).strip() == "One."
    (one,) = store.read("halves").conversations
    assert one.messages[-2].content == "And \ufffd?"
    (row,) = session_rows("halves")
    assert "R\ufffd" in json.dumps(row.messages, ensure_ascii=False)
