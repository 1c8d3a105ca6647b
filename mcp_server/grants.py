"""Which files a client may have read: regular files inside the granted folders, and nothing reached by a trick.

Symbolic links are resolved before the check. The file is then opened folder by folder without following any link, so
that nothing changed in between leads elsewhere. Hidden folders and files (.ssh, .env) stay closed unless granted
themselves.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import FileRefused
from adapters.files import open_file
from adapters.settings import Settings

LARGEST_TEXT = 4 << 20


@dataclass(frozen=True)
class Grants:
    """Folders, resolved."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, settings: Settings, working_directory: Path | None) -> "Grants":
        """Return the folders that the settings name, and the working directory unless it is / or holds the home folder."""
        folders = [*settings.allow]
        if settings.output is not None:
            folders.append(settings.output)
        if working_directory is not None and not _too_much(working_directory):
            folders.append(working_directory)
        return cls(tuple(dict.fromkeys(folder.expanduser().resolve() for folder in folders)))

    def check(self, path: str) -> Path:
        """Return the resolved path of a file that may be read. Raises FileRefused that says what is granted."""
        if "\0" in path:
            raise FileRefused("a path cannot hold a NUL character; give the file's absolute path")
        asked = Path(path).expanduser()
        if not asked.is_absolute():
            raise FileRefused(f"{path!r} is a relative path; give the file's absolute path")
        try:
            resolved = asked.resolve()
        except (OSError, RuntimeError) as error:
            raise FileRefused(f"{path} cannot be resolved ({error}); give the file's real path") from error
        root = next((folder for folder in self.folders if resolved.is_relative_to(folder)), None)
        if root is None:
            secret = any(part.startswith(".") for part in resolved.parts)
            way_out = (
                "choose another file"
                if secret
                else f"ask the user to move it there, or to start the server with --allow {resolved.parent}"
            )
            raise FileRefused(f"{path} is outside the granted folders ({self.named()}); {way_out}")
        hidden = next((part for part in resolved.relative_to(root).parts if part.startswith(".")), None)
        if hidden:
            raise FileRefused(
                f"{path} lies in {hidden}, and hidden files and folders stay closed; grant {hidden} itself with --allow if that is meant"
            )
        return resolved

    def named(self) -> str:
        return ", ".join(map(str, self.folders)) or "none are granted"


def _too_much(folder: Path) -> bool:
    resolved, home = folder.resolve(), Path.home().resolve()
    return home.is_relative_to(resolved) or resolved == Path(resolved.anchor)


def read_text(path: Path) -> str:
    """Return a text file's content. Raises FileRefused when it is not UTF-8 text, or as `open_file` does."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(open_file(path, LARGEST_TEXT), "rb"))
        content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise FileRefused(f"{path} has grown over {LARGEST_TEXT} bytes; give a part of it")
    if b"\0" in content:
        raise FileRefused(f"{path} is not a text file; `files` takes text only")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileRefused(
            f"{path} is not UTF-8 text (byte {error.start}); convert it first, with iconv for one"
        ) from error


def opened(path: str, grants: Grants, largest: int) -> Path:
    """Return the resolved path of a file that may be read and can be opened.

    Raises FileRefused as `check` and `open_file` do.
    """
    resolved = grants.check(path)
    os.close(open_file(resolved, largest))
    return resolved
