"""A cache that cannot be trimmed is kept where a later prompt would part from this one."""

import itertools
from typing import Any

import pytest
from mlx_lm.tokenizer_utils import load as load_tokenizer

from adapters.mlx.text.chat import Prompt, render
from adapters.mlx.text.checkpoints import SHORTEST, places_to_keep
from adapters.models.starters import STARTERS
from adapters.protocol.content import Message

LINE = "the red ball is in the box and Tom has a blue hat while Anna lives in Rome\n"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(STARTERS["starter"])


def rendered(tokenizer: Any, messages: list[Message]) -> tuple[Prompt, list[int]]:
    prompt = render(tokenizer, messages, [], thinking=False, checkpoints=True)
    return prompt, places_to_keep(tokenizer, messages, [], thinking=False, prompt=prompt)


def shared(some: list[int], others: list[int]) -> int:
    return next(i for i, (one, other) in enumerate(zip(some, others, strict=False)) if one != other)


@pytest.mark.parametrize(
    "material", [f'<document name="a.txt">\n{LINE * 20}</document>\n\n', f"{LINE * 20}\n\n", f"{LINE * 20}\n \n"]
)
def test_the_place_where_the_question_begins_serves_another_question(tokenizer: Any, material: str) -> None:
    first, places = rendered(tokenizer, [{"role": "user", "content": f"{material}Who has a hat?"}])
    second, _ = rendered(tokenizer, [{"role": "user", "content": f"{material}Where does Anna live?"}])
    parting = shared(first.tokens, second.tokens)
    assert parting - 3 <= max(place for place in places if place <= parting) <= parting


def test_the_question_in_an_earlier_turn_is_no_matter(tokenizer: Any) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"{LINE * 20}\n\nWho has a hat?"},
        {"role": "assistant", "content": "Tom."},
        {"role": "user", "content": "And who lives in Rome?"},
    ]
    prompt, places = rendered(tokenizer, turns)
    ends = [place for place in prompt.boundaries if place in places]
    assert ends[0] == prompt.boundaries[0]  # after the system prompt
    assert prompt.boundaries[-1] in ends  # before the last turn


def test_a_long_prompt_without_any_end_has_places_in_between(tokenizer: Any) -> None:
    prompt, places = rendered(tokenizer, [{"role": "user", "content": LINE.strip() * 300}])
    assert 3 <= len(places) <= 6
    assert places == sorted(set(places))
    assert all(0 < place < len(prompt.tokens) for place in places)
    assert max(b - a for a, b in zip([0, *places], [*places, len(prompt.tokens)], strict=True)) < len(prompt.tokens) / 2


def test_a_short_prompt_has_the_ends_of_its_turns_alone(tokenizer: Any) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello.\n\nWho are you?"}]
    prompt, places = rendered(tokenizer, turns)
    assert len(prompt.tokens) < SHORTEST
    assert places == prompt.boundaries


def test_places_are_few_and_apart_however_many_turns_there_are(tokenizer: Any) -> None:
    turns: list[Message] = [{"role": "system", "content": LINE}]
    for i in range(40):
        turns += [{"role": "user", "content": f"{i} {LINE}"}, {"role": "assistant", "content": LINE}]
    _, places = rendered(tokenizer, [*turns, {"role": "user", "content": "Well?"}])
    assert len(places) <= 10
    assert all(b - a >= 32 for a, b in itertools.pairwise(places))
