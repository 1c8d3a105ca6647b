"""What a client asks reaches the model whatever its chat template reads, or the call is refused with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.adapters.mlx.text import chat_templates
from tests.picture_models import random_mistral3
from tests.running import Home, answer, text
from tests.scripted_models import scripted_model

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["STRINGS", "PARTS", "NAMED_CONTENT", "NO_SYSTEM"])
async def test_every_word_of_a_question_is_read(kind: str, shared_home: Home, tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", getattr(chat_templates, kind))
    async with shared_home.client("--allow", str(tmp_path)) as client:

        async def read(**arguments: Any) -> int:
            told = answer(await client.call_tool("generate", {"model": str(folder), "max_tokens": 4} | arguments))
            assert told["text"] == "Yes."
            return told["usage"]["prompt_tokens"]

        # A token of this model is one byte.
        first, longer = await read(prompt="Is it so?"), await read(prompt="Is it so, or is it not?")
        assert longer - first == len("Is it so, or is it not?") - len("Is it so?")
        spoken = [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."}]
        asked = {"role": "user", "content": "C?"}
        assert await read(messages=[*spoken, asked], system="D.") > await read(messages=[*spoken, asked])


async def test_a_question_that_is_left_out_is_refused(shared_home: Home, tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", chat_templates.LAST_ONLY)
    async with shared_home.client("--allow", str(tmp_path)) as client:
        given: dict[str, Any] = {"model": str(folder), "prompt": "Is it so?"}
        assert answer(await client.call_tool("generate", given))["text"] == "Yes."
        told = answer(await client.call_tool("generate", given | {"system": "Be brief."}))
        assert "first user's message" in told["note"]
        turns = [{"role": role, "content": f"{role} says it"} for role in ("user", "assistant", "user")]
        refused = await client.call_tool("generate", {"model": str(folder), "messages": turns})
        assert refused.is_error
        assert "this model's chat template leaves out what the" in text(refused)


async def test_a_system_prompt_without_a_place_is_told_of(shared_home: Home, tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", chat_templates.NO_SYSTEM)
    async with shared_home.client("--allow", str(tmp_path)) as client:
        given = {"model": str(folder), "prompt": "Is it so?", "system": "Be brief."}
        told = answer(await client.call_tool("generate", given))
    assert told["text"] == "Yes."
    assert "no place for a system prompt" in told["note"]


async def test_a_picture_is_described_where_only_the_tokenizer_has_a_template(
    shared_home: Home, tmp_path: Path
) -> None:
    folder = random_mistral3(tmp_path / "model")
    Image.new("RGB", (112, 112), "red").save(tmp_path / "red.png")
    async with shared_home.client("--allow", str(tmp_path)) as client:

        async def read(prompt: str) -> int:
            given = {"model": str(folder), "images": [str(tmp_path / "red.png")], "prompt": prompt, "max_tokens": 4}
            return answer(await client.call_tool("describe-image", given))["usage"]["prompt_tokens"]

        assert await read("What is it, and why?") - await read("What is it?") == len(", and why")


async def test_rows_whose_questions_are_left_out_are_not_trained_on(shared_home: Home, tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model", chat_templates.MUTE)
    parts = [{"type": "text", "text": "Is it so?"}]
    said = [{"role": "user", "content": parts}, {"role": "assistant", "content": "It is."}]
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps({'messages': said})}\n" * 3)
    given = {"adapter": "lost", "model": str(folder), "dataset": str(tmp_path / "rows.jsonl"), "validation": 0}
    async with shared_home.client("--allow", str(tmp_path)) as client:
        refused = await client.call_tool("train-adapter", given | {"iterations": 1, "evaluate": False})
        while not refused.is_error:
            told = answer(refused)
            assert told["state"] not in ("done", "cancelled"), told
            refused = await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 40})
    assert "rows.jsonl, line 1: this model's chat template leaves out what the user says ('Is it so?')" in text(refused)
