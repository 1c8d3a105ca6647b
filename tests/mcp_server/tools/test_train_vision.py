"""A model that sees is trained like any other: pictures asked about, corrected, learned from, and seen anew."""

import random
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client
from mlx_vlm.generate.dispatch import generate
from mlx_vlm.prompt_utils import apply_chat_template
from mlx_vlm.utils import load
from PIL import Image, ImageDraw

from adapters.models.starters import STARTERS
from tests.mcp_server.tools.test_train_adapter import done, jsonl
from tests.running import Home, answer, text

pytestmark = pytest.mark.anyio

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 220), "yellow": (240, 220, 40)}
QUESTION = "What color is the circle?"


def circle(path: Path, colour: str, seed: int) -> str:
    chance = random.Random(seed)
    picture = Image.new("RGB", (80, 80), (235, 235, 235))
    x, y, size = chance.randint(5, 30), chance.randint(5, 30), chance.randint(28, 44)
    ImageDraw.Draw(picture).ellipse((x, y, x + size, y + size), COLOURS[colour])
    picture.save(path)
    return str(path)


def wanted(colour: str) -> str:
    return f"{colour} {colour}"


async def ask(client: Client, image: str, **arguments: Any) -> dict[str, Any]:
    asked = {"images": [image], "prompt": QUESTION, "max_tokens": 12}
    return await done(client, answer(await client.call_tool("describe-image", asked | arguments)))


async def test_what_was_corrected_about_pictures_is_done_on_unseen_ones(own_home: Home, tmp_path: Path) -> None:
    taught = [(circle(tmp_path / f"{i}.png", colour, i), colour) for i, colour in enumerate(list(COLOURS) * 4)]
    unseen = [(circle(tmp_path / f"u{i}.png", colour, 100 + i), colour) for i, colour in enumerate(COLOURS)]
    async with own_home.client("--allow", str(tmp_path), "--vision-model", "starter-vision") as client:
        before = [(await ask(client, image))["text"] for image, _ in unseen]
        exchanges = [{"job": (await ask(client, image))["job"], "answer": wanted(colour)} for image, colour in taught]
        answer(await client.call_tool("record-session", {"session": "circles", "exchanges": exchanges}))
        told = await done(
            client,
            answer(
                await client.call_tool(
                    "train-adapter",
                    {
                        "adapter": "twice",
                        "sessions": ["circles"],
                        "model": "starter-vision",
                        "iterations": 30,
                        "scale": 10,
                        "validation": 0.2,
                    },
                )
            ),
        )
        assert told["state"] == "done", told
        found = told["training"]["evaluation"]
        assert found["adapter_loss"] < found["base_loss"]
        assert (found["exact"]["base"], found["exact"]["rows"]) == (0, 3)
        after = [await ask(client, image, adapter="twice") for image, _ in unseen]
        assert {one["model"] for one in after} == {"starter-vision"}
        assert sum(one["text"] == wanted(colour) for one, (_, colour) in zip(after, unseen, strict=True)) >= 3
        assert [(await ask(client, image))["text"] for image, _ in unseen] == before
        folder = told["training"]["folder"]
    # mlx_vlm reads the adapter too, and says the same with it.
    model, processor = cast("tuple[Any, Any]", load(str(STARTERS["starter-vision"]), adapter_path=folder))
    prompt: Any = apply_chat_template(processor, model.config, QUESTION, num_images=1, enable_thinking=False)
    theirs = generate(model, processor, prompt, [unseen[0][0]], max_tokens=12, temperature=0.0)
    assert theirs.text.strip() == after[0]["text"]


async def test_pictures_need_a_model_that_sees_and_grants(shared_home: Home, tmp_path: Path) -> None:
    granted = tmp_path / "granted"
    granted.mkdir()
    outside = circle(tmp_path / "outside.png", "red", 1)
    good = circle(granted / "good.png", "red", 1)
    (granted / "broken.png").write_bytes(b"no picture")

    def row(picture: str) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "red"}],
            "images": [picture],
        }

    plain = [{"prompt": f"say {i}", "completion": str(i)} for i in range(3)]
    cases = [
        ("starter", good, "line 4 has pictures, and starter does not see"),
        ("starter-vision", outside, "outside the granted folders"),
        ("starter-vision", str(granted / "none.png"), "line 4: there is no picture"),
        ("starter-vision", str(granted / "broken.png"), "line 4: "),
        ("starter-vision", "https://example.com/a.png", "no absolute path"),
    ]
    async with shared_home.client("--allow", str(granted)) as client:
        for model, picture, expected in cases:
            path = jsonl(granted / "d.jsonl", *plain, row(picture))
            result = await client.call_tool(
                "train-adapter", {"adapter": "x", "dataset": path, "model": model, "validation": 0}
            )
            assert result.is_error
            assert expected in text(result), text(result)
