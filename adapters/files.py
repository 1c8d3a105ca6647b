"""Opening a file that somebody named, without being led elsewhere, and writing one without overwriting another."""

import os
import stat
from pathlib import Path

from adapters.errors import FileRefused


def open_file(path: Path, largest: int) -> int:
    """A descriptor of a regular file at a resolved path, opened without following any link.

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
    """Write a text file for this user alone, whole or not at all; an existing one is replaced only when that was asked for.

    Raises FileRefused when there is one already, or the folder cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        if overwrite:
            draft.replace(path)
        else:
            os.link(draft, path)  # unlike a rename, this fails when the name is taken
    except FileExistsError as error:
        raise FileRefused(f"{path} exists already and is not overwritten; give another name") from error
    except OSError as error:
        raise FileRefused(f"{path} cannot be written ({error.strerror}); choose another folder") from error
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file there whole or not at all, in place of one that was there before. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
