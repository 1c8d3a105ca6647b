"""What is asked reaches the model under every kind of chat template, or is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load_tokenizer

from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.mlx.text.chat import opened_once, render, rendered_text
from adapters.mlx.text.template_probes import form_of
from adapters.models.starters import STARTERS
from tests.adapters.mlx.text import chat_templates
from tests.scripted_models import scripted_model

QUESTION = "What is the capital of France, and since when?"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def tokenizer_of(folder: Path, template: str | None, **named: Any) -> Any:
    return load_tokenizer(scripted_model(folder, template, **named))


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def call(city: str, number: str) -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": "get_weather", "arguments": {"city": city}}}


def tool_turns(said: str = "") -> list[dict[str, Any]]:
    """Two calls and their results."""
    return [
        {"role": "system", "content": "Answer in one line."},
        user("How is it in Rome and in Oslo?"),
        {"role": "assistant", "content": said, "tool_calls": [call("Rome", "tooluse_1"), call("Oslo", "tooluse_2")]},
        {"role": "tool", "tool_call_id": "tooluse_1", "content": 'sunny, "24" degrees'},
        {"role": "tool", "tool_call_id": "tooluse_2", "content": "rain"},
    ]


READERS = ["STRINGS", "PARTS", "PARTS_FOR_USERS", "NAMED_CONTENT", "NO_SYSTEM", "OBJECTS"]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("thinking", [False, True])
def test_every_text_of_a_conversation_is_in_the_prompt(kind: str, thinking: bool, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, getattr(chat_templates, kind), says=["<think>", "</think>"])
    conversation = [
        {"role": "system", "content": "Be brief."},
        user("Hello?"),
        {"role": "assistant", "content": "Yes?"},
        user(parts("First a document.", QUESTION)),
    ]
    drawn = tokenizer.decode(render(tokenizer, conversation, [], thinking, checkpoints=True).tokens)
    said = ["Be brief.", "Hello?", "Yes?", "First a document.", QUESTION]
    assert re.search(".*".join(map(re.escape, said)), drawn, re.DOTALL), drawn
    assert "'type'" not in drawn


def test_text_in_parts_is_the_same_prompt_as_text(tmp_path: Path) -> None:
    for kind in READERS:
        tokenizer = tokenizer_of(tmp_path / kind, getattr(chat_templates, kind))
        whole, cut = ([user(one)] for one in ("One.\nTwo.", parts("One.", "Two.")))
        assert rendered_text(tokenizer, whole, [], False, True) == rendered_text(tokenizer, cut, [], False, True)


@pytest.mark.parametrize(
    ("kind", "conversation", "lost"),
    [
        ("MUTE", [user(QUESTION)], "user"),
        ("MUTE", [user("4")], "user"),
        ("CUT", [user(QUESTION)], "user"),
        ("LAST_ONLY", [user(QUESTION), {"role": "assistant", "content": "Paris."}, user("And of Italy?")], "user"),
        ("LAST_ONLY", [user("ma"), {"role": "assistant", "content": "a"}, user("What comes after ma and a?")], "user"),
    ],
)
def test_a_text_that_a_template_leaves_out_is_refused(
    kind: str, conversation: list[dict[str, Any]], lost: str, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(tmp_path, getattr(chat_templates, kind))
    with pytest.raises(UnsupportedModel, match=f"leaves out what the {lost} says.*choose another model"):
        render(tokenizer, conversation, [], False, checkpoints=False)


def test_a_thought_before_an_earlier_answer_may_be_left_out(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, chat_templates.THOUGHTLESS)
    answered = {"role": "assistant", "content": "<think>\nA long thought about it.\n</think>\n\n Paris. "}
    drawn = rendered_text(tokenizer, [user("  Where?\n"), answered, user("Sure?")], [], False, True)
    assert "Paris." in drawn
    assert "thought" not in drawn


def test_a_system_turn_stands_before_the_first_question_where_there_is_no_place_for_it(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, chat_templates.NO_SYSTEM)
    prompt = render(tokenizer, [{"role": "system", "content": "Be brief."}, user("Hi")], [], False, checkpoints=False)
    assert "user\nBe brief.\n\nHi<|im_end|>" in tokenizer.decode(prompt.tokens)
    assert prompt.notes == [
        "this model's chat template has no place for a system prompt: it stands before the first user's message"
    ]


def test_what_a_template_refuses_is_told(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, chat_templates.NO_SYSTEM)
    with pytest.raises(InvalidRequest, match=r"must alternate.*Change their roles or order"):
        render(tokenizer, [user("Hi"), user("There")], [], False, checkpoints=False)


# --- tools


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("OBJECTS", {"plain_tools": False, "arguments_as_text": False}),
        ("CONCATENATED", {"plain_tools": False, "arguments_as_text": True, "empty_content": ""}),
        ("NO_CONTENT", {"plain_tools": False, "arguments_as_text": True, "empty_content": None}),
        ("ONE_CALL", {"plain_tools": False, "one_call_a_message": True, "shows_words_beside_calls": False}),
        ("NINE_LETTERS", {"plain_tools": False, "short_ids": True, "has_system_with_calls": False}),
        ("TOOLS_BUT_NO_CALLS", {"plain_tools": True}),
        ("STRINGS", {"plain_tools": True}),
        ("NO_SYSTEM", {"plain_tools": True, "has_system": False}),
    ],
)
def test_an_agents_second_turn_is_rendered_in_the_templates_own_form(
    kind: str, found: dict[str, Any], tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(tmp_path, getattr(chat_templates, kind), tool_parser_type="json_tools")
    form = form_of(tokenizer)
    assert {name: getattr(form, name) for name in found} == found
    drawn = rendered_text(tokenizer, tool_turns(), TOOLS, False, True)
    for said in ("get_weather", "Answer in one line.", "How is it", '"city": "Rome"', '"city": "Oslo"', "rain"):
        assert said in drawn, said
    assert 'sunny, "24" degrees' in drawn.replace("\\", "")
    assert "'city'" not in drawn
    assert '\\"city' not in drawn


def test_words_beside_a_call_are_kept_or_told_of(tmp_path: Path) -> None:
    told = tokenizer_of(tmp_path / "all", chat_templates.OBJECTS, tool_parser_type="json_tools")
    assert "I look it up." in rendered_text(told, tool_turns("I look it up."), TOOLS, False, True)
    lost = tokenizer_of(tmp_path / "lost", chat_templates.ONE_CALL, tool_parser_type="json_tools")
    notes = render(lost, tool_turns("I look it up."), TOOLS, False, checkpoints=False).notes
    assert notes == ["this model's chat template leaves out what was said beside earlier calls of tools"]
    assert not render(lost, tool_turns(), TOOLS, False, checkpoints=False).notes


@pytest.mark.parametrize("template", [chat_templates.STRINGS, chat_templates.PARTS, chat_templates.NO_SYSTEM, None])
def test_tools_without_a_place_are_described_in_words(template: str | None, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, template)
    prompt = render(tokenizer, tool_turns("I look."), TOOLS, False, checkpoints=False)
    drawn = tokenizer.decode(prompt.tokens)
    assert '{"type": "function", "function": {"name": "get_weather"' in drawn
    assert 'I look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>' in drawn
    assert '<tool_response>\nsunny, "24" degrees\n</tool_response>\n<tool_response>\nrain\n</tool_response>' in drawn
    assert "described to it in words" in prompt.notes[0]


def test_a_model_that_reads_its_own_form_comes_without_notes() -> None:
    tokenizer: Any = load_tokenizer(STARTERS["starter"])
    assert not form_of(tokenizer).plain_tools
    assert not render(tokenizer, tool_turns(), TOOLS, False, checkpoints=False).notes


# --- base models


@pytest.mark.parametrize("own", ["", "<|endoftext|>"])
def test_a_text_begins_once_with_what_the_tokenizer_puts_first(own: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, None, bos=True)
    assert tokenizer.decode(opened_once(tokenizer, f"{own}Once")) == "<|endoftext|>Once"
    assert tokenizer.decode(render(tokenizer, [user(f"{own}Once")], [], False, checkpoints=False).tokens) == (
        "<|endoftext|>Once"
    )
