"""`describe-image`: a second question about a picture, four pictures at once, and mlx_vlm's own `generate` in process."""

import random
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
from mlx_vlm.generate.dispatch import stream_generate
from mlx_vlm.utils import load
from PIL import Image

from adapters.starter.recipes.vision.scenes import draw_scene
from tests.benchmarks.measure import Measured, awaited, median, ms, seconds
from tests.running import Home, answer
from tests.tiny_models import random_vision

Through = Callable[[str, str], Coroutine[Any, Any, int]]

_ROUNDS = 5
_TOKENS = 24


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = random_vision(Path(name) / "model", width=384, layers=8)
        loaded: Any = load(str(folder))
        model, processor = loaded
        chance = random.Random(1)
        pictures = [draw_scene(chance).image.resize((400, 400)) for _ in range(_ROUNDS + 8 * (_ROUNDS - 2) + 1)]
        paths = []
        for i, picture in enumerate(pictures):
            picture.save(Path(name) / f"{i}.png")
            paths.append(str(Path(name) / f"{i}.png"))

        def alone(picture: Image.Image, question: str) -> None:
            content = [{"type": "image"}, {"type": "text", "text": question}]
            prompt = processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            given: Any = [picture]
            list(stream_generate(model, processor, prompt, image=given, max_tokens=_TOKENS, temperature=0.0))

        async with home.client("--allow", name) as client:

            async def through(path: str, question: str) -> int:
                options = {"images": [path], "prompt": question, "model": str(folder), "max_tokens": _TOKENS}
                told = answer(await client.call_tool("describe-image", options))
                return int(told["usage"]["cached_tokens"])

            await through(paths[-1], "What is this?")
            alone(pictures[-1], "What is this?")
            first, second, theirs = [], [], []
            for i in range(_ROUNDS):
                first.append(await awaited(lambda i=i: through(paths[i], "What is this?")))
                second.append(await awaited(lambda i=i: through(paths[i], "How many shapes are there?")))
                theirs.append(seconds(lambda i=i: alone(pictures[i], "What is this?")))
            together, apart = [], []
            fresh = iter(paths[_ROUNDS:])
            for _ in range(_ROUNDS - 2):
                for times, ask in ((apart, _one_by_one), (together, _at_once)):
                    group = [next(fresh) for _ in range(4)]  # none that was seen before
                    times.append(await awaited(lambda ask=ask, group=group: ask(through, group)))
    return [
        Measured(
            "first question about a picture, against mlx_vlm in process",
            f"{ms(median(first))} against {ms(median(theirs))}: {median(theirs) / median(first):.2f} of its speed",
            "at least 0.8",
            median(theirs) / median(first) >= 0.8,
        ),
        Measured(
            "second question about the same picture, against the first",
            f"{ms(median(second))}: {median(first) / median(second):.2f} x as fast",
            "faster",
            median(second) < median(first),
        ),
        Measured(
            "four pictures at once, against one after another",
            f"{ms(median(together))} against {ms(median(apart))}: {median(apart) / median(together):.2f} x as fast",
            "faster",
            median(together) < median(apart),
        ),
    ]


async def _one_by_one(through: Through, paths: list[str]) -> None:
    for path in paths:
        await through(path, "Describe the image.")


async def _at_once(through: Through, paths: list[str]) -> None:
    async with anyio.create_task_group() as group:
        for path in paths:
            group.start_soon(through, path, "Describe the image.")
