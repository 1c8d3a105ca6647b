"""The starter text model, loaded by the ordinary loader and graded on examples that it was not shown."""

from typing import Any

import pytest
from mlx_lm import batch_generate, load
from mlx_lm.sample_utils import make_sampler

from adapters.models.starters import STARTERS
from adapters.starter.recipes.text import TASKS, Example, Source, draw
from adapters.starter.recipes.text.example import is_held_out

COUNT = 24


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    model, tokenizer, *_ = load(str(STARTERS["starter"]))
    return model, tokenizer


def answers(model: tuple[Any, Any], examples: list[Example], thinking: bool = False) -> list[str]:
    """What the model writes for each example, greedily."""
    language_model, tokenizer = model
    prompts = [
        tokenizer.apply_chat_template(
            example.messages[:-1], tools=example.tools or None, add_generation_prompt=True, enable_thinking=thinking
        )
        for example in examples
    ]
    return batch_generate(language_model, tokenizer, prompts, max_tokens=160).texts


def accuracy(model: tuple[Any, Any], task: str, thinking: bool = False) -> float:
    source = Source(2024)
    examples = [draw(source, "test", task) for _ in range(COUNT)]
    written = [text.split("</think>")[-1].strip() for text in answers(model, examples, thinking)]
    return sum(text == example.answer for text, example in zip(written, examples, strict=True)) / COUNT


# What each task must reach on held-out arguments. A story has no one right answer: it is held to its form below.
FLOORS = {
    "echo": 0.85, "reverse": 0.95, "count_words": 0.95, "upper_case": 0.9, "first_or_last": 0.95, "add": 0.95,
    "subtract": 0.9, "multiply": 0.95, "compare": 0.9, "count_to": 0.95, "sort_numbers": 0.9, "answer_from_text": 0.7,
    "json_object": 0.9, "json_from_text": 0.9, "known_facts": 0.95, "tool_call": 0.9, "no_tool_needed": 0.9,
    "memory": 0.95, "named_by_system": 0.95, "style_by_system": 0.8, "greeting": 0.95,
}  # fmt: skip


@pytest.mark.parametrize("task", FLOORS)
def test_a_held_out_task_is_done(model: tuple[Any, Any], task: str) -> None:
    assert accuracy(model, task) >= FLOORS[task]


def test_sums_are_right_when_it_thinks(model: tuple[Any, Any]) -> None:
    assert accuracy(model, "add", thinking=True) >= 0.9


def test_every_task_is_graded() -> None:
    assert set(TASKS) == set(FLOORS) | {"story"}


def test_a_story_is_about_who_was_asked_for(model: tuple[Any, Any]) -> None:
    language_model, tokenizer = model
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Tell me a story about a frog named Mia."}],
        add_generation_prompt=True,
        enable_thinking=False,
    )
    (text,) = batch_generate(language_model, tokenizer, [prompt], max_tokens=120, sampler=make_sampler(0.0)).texts
    assert text.startswith("Once upon a time there was a")
    assert "frog named Mia" in text
    assert text.endswith("They were happy.")


def test_held_out_arguments_are_in_no_training_example() -> None:
    source = Source(3)
    for _ in range(3000):
        example = draw(source, "train")
        assert example.key is None or not is_held_out(example.task, example.key)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_example_is_a_conversation_that_the_template_takes(model: tuple[Any, Any], task: str) -> None:
    _, tokenizer = model
    source = Source(4)
    for _ in range(20):
        example = draw(source, "train", task)
        assert example.messages[-1]["role"] == "assistant"
        assert example.answer
        assert len(tokenizer.apply_chat_template(example.messages, tools=example.tools or None)) < 1024


def test_the_template_carries_system_tools_and_results(model: tuple[Any, Any]) -> None:
    _, tokenizer = model
    tools = [
        {
            "type": "function",
            "function": {
                "name": "get_time",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ]
    call = {"type": "function", "id": "1", "function": {"name": "get_time", "arguments": {"city": "Rome"}}}
    text = tokenizer.apply_chat_template(
        [
            {"role": "system", "content": "Your name is Pip."},
            {"role": "user", "content": "What time is it in Rome?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "12:30"},
        ],
        tools=tools, tokenize=False, add_generation_prompt=True,
    )  # fmt: skip
    assert "Your name is Pip." in text
    assert "get_time(city: string)" in text
    assert '<tool_call>\n{"name": "get_time", "arguments": {"city": "Rome"}}\n</tool_call>' in text
    assert "<tool_response>\n12:30\n</tool_response>" in text


def test_the_vocabulary_has_no_padding(model: tuple[Any, Any]) -> None:
    language_model, tokenizer = model
    assert language_model.args.vocab_size == len(tokenizer.vocab)
