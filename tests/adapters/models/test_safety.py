"""Model folders that could run code are refused before any loader sees them."""

import json
import os
import shutil
from pathlib import Path

import pytest

from adapters.errors import UnsafeModel
from adapters.models.safety import check_folder
from adapters.models.starters import STARTERS
from tests.tiny_models import copy_of_starter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_of_starter(tmp_path / "model")


def add_to_config(folder: Path, **entries: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_the_starter_models_are_safe() -> None:
    for folder in STARTERS.values():
        check_folder(folder)


@pytest.mark.parametrize("name", ["kernel.so", "sub/tool.pyc", "TOOL.DLL"])
def test_a_compiled_program_is_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("raise SystemExit")
    with pytest.raises(UnsafeModel, match=Path(name).name):
        check_folder(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.npz", "adapter.pt", "MODEL.PKL"])
def test_pickled_weights_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModel, match="pickled"):
        check_folder(folder)


@pytest.mark.parametrize("entries", [{"model_file": "evil.py"}, {"text_config": {"model_file": "evil.py"}}])
def test_a_configuration_that_says_the_model_is_code_is_refused(folder: Path, entries: dict[str, object]) -> None:
    add_to_config(folder, **entries)
    with pytest.raises(UnsafeModel, match="code of its own"):
        check_folder(folder)


def test_programs_that_were_carried_along_are_no_reason_to_refuse(folder: Path) -> None:
    (folder / "modeling_own.py").write_text("raise SystemExit")
    add_to_config(folder, auto_map={"AutoModel": "modeling_own.Model"})
    check_folder(folder)


def test_a_vocabulary_may_hold_any_word(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps({"auto_map": 5, "model_file": 6}))
    check_folder(folder)


def test_json_that_is_none_is_refused(folder: Path) -> None:
    (folder / "extra.json").write_text("{")
    with pytest.raises(UnsafeModel, match="is not JSON"):
        check_folder(folder)


@pytest.mark.parametrize("name", ["chat_template.jinja", "config.json", "extra/vocab.txt"])
def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "private").write_text("secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(folder.parent / "private")
    with pytest.raises(UnsafeModel, match=f"{Path(name).name} is a link that leads out of it"):
        check_folder(folder)


def test_a_link_within_the_folder_is_its_own(folder: Path) -> None:
    (folder / "kept.jinja").symlink_to(folder / "chat_template.jinja")
    check_folder(folder)


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "merges.txt")
    with pytest.raises(UnsafeModel, match=r"merges\.txt is no regular file"):
        check_folder(folder)


def test_a_snapshot_of_the_hub_cache_links_to_its_own_blobs_only(folder: Path) -> None:
    repository = folder.parent / "hub" / "models--a--b"
    snapshot = repository / "snapshots" / "0"
    shutil.copytree(folder, snapshot)
    (repository / "blobs").mkdir()
    (snapshot / "config.json").rename(repository / "blobs" / "1")
    (snapshot / "config.json").symlink_to("../../blobs/1")
    check_folder(snapshot)

    (folder.parent / "hub" / "other").write_text("{}")
    (repository / "blobs" / "1").unlink()
    (repository / "blobs" / "1").symlink_to(folder.parent / "hub" / "other")
    with pytest.raises(UnsafeModel, match=r"config\.json is a link"):
        check_folder(snapshot)
