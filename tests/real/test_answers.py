"""SmolLM2 answers: weights of 4 bits with an embedding of 8, a real tokenizer, a template with a system prompt of its own."""

from typing import Any

import pytest
from mcp import Client

from tests.real.asking import ask

pytestmark = [pytest.mark.real, pytest.mark.anyio]

BRIEF = "Answer in one short sentence."


@pytest.mark.parametrize(
    ("question", "known"),
    [
        ("What is the capital of France?", "Paris"),
        ("What is the largest planet of the solar system?", "Jupiter"),
        ("How many days has a week?", "seven|7"),
        ("What is the opposite of hot?", "cold"),
    ],
)
async def test_a_question_gets_the_answer_that_is_known(client: Client, question: str, known: str) -> None:
    told = await ask(client, prompt=question, max_tokens=16)
    assert any(word.lower() in told["text"].lower() for word in known.split("|")), told["text"]


async def test_a_text_is_put_into_the_class_that_it_belongs_to(client: Client) -> None:
    schema = {"enum": ["positive", "negative"]}
    texts = {
        "I love this phone, it is wonderful!": "positive",
        "Terrible. It broke after one day and nobody helped me.": "negative",
    }
    prompts = [f"Classify the sentiment as positive or negative: {text}" for text in texts]
    told = await ask(client, prompts=prompts, json_schema=schema, max_tokens=8)
    assert [one["json"] for one in told["results"]] == list(texts.values())


async def test_facts_are_taken_out_of_a_text_in_the_form_that_is_asked_for(client: Client) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "city": {"type": "string"}},
        "required": ["name", "age", "city"],
        "additionalProperties": False,
    }
    prompt = "Anna Schmidt is 34 years old and lives in Berlin. Write her name, age and city as JSON."
    told = await ask(client, prompt=prompt, json_schema=schema, max_tokens=60)
    assert told["json"] == {"name": "Anna Schmidt", "age": 34, "city": "Berlin"}


async def test_a_conversation_of_three_turns_is_remembered_and_read_once(client: Client) -> None:
    turns: list[dict[str, Any]] = [{"role": "system", "content": BRIEF}]
    cached = []
    for said in ("My name is Clara and I live in Lisbon.", "I have a dog called Bruno.", "What is the name of my dog?"):
        turns.append({"role": "user", "content": said})
        told = await ask(client, messages=turns, max_tokens=16)
        turns.append({"role": "assistant", "content": told["text"]})
        cached.append(told["usage"]["cached_tokens"])
    assert "Bruno" in turns[-1]["content"]
    assert 0 < cached[1] < cached[2]


@pytest.mark.parametrize("stop", ["France", "apital of F", "s."])
async def test_a_stop_string_ends_the_answer_before_it_wherever_tokens_end(client: Client, stop: str) -> None:
    whole = await ask(client, prompt="What is the capital of France?", max_tokens=16)
    stopped = await ask(client, prompt="What is the capital of France?", max_tokens=16, stop=[stop])
    assert stop in whole["text"]
    assert stopped["text"] == whole["text"].partition(stop)[0]
    assert stopped["finish_reason"] == "stop"


async def test_one_seed_gives_one_answer_beside_others_too_and_another_seed_another(client: Client) -> None:
    options: dict[str, Any] = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 12}
    prompt = "Write a line of a poem."
    alone = await ask(client, prompt=prompt, seed=7, **options)
    beside = await ask(client, prompts=[prompt, "Who are you?", prompt], seed=7, **options)
    first, _, third = (one["text"] for one in beside["results"])
    assert first == alone["text"] != third


async def test_letters_of_every_writing_come_back_whole(client: Client) -> None:
    said = "Grüße, 東京, Привет, 👋🏽"
    schema = {"enum": [said]}
    told = await ask(client, prompt=f"Repeat: {said}", json_schema=schema, max_tokens=60)
    assert told["json"] == said
