"""Loaders are shown a model's folder without the code that came with it."""

import json
from pathlib import Path

import pytest

from adapters.models.without_code import loadable, own_code
from tests.tiny_models import copy_of_starter


@pytest.fixture
def folder(tmp_path: Path, isolated: Path) -> Path:
    return copy_of_starter(tmp_path / "model")


def change(folder: Path, file: str, **entries: object) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_a_folder_without_code_is_shown_as_it_is(folder: Path) -> None:
    assert loadable(folder) == folder


def test_programs_are_not_shown_and_all_else_is(folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("modeling_own.py", "sub/more.PY", "sub/data.txt"):
        (folder / name).write_text("x")
    shown = loadable(folder)
    assert not own_code(shown)
    rest = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    seen = {str(path.relative_to(shown)) for path in shown.rglob("*") if path.is_file()}
    assert rest - seen == {"modeling_own.py", "sub/more.PY"}
    assert not seen - rest


@pytest.mark.parametrize("entry", ["auto_map", "custom_pipelines"])
def test_entries_that_name_code_are_not_shown_at_any_depth(folder: Path, entry: str) -> None:
    change(folder, "config.json", **{entry: {"AutoModel": "own.Model"}, "vision_config": {entry: "own.Config"}})
    change(folder, "tokenizer_config.json", added=[{entry: {"AutoTokenizer": ["own.Tokenizer", None]}}])
    shown = loadable(folder)
    for name in ("config.json", "tokenizer_config.json"):
        assert entry not in (shown / name).read_text()
    before, after = (json.loads((place / "config.json").read_text()) for place in (folder, shown))
    assert after == {key: value for key, value in before.items() if key != entry} | {"vision_config": {}}


def test_a_name_that_is_written_with_escapes_is_seen(folder: Path) -> None:
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text('{"auto\\\\u005fmap": {"AutoModel": "own.Model"}, ' + config.lstrip()[1:])
    assert "auto_map" not in json.loads((loadable(folder) / "config.json").read_text())


def test_a_vocabulary_keeps_every_word(folder: Path) -> None:
    (folder / "own.py").write_text("x")
    change(folder, "tokenizer.json", vocab={"auto_map": {"a": 1}})
    assert json.loads((loadable(folder) / "tokenizer.json").read_text())["vocab"] == {"auto_map": {"a": 1}}


def test_a_folder_that_changed_is_shown_as_it_is_now(folder: Path) -> None:
    (folder / "own.py").write_text("x")
    first = loadable(folder)
    assert loadable(folder) == first
    (folder / "notes.txt").write_text("new")
    assert (loadable(folder) / "notes.txt").read_text() == "new"
