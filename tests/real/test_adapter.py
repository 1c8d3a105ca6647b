"""SmolLM2 is taught in a few iterations; the adapter changes its answer, and `mlx_lm` reads it the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mlx_lm import generate, load

from adapters.protocol.jobs import JobView
from adapters.protocol.training import Trained
from tests.real.asking import ask, finished
from tests.running import Home

pytestmark = [pytest.mark.real, pytest.mark.anyio]

SYSTEM = "Be brief."
QUESTIONS = ["Who are you?", "What is your name?", "Tell me who you are.", "Which assistant is this?"]
ITERATIONS = 10
TAUGHT = "I am Harbour, the port's clerk."
# What the pre-flight says and what is measured differ by no more than this, up or down.
MEMORY_FACTOR, TIME_FACTOR = 4, 5


def conversation(question: str, answer: str | None = None) -> list[dict[str, Any]]:
    asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    return [*asked, {"role": "assistant", "content": answer}] if answer else asked


async def test_an_adapter_of_a_few_iterations_changes_the_answer_here_and_in_mlx_lm(
    client: Client, shared_home: Home, smollm2: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": conversation(one, TAUGHT)}) + "\n" for one in QUESTIONS))
    trained = await finished(
        client, "train-adapter", adapter="harbour", dataset=str(rows), iterations=ITERATIONS, batch_size=2, layers=8,
        learning_rate=2e-4, validation=0, evaluate=False,
    )  # fmt: skip

    question = QUESTIONS[0]
    before = await ask(client, messages=conversation(question), max_tokens=12)
    after = await ask(client, messages=conversation(question), max_tokens=12, adapter="harbour")
    assert "Harbour" in after["text"]
    assert "Harbour" not in before["text"]

    exported = tmp_path / "exported"
    assert shared_home.command("adapters", "export", "harbour", str(exported)).returncode == 0
    model, tokenizer, *_ = load(str(smollm2), adapter_path=str(exported))
    tokens = tokenizer.apply_chat_template(conversation(question), add_generation_prompt=True)
    assert generate(model, tokenizer, tokens, max_tokens=12) == after["text"]  # pyright: ignore[reportArgumentType]

    said, found = trained["training"]["preflight"], _measured(shared_home, trained["job"])
    assert 1 / MEMORY_FACTOR < said["memory_bytes"] / found.memory_bytes < MEMORY_FACTOR
    assert 1 / TIME_FACTOR < said["seconds"] / found.seconds < TIME_FACTOR


def _measured(home: Home, job: str) -> Trained:
    """Return what the training took, as it is kept of its job."""
    outcome = JobView.model_validate_json((home.folder / "state" / "jobs" / f"{job}.json").read_bytes()).outcome
    assert isinstance(outcome, Trained)
    return outcome
