"""Opening a file that somebody named, without being led elsewhere, and writing one without overwriting another."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import FileRefused


def open_file(path: Path, largest: int) -> int:
    """Return a descriptor of a regular file at a resolved path, opened without following any link.

    Raises FileRefused when it is no regular file, is larger than `largest` bytes, or changed under way.
    """
    directory = os.open(path.anchor, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in path.parts[1:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        # Without O_NONBLOCK the open of a pipe would wait for a writer.
        descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        raise FileRefused(f"there is no file {path}; check the path") from None
    except IsADirectoryError:
        raise FileRefused(f"{path} is a folder; name the files in it") from None
    except OSError as error:
        raise FileRefused(f"{path} cannot be opened ({error.strerror}); check the path and its permissions") from error
    finally:
        os.close(directory)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise FileRefused(f"{path} is a folder; name the files in it")
        if not stat.S_ISREG(status.st_mode):
            raise FileRefused(f"{path} is not a regular file; give a file on disk")
        if status.st_size > largest:
            raise FileRefused(f"{path} has {status.st_size} bytes and may have {largest}; give a part of it")
    except FileRefused:
        os.close(descriptor)
        raise
    return descriptor


def write_new(path: Path, text: str, overwrite: bool = False) -> None:
    """Write a text file for this user alone, whole or not at all; an existing one is replaced only when that was asked
    for.

    Raises FileRefused when there is one already, or the folder cannot be written.
    """
    try:
        with _drafted(path, text.encode(), 0o600, sync=False) as draft:
            if overwrite:
                draft.replace(path)
            else:
                os.link(draft, path)  # unlike a rename, this fails when the name is taken
    except FileExistsError as error:
        raise FileRefused(f"{path} exists already and is not overwritten; give another name") from error
    except OSError as error:
        raise FileRefused(f"{path} cannot be written ({error.strerror}); choose another folder") from error


def write_whole(path: Path, content: bytes, *, mode: int = 0o600, sync: bool) -> None:
    """Put a file there whole or not at all, in place of one that was there before. Raises OSError.

    With `sync` the file and its name are on the disk when this returns, so that they outlive a loss of power. Without it
    they outlive this process only.
    """
    with _drafted(path, content, mode, sync=sync) as draft:
        draft.replace(path)
    if sync:
        sync_to_disk(path.parent)


def sync_to_disk(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot do this for folders
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _drafted(path: Path, content: bytes, mode: int, *, sync: bool) -> Iterator[Path]:
    """Give a hidden file beside `path` that holds the content, and remove it at the end if it is still there.

    Its name ends with `.part`. The name is a new one each time, so a draft that a killed process left is in nobody's way.
    """
    # The beginning only: with more, the draft of a long name would have a name that is too long.
    descriptor, name = tempfile.mkstemp(".part", f".{path.name[:40]}.", path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            if sync:
                os.fsync(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
