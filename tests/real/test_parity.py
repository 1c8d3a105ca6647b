"""Thirty prompts are answered token for token as `mlx_lm.generate` answers them."""

from pathlib import Path

import pytest
from mcp import Client
from mlx_lm import generate, load

from tests.real.asking import ask

pytestmark = [pytest.mark.real, pytest.mark.anyio]

SYSTEM = "Be brief."
TOKENS = 6
PROMPTS = [
    *(f"What is the capital of {one}?" for one in ("Italy", "Japan", "Peru", "Egypt", "Norway", "Cuba")),
    *(f"What is the opposite of {one}?" for one in ("big", "early", "dark", "full", "north", "happy")),
    *(f"Say '{one}' in French." for one in ("good morning", "thank you", "water", "house")),
    *(f"What is {one}?" for one in ("3 + 4", "12 - 5", "6 * 7", "DNA", "a haiku", "an API")),
    *(f"Name one {one}." for one in ("colour", "river in Africa", "prime number", "metal", "composer")),
    "Écris un mot.", "Was ist Zeit?", "print('hello')",
]  # fmt: skip


async def test_thirty_prompts_are_answered_as_by_mlx_lm(client: Client, smollm2: Path) -> None:
    assert len(PROMPTS) == 30
    told = await ask(client, prompts=PROMPTS, system=SYSTEM, max_tokens=TOKENS)
    model, tokenizer, *_ = load(str(smollm2))
    expected = []
    for prompt in PROMPTS:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        expected.append(generate(model, tokenizer, tokens, max_tokens=TOKENS))  # pyright: ignore[reportArgumentType]
    assert [one["text"] for one in told["results"]] == expected
