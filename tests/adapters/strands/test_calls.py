"""What an agent runs of the calls that models of many families write: the calls that were meant, or nothing."""

import logging
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool

from adapters.strands import MLXModel
from tests.adapters.strands.scripted import MODEL, saying
from tests.tiny_models import starter_of_family

RAN: list[tuple[str, dict[str, Any]]] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


@tool
def delete_files(path: str = "/", older_than_days: int = 0) -> str:
    """Delete files.

    Args:
        path: The folder.
        older_than_days: Only files that are older.
    """
    RAN.append(("delete_files", {"path": path, "older_than_days": older_than_days}))
    return "Deleted."


@tool
def get_weather(city: str, options: dict[str, Any] | None = None) -> str:
    """Tell the weather.

    Args:
        city: Where.
        options: How.
    """
    RAN.append(("get_weather", {"city": city} | ({"options": options} if options else {})))
    return "Sunny."


def asked(folder: Path | str, text: str, **params: Any) -> Any:
    """The agent, after its model has said the text and then, if it is asked again, that it is done."""
    provider = MLXModel(str(folder), params={"max_tokens": 400} | params, engine="in-process")
    agent = Agent(model=provider, tools=[delete_files, get_weather], callback_handler=None)
    with saying(text, "Done."):
        agent("Do it.")
    return agent


def texts(agent: Any) -> str:
    return "".join(block.get("text", "") for m in agent.messages if m["role"] == "assistant" for block in m["content"])


ROME = [("get_weather", {"city": "Rome"})]
OLD_FILES = [("delete_files", {"path": "/tmp/x", "older_than_days": 30})]
XML = "<tool_call>\\n<function=", "<tool_call>"
XML_OLD_FILES = "<function=delete_files>\n<parameter=path>\n/tmp/x\n</parameter>\n<parameter=older_than_days>\n30\n</parameter>\n</function>"
XML_ROME = "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>"
# The marks in a model's template, what the model says, and what is run.
RUN: dict[str, tuple[tuple[str, ...], str, list[tuple[str, dict[str, Any]]]]] = {
    "parameters for arguments": (
        (), '<tool_call>\n{"name": "delete_files", "parameters": {"path": "/tmp/x", "older_than_days": 30}}\n</tool_call>', OLD_FILES,
    ),
    "arguments beside the name": (
        (), '<tool_call>\n{"name": "delete_files", "path": "/tmp/x", "older_than_days": "30"}\n</tool_call>', OLD_FILES,
    ),
    "two functions in one block": (XML, f"<tool_call>\n{XML_OLD_FILES}\n{XML_ROME}\n\n</tool_call>", OLD_FILES + ROME),
    "a tag in a value": (
        XML, "<tool_call>\n<function=get_weather>\n<parameter=city>\nA</parameter>B\n</parameter>\n</function>\n</tool_call>",
        [("get_weather", {"city": "A</parameter>B"})],
    ),
    "Mistral with an id": (("[TOOL_CALLS]",), '[TOOL_CALLS]get_weather[CALL_ID]abc123def[ARGS]{"city": "Rome"}', ROME),
    "Gemma, nested": (
        ("<start_function_call>",),
        "<start_function_call>call:get_weather{options:{a:1,b:[<escape>x<escape>]},city:<escape>Rome<escape>}<end_function_call>",
        [("get_weather", {"city": "Rome", "options": {"a": 1, "b": ["x"]}})],
    ),
    "arguments as a JSON string": (
        ("<tool_call>", "tool_call.name"), '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}</tool_call>', ROME,
    ),
    "Llama 3": (("<|python_tag|>",), '{"name": "get_weather", "parameters": {"city": "Rome"}}', ROME),
    "a model whose form nobody told": (("nothing",), '{"name": "get_weather", "parameters": {"city": "Rome"}}', ROME),
    "DeepSeek": (
        ("<｜tool▁calls▁begin｜>",),  # noqa: RUF001
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Rome"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: RUF001
        ROME,
    ),
    "in a thought that never ends": ((), '<think>\nI look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>', ROME),
    "without its opening mark": ((), '{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>', ROME),
}  # fmt: skip

NOT_RUN: dict[str, tuple[tuple[str, ...], str]] = {
    "no arguments": ((), '<tool_call>\n{"name": "delete_files"}\n</tool_call>'),
    "arguments of no such name": ((), '<tool_call>\n{"name": "delete_files", "folder": "/tmp/x"}\n</tool_call>'),
    "prose in a GLM block": (("<arg_key>",), "<tool_call>delete_files might do it</tool_call>"),
    "a tool that was not offered": ((), '<tool_call>\n{"name": "rm", "arguments": {"path": "/"}}\n</tool_call>'),
    "an argument within a value": (
        XML, "<tool_call>\n<function=delete_files>\n<parameter=path>\na</parameter>\n<parameter=older_than_days>\n0\n</parameter> b\n</parameter>\n</function>\n</tool_call>",
    ),
    "a required argument is missing": (XML, "<tool_call>\n<function=get_weather>\n</function>\n</tool_call>"),
}  # fmt: skip


def folder_of(marks: tuple[str, ...], tmp_path: Path) -> Path | str:
    return starter_of_family(tmp_path / "model", *marks) if marks else MODEL


@pytest.mark.parametrize("name", RUN)
def test_an_agent_runs_what_its_model_meant(name: str, tmp_path: Path) -> None:
    marks, text, ran = RUN[name]
    agent = asked(folder_of(marks, tmp_path), text)
    assert sorted(RAN, key=str) == sorted(ran, key=str)
    assert texts(agent).strip() == "Done."


@pytest.mark.parametrize("name", NOT_RUN)
def test_an_agent_runs_nothing_that_was_not_asked_for(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks, text = NOT_RUN[name]
    with caplog.at_level(logging.WARNING):
        agent = asked(folder_of(marks, tmp_path), text)
    assert RAN == []
    assert texts(agent) == text
    assert "adapters.mlx.text.calls" in {record.name.rpartition(".")[0] for record in caplog.records}


def test_channels_are_thoughts_calls_and_answer(tmp_path: Path) -> None:
    folder = starter_of_family(tmp_path / "model", "<|channel|>", "<|message|>")
    call = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Rome"}<|call|>'
    provider = MLXModel(str(folder), params={"max_tokens": 200}, engine="in-process")
    agent = Agent(model=provider, tools=[get_weather], callback_handler=None)
    thought = "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant"
    with saying(thought + call, "<|channel|>final<|message|>Sunny in Rome.<|return|>"):
        result = agent("And the weather?")
    assert RAN == ROME
    assert str(result).strip() == "Sunny in Rome."
    said: Any = agent.messages[1]["content"]
    assert said[0]["reasoningContent"]["reasoningText"]["text"] == "I look."
    assert texts(agent) == "Sunny in Rome."
