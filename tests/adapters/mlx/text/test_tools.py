"""Tools for a model whose template shows none: it is told of them in words, and its calls are read."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load_tokenizer

from adapters.mlx.prepare import read_call
from adapters.mlx.text.answer import AnswerText, markers_of
from adapters.mlx.text.chat import render, rendered_text
from adapters.models.starters import STARTERS
from tests.tiny_models import copy_of_starter

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "How is Rome?"},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}]},
    {"role": "tool", "content": "sunny"},
    {"role": "user", "content": "And tomorrow?"},
]  # fmt: skip
# ChatML as many models have it: no tools, and turns that alternate.
CHATML = (
    "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] or (not loop.first and m.role == "
    "loop.previtem.role) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(params=["a template without tools", "no template"])
def blind(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The tokenizer of a model that would see nothing of its tools."""
    folder = copy_of_starter(tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["tool_parser_type"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if request.param == "no template":
        (folder / "chat_template.jinja").unlink()
    else:
        (folder / "chat_template.jinja").write_text(CHATML)
    return load_tokenizer(folder)


def told(tokenizer: Any, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    """What the model reads, which must be what it is trained on."""
    text = rendered_text(tokenizer, messages, tools, thinking=False, prompt=True)
    tokens = render(tokenizer, messages, tools, thinking=False, checkpoints=True).tokens
    assert tokens == tokenizer.encode(text, add_special_tokens=not tokenizer.has_chat_template)
    return text


@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "Be brief."}]])
def test_tools_are_told_once_in_words(blind: Any, system: list[dict[str, Any]]) -> None:
    text = told(blind, [*system, {"role": "user", "content": "How is Rome?"}], [WEATHER])
    assert text.count("Get the weather of a city.") == 1
    assert text.index("Get the weather of a city.") < text.index("How is Rome?")
    assert all(message["content"] in text for message in system)


@pytest.mark.parametrize("tools", [[], [WEATHER]])
def test_calls_and_results_of_a_conversation_are_told_in_their_order(blind: Any, tools: list[dict[str, Any]]) -> None:
    text = told(blind, CALLED, tools)
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    places = [text.index(one) for one in ("How is Rome?", call, "sunny", "And tomorrow?")]
    assert places == sorted(places)


def test_a_call_that_is_written_so_is_read(blind: Any) -> None:
    answer = AnswerText(markers_of(blind), tools=True)
    answer.add('I look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>')
    answer.finish()
    (call,) = read_call(blind, answer.tool_calls[0], [WEATHER])
    assert (call.name, call.arguments) == ("get_weather", {"city": "Rome"})


def test_a_conversation_without_tools_is_left_as_it_is(blind: Any) -> None:
    messages = [{"role": "user", "content": "Say <tool_call>."}]
    assert told(blind, messages, []).count("tool") == 1


def test_a_template_that_shows_tools_shows_them_itself() -> None:
    tokenizer = load_tokenizer(STARTERS["starter"])
    text = rendered_text(tokenizer, CALLED, [WEATHER], thinking=False, prompt=True)
    expected = tokenizer.apply_chat_template(
        CALLED, tools=[WEATHER], enable_thinking=False, add_generation_prompt=True, tokenize=False
    )
    assert text == expected
