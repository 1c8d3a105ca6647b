"""A model whose files are replaced: the next call is answered by the new ones, and running answers by the old ones."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.protocol.generation import Completion
from tests.adapters.engine.test_engine import ask, begun, outcome
from tests.running import Home
from tests.tiny_adapters import random_adapter
from tests.tiny_models import model_that_never_ends, random_qwen3

pytestmark = pytest.mark.anyio


def moved(source: Path, place: Path) -> None:
    """Put every file in place of the one of its name."""
    for path in sorted(source.iterdir()):
        shutil.copy(path, place / "coming")
        os.replace(place / "coming", place / path.name)


def written_over(source: Path, place: Path) -> None:
    for path in sorted(source.iterdir()):
        (place / path.name).write_bytes(path.read_bytes())


async def answered(home: Home, model: Path, adapter: Path | None = None, max_tokens: int = 24) -> Completion:
    work = ask("Tell me a story.", model=str(model), adapter=str(adapter) if adapter else None, max_tokens=max_tokens)
    async with home.engine() as engine:
        return (await outcome(engine, work)).completions[0]


@pytest.mark.parametrize("put", [moved, written_over])
async def test_the_next_call_is_answered_by_the_new_files(
    put: Callable[[Path, Path], None], shared_home: Home, tmp_path: Path
) -> None:
    old, new = (random_qwen3(tmp_path / name, seed) for name, seed in (("old", 1), ("new", 2)))
    place = Path(shutil.copytree(old, tmp_path / "place"))
    adapter = random_adapter(tmp_path / "dora", old, method="dora")
    before, expected = await answered(shared_home, place), await answered(shared_home, new)
    with_adapter, expected_with = [await answered(shared_home, model, adapter) for model in (place, new)]
    assert before.text != expected.text
    assert with_adapter.text != expected_with.text
    assert (await answered(shared_home, place)).usage.cached_tokens > 0
    put(new, place)
    after = await answered(shared_home, place)
    assert (after.text, after.usage.cached_tokens) == (expected.text, 0)
    assert (await answered(shared_home, place, adapter)).text == expected_with.text


async def test_a_new_template_counts_from_the_next_call_on(shared_home: Home, tmp_path: Path) -> None:
    place = random_qwen3(tmp_path / "place")
    before = await answered(shared_home, place)
    template = place / "chat_template.jinja"
    template.write_text("{{- 'This is new. ' * 9 -}}" + template.read_text())
    assert (await answered(shared_home, place)).usage.prompt_tokens > before.usage.prompt_tokens + 9


async def test_a_running_answer_ends_on_the_model_that_began_it_which_then_leaves(
    own_home: Home, tmp_path: Path
) -> None:
    old, new = model_that_never_ends(tmp_path / "old"), random_qwen3(tmp_path / "new", 2)
    place = Path(shutil.copytree(old, tmp_path / "place"))
    whole, expected = await answered(own_home, old, max_tokens=1500), await answered(own_home, new)
    async with own_home.engine() as engine:
        work = ask("Tell me a story.", model=str(place), max_tokens=1500)
        task, _ = await begun(engine, work)
        moved(new, place)
        assert (await answered(own_home, place)).text == expected.text
        assert not task.done()
        job = await asyncio.wait_for(task, 60)
        assert job.view.outcome.completions[0].text == whole.text
        folders = [model.folder for model in (await engine.status()).models]
    assert folders.count(str(place)) == 1
