"""`describe-image` through the whole stack: a real client, a real stdio subprocess, held-out pictures."""

import base64
import json
import os
import random
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from PIL import Image, ImageDraw

from adapters.models.starters import STARTERS
from adapters.starter.recipes.vision.questions import ask as questions_about
from adapters.starter.recipes.vision.questions import caption
from adapters.starter.recipes.vision.scenes import Thing, draw_scene, paint
from tests.adapters.media.test_images import bomb
from tests.running import ERAS, Home, answer, text
from tests.sounds import needs_ffmpeg

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(shared_home: Home, tmp_path: Path) -> AsyncIterator[Client]:
    """A client with the test's folder granted."""
    async with shared_home.client("--allow", str(tmp_path)) as client:
        yield client


async def look(client: Client, *images: Path | str, **arguments: Any) -> dict[str, Any]:
    return answer(await client.call_tool("describe-image", {"images": [str(image) for image in images], **arguments}))


async def refused(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("describe-image", arguments)
    assert result.is_error, result
    return text(result)


def shape(colour: str, kind: str, path: Path, size: tuple[int, int] = (120, 120)) -> Path:
    """One shape in the middle of a white picture."""
    image = Image.new("RGB", size, "white")
    pen, (x, y) = ImageDraw.Draw(image), (size[0] // 2, size[1] // 2)
    if kind == "circle":
        pen.ellipse([x - 28, y - 28, x + 28, y + 28], fill=colour)
    elif kind == "square":
        pen.rectangle([x - 28, y - 28, x + 28, y + 28], fill=colour)
    else:
        pen.polygon([(x, y - 30), (x + 32, y + 26), (x - 32, y + 26)], fill=colour)
    image.save(path)
    return path


# --- what it sees


@pytest.mark.parametrize("era", ERAS)
async def test_a_picture_is_described_and_the_answer_says_what_was_shown(
    shared_home: Home, tmp_path: Path, era: Any
) -> None:
    path = shape("red", "circle", tmp_path / "a.png")
    async with shared_home.client("--allow", str(tmp_path), era=era) as client:
        result = await client.call_tool("describe-image", {"images": [str(path)]})
    told = answer(result)
    assert told["text"] == "A red circle in the center."
    assert (told["state"], told["model"], told["finish_reason"]) == ("done", "starter-vision", "stop")
    assert told["images"] == [
        {"format": "PNG", "width": 120, "height": 120, "frames": 1, "shown_width": 120, "shown_height": 120}
    ]
    assert told["usage"]["prompt_tokens"] > 20
    assert told["job"].startswith("see-")
    assert "A red circle" in text(result)
    assert told["job"] in text(result)


async def test_held_out_pictures_are_named_right(client: Client, tmp_path: Path) -> None:
    chance, right, count = random.Random(2026), 0, 24
    for i in range(count):
        scene = draw_scene(chance, "test")
        while scene.kind not in ("one", "two"):
            scene = draw_scene(chance, "test")
        scene.image.save(tmp_path / f"{i}.png")
        right += (await look(client, tmp_path / f"{i}.png"))["text"] == caption(scene)
    assert right >= count * 0.7


async def test_held_out_questions_are_answered_right(client: Client, tmp_path: Path) -> None:
    chance, right, count = random.Random(2027), 0, 0
    for i in range(12):
        scene = draw_scene(chance, "test")
        scene.image.save(tmp_path / f"{i}.webp", lossless=True)
        for question, wanted in questions_about(chance, scene, 3)[1:]:
            right += (await look(client, tmp_path / f"{i}.webp", prompt=question))["text"] == wanted
            count += 1
    assert right >= count * 0.75


@pytest.mark.parametrize("orientation", [3, 6, 8])
async def test_a_photo_held_sideways_is_seen_upright(client: Client, tmp_path: Path, orientation: int) -> None:
    scene = paint(random.Random(4), "two", [Thing((0, 1), "red", "circle"), Thing((2, 1), "blue", "square")], scale=3)
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / "photo.jpg"
    scene.image.transpose(turned[orientation]).save(path, exif=exif, quality=95)
    assert (await look(client, path))["text"] == "A red circle at the top and a blue square at the bottom."


async def test_the_order_of_pictures_is_kept(client: Client, tmp_path: Path) -> None:
    chance = random.Random(6)
    paths = []
    for colour in ("red", "blue"):
        paint(chance, "one", [Thing((1, 1), colour, "circle")], ground=("white", (255, 255, 255)), scale=2).image.save(
            tmp_path / f"{colour}.png"
        )
        paths.append(tmp_path / f"{colour}.png")
    there = await look(client, *paths, prompt="What changed?")
    back = await look(client, *reversed(paths), prompt="What changed?")
    assert there["text"] == "The color changed from red to blue."
    assert back["text"] == "The color changed from blue to red."
    assert len(there["images"]) == 2


async def test_fields_are_read_into_a_schema(client: Client, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"color": {"type": "string"}, "shape": {"enum": ["circle", "square", "triangle"]}},
        "required": ["color", "shape"],
        "additionalProperties": False,
    }
    path = shape("blue", "square", tmp_path / "receipt.png")
    told = await look(client, path, prompt="Give the color and shape as JSON.", json_schema=schema)
    assert told["json"] == {"color": "blue", "shape": "square"}
    assert json.loads(told["text"]) == told["json"]


async def test_a_second_question_does_not_pay_for_the_picture_again(client: Client, tmp_path: Path) -> None:
    path = shape("green", "triangle", tmp_path / "once.png", size=(160, 120))
    first = await look(client, path)
    copy = tmp_path / "a copy of it.png"
    copy.write_bytes(path.read_bytes())
    second = await look(client, copy, prompt="What color is it?")
    assert first["usage"]["cached_tokens"] < 10
    assert second["usage"]["cached_tokens"] > 20
    assert second["text"] == "Green"


async def test_requests_of_one_batch_draw_by_their_own_seeds(client: Client, tmp_path: Path) -> None:
    path = shape("red", "circle", tmp_path / "a.png")
    options: list[dict[str, Any]] = [{"temperature": 6.0, "seed": seed} for seed in (1, 2, 1, 3)] + [{}]

    async def ask(index: int, found: dict[int, str], **arguments: Any) -> None:
        found[index] = (await look(client, path, max_tokens=12, **arguments))["text"]

    together: dict[int, str] = {}
    async with anyio.create_task_group() as group:
        for index, one in enumerate(options):
            group.start_soon(lambda index=index, one=one: ask(index, together, **one))
    alone: dict[int, str] = {}
    for index, one in enumerate(options):
        await ask(index, alone, **one)
    assert together == alone
    assert together[0] == together[2]
    assert len({together[0], together[1], together[3]}) > 1
    assert together[4] == "A red circle in the center."


async def test_a_data_uri_is_a_picture(client: Client, tmp_path: Path) -> None:
    content = base64.b64encode(shape("red", "circle", tmp_path / "a.png").read_bytes()).decode()
    assert (await look(client, f"data:image/png;base64,{content}"))["text"] == "A red circle in the center."


async def test_the_frames_of_an_animation_are_shown_in_order(client: Client, tmp_path: Path) -> None:
    frames = [
        paint(
            random.Random(3), "one", [Thing((1, 1), colour, "square")], ground=("white", (255, 255, 255)), scale=2
        ).image
        for colour in ("blue", "red")
    ]
    path = tmp_path / "film.gif"
    frames[0].save(path, save_all=True, append_images=[frames[1]], duration=1000)
    told = answer(await client.call_tool("describe-image", {"video": str(path), "prompt": "What changed?"}))
    assert told["text"] == "The color changed from blue to red."
    assert told["images"][0]["frames"] == 2
    assert told["images"][0]["format"] == "gif"


@needs_ffmpeg
async def test_the_frames_of_a_film_are_sampled_over_its_length(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    source = "color=c=red:s=128x96:d=30:r=10"
    await anyio.run_process(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, str(path)])
    told = answer(await client.call_tool("describe-image", {"video": str(path), "max_tokens": 4}))
    (shown,) = told["images"]
    assert shown["frames"] == 16
    assert shown["seconds"] == pytest.approx(30, abs=0.5)
    assert (shown["width"], shown["height"]) == (128, 96)


async def test_a_vision_model_answers_without_pictures_too(client: Client) -> None:
    told = answer(await client.call_tool("generate", {"prompt": "Hello", "model": "starter-vision"}))
    assert told["text"] == "Hello! Show me a picture."


async def test_one_loaded_model_is_the_default_for_text_and_pictures(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The smallest recommended model that does both, as the hub's cache would hold it; the starter stands in its place.
    name, revision = "mlx-community/Qwen3.5-2B-MLX-4bit", "a" * 40
    repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    shutil.copytree(STARTERS["starter-vision"], repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    picture = shape("red", "circle", tmp_path / "a.png")
    async with own_home.client("--model", "auto", "--allow", str(tmp_path)) as client:
        said = answer(await client.call_tool("generate", {"prompt": "Hello"}))
        seen = await look(client, picture, prompt="What is in this photo?")
        async with own_home.engine() as engine:
            loaded = [model.model for model in (await engine.status()).models]
    assert said["model"] == seen["model"] == name
    assert "red circle" in seen["text"]
    assert loaded == [name]


# --- what it refuses


async def test_bad_pictures_get_the_reason_quickly_and_the_engine_lives(client: Client, tmp_path: Path) -> None:
    good = shape("red", "circle", tmp_path / "good.png")
    await look(client, good)
    cut, named = tmp_path / "cut.png", tmp_path / "text.png"
    cut.write_bytes(good.read_bytes()[:150])
    named.write_text("not a picture at all")
    for name, content in {
        "bomb.png": bomb(40_000, 40_000), "empty.png": b"", "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("/etc/hostname")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket.png"))
    cases = {
        str(cut): "damaged",
        str(named): "it is text",
        str(tmp_path / "bomb.png"): "too many pixels",
        str(tmp_path / "empty.png"): "empty",
        str(tmp_path / "drawing.svg"): "SVG",
        str(tmp_path / "pipe.png"): "not a regular file",
        str(tmp_path / "folder.png"): "is a folder",
        str(tmp_path / "socket.png"): "cannot be opened|not a regular file",
        str(tmp_path / "link.png"): "outside the granted folders",
        str(tmp_path / "missing.png"): "there is no file",
        "/dev/zero": "outside the granted folders",
        "/etc/passwd": "outside the granted folders",
        "photo.png": "relative path",
        "data:image/png;base64,@@@": "base64",
        "data:text/plain,hello": "data URI",
        "http://example.com/a.png": "switched off",
        "https://127.0.0.1/a.png": "switched off",
    }
    for source, reason in cases.items():
        began = time.monotonic()
        message = await refused(client, images=[source])
        assert any(part in message for part in reason.split("|")), (source, message)
        assert time.monotonic() - began < 5, source
        assert "Traceback" not in message
    listening.close()
    assert (await look(client, good))["text"] == "A red circle in the center."


async def test_addresses_are_fetched_only_where_that_is_switched_on_and_only_public_ones(own_home: Home) -> None:
    config = own_home.folder / "config"
    config.mkdir(parents=True)
    (config / "settings.toml").write_text("image_urls = true\n")
    async with own_home.client() as client:
        for source in ("https://127.0.0.1/a.png", "https://localhost/a.png", "https://10.0.0.1/a.png"):
            assert "not a public address" in await refused(client, images=[source])
        assert "not an https address" in await refused(client, images=["http://example.com/a.png"])
    async with own_home.client("--offline") as client:
        assert "switched off" in await refused(client, images=["https://example.com/a.png"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "exactly one of images and video"),
        ({"images": ["/a.png"], "video": "/a.mp4"}, "exactly one of images and video"),
        ({"images": []}, "at least 1"),
        ({"images": ["/a.png"] * 33}, "at most 32"),
        ({"images": ["/a.png"], "prompt": "  "}, "prompt is empty"),
        ({"images": ["/a.png"], "detail": "high"}, "detail"),
        ({"images": ["/a.png"], "temperature": -1}, "temperature"),
        ({"video": "https://example.com/film.mp4"}, "read from a file"),
        ({"images": ["/a\0.png"]}, "NUL"),
    ],
)
async def test_bad_arguments_get_the_way_out(client: Client, arguments: dict[str, Any], reason: str) -> None:
    assert reason in await refused(client, **arguments)


async def test_a_model_that_cannot_see_is_told_with_one_that_can(client: Client, tmp_path: Path) -> None:
    path = shape("red", "circle", tmp_path / "a.png")
    message = await refused(client, images=[str(path)], model="starter")
    assert "starter is a text model and cannot see" in message
    assert "starter-vision" in message
    assert "cannot see" in await refused(client, images=[str(path)], model="starter-speech")


async def test_sound_is_no_video(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"RIFF\0\0\0\0WAVEfmt " + bytes(100))
    assert "wav sound" in await refused(client, video=str(path))
    path.write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
    assert "not a video" in await refused(client, video=str(path))


async def test_an_animation_of_5000_frames_is_answered_quickly(client: Client, tmp_path: Path) -> None:
    frames = [Image.new("L", (32, 32), i % 250) for i in range(5000)]
    path = tmp_path / "long.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=20)
    began = time.monotonic()
    told = await look(client, path, max_tokens=3)
    assert told["images"][0]["frames"] == 1
    told = answer(await client.call_tool("describe-image", {"video": str(path), "max_tokens": 3}))
    assert told["images"][0]["frames"] == 16
    assert time.monotonic() - began < 20


# --- jobs


async def test_a_description_that_outlives_its_deadline_is_handed_over(shared_home: Home, tmp_path: Path) -> None:
    path = shape("red", "circle", tmp_path / "a.png")
    async with shared_home.client("--allow", str(tmp_path), "--reply-within", "1") as client:
        schema = {"type": "array", "items": {"type": "integer"}, "minItems": 200, "maxItems": 200}
        began = time.monotonic()
        told = await look(client, path, json_schema=schema, max_tokens=900)
        assert time.monotonic() - began < 2.5
        if told["state"] != "done":
            assert "check-job" in text(await client.call_tool("check-job", {"job": told["job"]}))
            cancelled = answer(await client.call_tool("cancel-job", {"job": told["job"]}))
            assert cancelled["state"] == "cancelled"


async def test_a_finished_description_is_told_again_by_its_job(client: Client, tmp_path: Path) -> None:
    told = await look(client, shape("red", "circle", tmp_path / "a.png"))
    again = answer(await client.call_tool("check-job", {"job": told["job"]}))
    for key in ("text", "model", "images", "usage", "finish_reason"):
        assert again[key] == told[key]
