"""Which files may be read."""

import os
from pathlib import Path

import pytest

from adapters.errors import FileRefused
from adapters.settings import for_client
from mcp_server.grants import LARGEST_TEXT, Grants, open_file, read_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "notes.txt").write_text("one two")
    (tmp_path / "secret.txt").write_text("secret")
    return granted


@pytest.fixture
def grants(folder: Path) -> Grants:
    return Grants((folder,))


def test_a_file_in_a_granted_folder_may_be_read(grants: Grants, folder: Path) -> None:
    assert read_text(grants.check(str(folder / "notes.txt"))) == "one two"


@pytest.mark.parametrize("path", ["/etc/passwd", "{folder}/../secret.txt", "{folder}2/notes.txt"])
def test_a_file_outside_is_refused_with_what_is_granted(grants: Grants, folder: Path, path: str) -> None:
    with pytest.raises(FileRefused, match=rf"outside the granted folders \({folder}\).*--allow"):
        grants.check(path.format(folder=folder))


def test_nobody_is_told_how_to_open_a_hidden_folder(grants: Grants) -> None:
    with pytest.raises(FileRefused, match="choose another file") as refused:
        grants.check("/home/me/.ssh/id_ed25519")
    assert "--allow" not in str(refused.value)


def test_a_link_out_of_the_folder_is_refused(grants: Grants, folder: Path) -> None:
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")
    with pytest.raises(FileRefused, match="outside"):
        grants.check(str(folder / "link.txt"))


def test_a_link_within_the_folder_is_followed(grants: Grants, folder: Path) -> None:
    (folder / "link.txt").symlink_to(folder / "notes.txt")
    assert read_text(grants.check(str(folder / "link.txt"))) == "one two"


def test_a_file_that_becomes_a_link_after_the_check_is_not_followed(grants: Grants, folder: Path) -> None:
    checked = grants.check(str(folder / "notes.txt"))
    (folder / "notes.txt").unlink()
    (folder / "notes.txt").symlink_to(folder.parent / "secret.txt")
    with pytest.raises(FileRefused, match="cannot be opened"):
        read_text(checked)


def test_a_folder_that_becomes_a_link_after_the_check_is_not_followed(grants: Grants, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "secret.txt").write_text("harmless")
    checked = grants.check(str(folder / "sub" / "secret.txt"))
    (folder / "sub").rename(folder / "old")
    (folder / "sub").symlink_to(folder.parent)
    with pytest.raises(FileRefused, match="cannot be opened"):
        read_text(checked)


@pytest.mark.parametrize("name", [".env", ".ssh/id_ed25519", "sub/.git/config"])
def test_hidden_files_and_folders_stay_closed(grants: Grants, folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("secret")
    with pytest.raises(FileRefused, match="hidden"):
        grants.check(str(folder / name))


def test_a_hidden_folder_opens_when_it_is_granted_itself(folder: Path) -> None:
    (folder / ".notes").mkdir()
    (folder / ".notes" / "a.txt").write_text("mine")
    assert read_text(Grants((folder / ".notes",)).check(str(folder / ".notes" / "a.txt"))) == "mine"


@pytest.mark.parametrize(
    ("path", "message"), [("notes.txt", "relative"), ("a\0b", "NUL"), ("/" + "x" * 5000, "outside|cannot")]
)
def test_a_path_that_is_none_is_refused(grants: Grants, path: str, message: str) -> None:
    with pytest.raises(FileRefused, match=message):
        grants.check(path)


def test_what_is_no_regular_file_is_refused_at_once(grants: Grants, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for name, message in (("pipe", "not a regular file"), (".", "folder"), ("missing.txt", "there is no file")):
        with pytest.raises(FileRefused, match=message):
            read_text(grants.check(str(folder / name)))
    with pytest.raises(FileRefused, match="not a regular file"):
        open_file(Path("/dev/zero"), 100)


def test_a_file_that_is_too_large_is_refused_unread(grants: Grants, folder: Path) -> None:
    with (folder / "large.txt").open("wb") as file:
        file.truncate(LARGEST_TEXT + 1)
    with pytest.raises(FileRefused, match=f"{LARGEST_TEXT + 1} bytes and may have {LARGEST_TEXT}"):
        read_text(grants.check(str(folder / "large.txt")))


@pytest.mark.parametrize(
    ("content", "message"), [(b"\x89PNG\0\0", "not a text file"), (b"caf\xe9", r"not UTF-8 text \(byte 3\)")]
)
def test_a_file_that_is_no_text_is_refused(grants: Grants, folder: Path, content: bytes, message: str) -> None:
    (folder / "data.txt").write_bytes(content)
    with pytest.raises(FileRefused, match=message):
        read_text(grants.check(str(folder / "data.txt")))


@pytest.mark.parametrize("folder", [Path("/"), Path.home(), Path.home().parent])
def test_a_working_directory_that_is_too_much_is_not_granted(isolated: Path, folder: Path) -> None:
    assert Grants.of(for_client({}), folder).folders == ()


def test_working_directory_output_and_settings_are_granted(isolated: Path, tmp_path: Path) -> None:
    settings = for_client({"allow": [str(tmp_path / "a")], "output": str(tmp_path / "out")})
    assert Grants.of(settings, tmp_path / "cwd").folders == (tmp_path / "a", tmp_path / "out", tmp_path / "cwd")
