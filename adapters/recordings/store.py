"""Recordings on disk: `recordings/<session>.jsonl`, appended under a lock and synced, for this user alone."""

import contextlib
import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from adapters.errors import FileRefused, InvalidRequest
from adapters.files import write_whole
from adapters.places import recordings_folder
from adapters.protocol.surrogates import whole_json
from adapters.recordings.conversation import Conversation, check_session

LARGEST_LINE = 32 << 20


@dataclass(frozen=True)
class Session:
    """What a recording holds. `broken` are the numbers of lines that cannot be read."""

    name: str
    conversations: list[Conversation] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    bytes: int = 0
    modified: float = 0.0

    @property
    def learned(self) -> int:
        return sum(conversation.learned for conversation in self.conversations)


def redacted(conversation: Conversation) -> Conversation:
    """Return the conversation without secrets and personal numbers, and how many of each kind it had."""
    from adapters.recordings.redaction import redact_all  # its libraries take a second to import

    counts: Counter[str] = Counter()
    content = conversation.model_dump(exclude={"id", "created", "redacted"})
    images = [message.pop("images") for message in content["messages"]]
    clean = redact_all(content, counts)
    for message, paths in zip(clean["messages"], images, strict=True):
        message["images"] = paths
    return Conversation(**clean, id=conversation.id, created=conversation.created, redacted=dict(counts))


def append(session: str, conversations: Sequence[Conversation]) -> None:
    """Add conversations to a session's recording, all of them or, where the disk is full, none.

    They are on the disk when this returns. A line that a killed writer left half-written is set aside first. Raises
    FileRefused when the recording cannot be written.
    """
    lines = _lines(conversations)
    if any(len(line) > LARGEST_LINE for line in lines.split(b"\n")):
        raise InvalidRequest(f"a conversation has over {LARGEST_LINE} bytes; record it in parts")
    try:
        with _locked(_path(session)) as descriptor:
            end = _whole_lines(descriptor, _path(session))
            try:
                _write(descriptor, lines)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                if not end:
                    _path(session).unlink()  # within the lock: whoever waits for it opens it anew
                raise
    except OSError as error:
        raise FileRefused(
            f"the recording {session} cannot be written ({error.strerror}); free some space and try again"
        ) from error


def read(session: str) -> Session:
    """Return the session whole. Raises InvalidRequest when there is none of that name."""
    path = _path(session)
    try:
        content, status = path.read_bytes(), path.stat()
    except FileNotFoundError:
        known = ", ".join(names()[:8]) or "none yet"
        raise InvalidRequest(f"there is no session {session!r}; there is {known}") from None
    conversations, broken = list[Conversation](), list[int]()
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            conversations.append(Conversation.model_validate_json(whole_json(line)))
        except ValidationError:
            broken.append(number)
    return Session(session, conversations, broken, status.st_size, status.st_mtime)


def names() -> list[str]:
    """Return the sessions there are, by name."""
    return sorted(path.stem for path in recordings_folder().glob("*.jsonl"))


def delete(session: str) -> None:
    """Remove a session's recording for good. Raises InvalidRequest when there is none."""
    read(session)
    for path in (_path(session), _path(session).with_suffix(".torn")):
        path.unlink(missing_ok=True)


def replace(session: str, conversations: Sequence[Conversation]) -> None:
    """Put these conversations in place of a session's; none at all removes it."""
    path = _path(session)
    with _locked(path):
        if not conversations:
            path.unlink()
            return
        write_whole(path, _lines(conversations), sync=True)


def prune(days: float, now: float | None = None) -> dict[str, int]:
    """Remove conversations older than so many days. Return how many of each session."""
    oldest = (now or time.time()) - days * 86_400
    removed: dict[str, int] = {}
    for name in names():
        session = read(name)
        kept = [one for one in session.conversations if one.created >= oldest]
        if len(kept) < len(session.conversations):
            removed[name] = len(session.conversations) - len(kept)
            replace(name, kept)
    return removed


def _lines(conversations: Sequence[Conversation]) -> bytes:
    return b"".join(
        json.dumps(
            one.model_dump(exclude_defaults=True) | {"id": one.id, "created": one.created}, ensure_ascii=False
        ).encode()
        + b"\n"
        for one in conversations
    )


def _path(session: str) -> Path:
    return recordings_folder() / f"{check_session(session)}.jsonl"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file open for appending, by this process alone. One that was replaced while waiting is opened anew."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(descriptor)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _whole_lines(descriptor: int, path: Path) -> int:
    """Set aside what follows the last whole line. Return where the next line goes."""
    end = os.fstat(descriptor).st_size
    start = max(0, end - LARGEST_LINE - 1)
    tail = os.pread(descriptor, end - start, start)
    torn = tail.rpartition(b"\n")[2]
    if not torn:
        return end
    with open(os.open(path.with_suffix(".torn"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as aside:
        aside.write(torn + b"\n")
    os.ftruncate(descriptor, end - len(torn))
    return end - len(torn)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
