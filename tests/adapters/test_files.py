import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import FileRefused
from adapters.files import write_new, write_whole

WRITERS: list[Callable[[Path, str], None]] = [
    lambda path, text: write_whole(path, text.encode(), sync=True),
    lambda path, text: write_whole(path, text.encode(), sync=False),
    lambda path, text: write_new(path, text, overwrite=True),
]
NAMES = ["synced", "not synced", "overwriting"]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("write", WRITERS, ids=NAMES)
def test_a_file_is_replaced_whole_and_is_for_this_user_alone(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    path.chmod(0o644)
    write(path, "né")
    assert path.read_text(encoding="utf-8") == "né"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_file_has_the_permissions_that_were_asked_for_whatever_the_usual_ones_are(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "file", b"new", mode=0o664, sync=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o664


@pytest.mark.parametrize("write", WRITERS, ids=NAMES)
@pytest.mark.parametrize("fails", ["os.fchmod", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None], fails: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(fails, full)
    with pytest.raises((OSError, FileRefused), match="No space left"):
        write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_cannot_be_synced_is_not_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new", sync=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_synced_file_is_on_the_disk_before_its_name_is_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "file", list[tuple[bool, bool]]()
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))
    )
    write_whole(path, b"new", sync=False)
    assert synced == []
    path.unlink()
    write_whole(path, b"new", sync=True)
    assert synced == [(False, False), (True, True)]


@pytest.mark.parametrize("sync", [True, False])
def test_a_writer_that_is_killed_leaves_the_old_file_and_the_next_writer_is_not_hindered(
    tmp_path: Path, sync: bool
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    killed = (
        "import os, signal, sys, pathlib\n"
        "from adapters import files\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.write_whole(pathlib.Path(sys.argv[1]), b'new', sync={sync})\n"
    )
    ended = subprocess.run([sys.executable, "-c", killed, str(path)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    (draft,) = (one for one in tmp_path.iterdir() if one != path)
    assert draft.suffix == ".part"
    write_whole(path, b"newer", sync=sync)
    assert path.read_bytes() == b"newer"


@pytest.mark.parametrize("write", WRITERS, ids=NAMES)
def test_a_link_in_place_of_the_draft_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None]
) -> None:
    names = iter(["guessed", "other"])
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: names)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".file.guessed.part").symlink_to(victim)
    write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("write", WRITERS, ids=NAMES)
def test_a_link_in_place_of_the_file_is_replaced_and_not_followed(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    write(tmp_path / "file", "new")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("write", WRITERS, ids=NAMES)
def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    path = tmp_path / ("é" * 127)  # 254 bytes
    write(path, "new")
    assert path.read_text() == "new"


def test_a_new_file_does_not_replace_one_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, "first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileRefused, match="exists already and is not overwritten"):
        write_new(path, "second")
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_not_there_is_refused_by_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="missing/file cannot be written"):
        write_new(tmp_path / "missing" / "file", "text")
