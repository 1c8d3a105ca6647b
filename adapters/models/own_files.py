"""Whether all that lies in a folder is the folder's own: regular files, and no link that leads out of it.

A folder that a person granted or fetched may come from a stranger. A link in it would have a private file read as part of
a model, and a pipe would be waited for without end.
"""

import os
import stat
from pathlib import Path


def foreign_entry(folder: Path) -> str | None:
    """Return what is wrong with the first entry of a folder that is not its own, in words, or None.

    Links within the folder are its own. A snapshot of the hub's cache may also link to the blobs of its repository.
    """
    root = _root(folder.resolve())
    for path in sorted(folder.rglob("*")):
        if (wrong := _wrong(path, root)) is not None:
            return wrong
    return None


def foreign_file(path: Path) -> str | None:
    """Return what is wrong with one file of a folder, in words, or None. A file that is not there is not wrong."""
    return _wrong(path, _root(path.parent.resolve()))


def _root(folder: Path) -> Path:
    """Return the folder that links may lead into: of `models--NAME/snapshots/REVISION` that is `models--NAME`."""
    snapshots = folder.parent
    cached = snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--")
    return snapshots.parent if cached else folder


def _wrong(path: Path, root: Path) -> str | None:
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
            return f"{path.name} is a link that leads out of it"
        kind = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        # A link to nothing is read by nobody; what was removed meanwhile is gone.
        return None
    except (OSError, RuntimeError) as error:
        return f"{path.name} cannot be looked at ({error})"
    return None if stat.S_ISREG(kind) or stat.S_ISDIR(kind) else f"{path.name} is no regular file"
