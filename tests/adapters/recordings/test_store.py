"""Recordings on disk: whole lines, private, whatever happens to who writes them."""

import json
import multiprocessing
import os
import signal

import pytest

from adapters.errors import FileRefused, InvalidRequest
from adapters.places import recordings_folder
from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage

pytestmark = pytest.mark.usefixtures("isolated")


def conversation(text: str = "Paris", question: str = "What is the capital of France?") -> Conversation:
    return Conversation(
        messages=[RecordedMessage(role="user", content=question), RecordedMessage(role="assistant", content=text)]
    )


def texts(session: str) -> list[str]:
    return [one.messages[-1].content for one in store.read(session).conversations]


def test_conversations_are_appended_and_read_back() -> None:
    store.append("s", [conversation("one"), conversation("two")])
    store.append("s", [conversation("three")])
    assert texts("s") == ["one", "two", "three"]
    assert store.read("s").learned == 3
    assert store.names() == ["s"]


def test_a_recording_is_for_this_user_alone() -> None:
    store.append("s", [conversation()])
    path = recordings_folder() / "s.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a" * 300, "a\0b", "", ".hidden", "a/b", "..", "a b", "é"])
def test_an_id_never_becomes_a_path_in_another_way(name: str) -> None:
    for action in (lambda: store.append(name, [conversation()]), lambda: store.read(name), lambda: store.delete(name)):
        with pytest.raises(InvalidRequest, match="no session id"):
            action()
    assert not list(recordings_folder().iterdir())


def test_a_torn_tail_is_set_aside_and_nothing_else_is_lost() -> None:
    store.append("s", [conversation("one")])
    path = recordings_folder() / "s.jsonl"
    with path.open("ab") as file:
        file.write(b'{"messages": [{"role": "us')
    assert texts("s") == ["one"]
    store.append("s", [conversation("two")])
    assert texts("s") == ["one", "two"]
    assert store.read("s").broken == []
    assert path.with_suffix(".torn").read_bytes() == b'{"messages": [{"role": "us\n'


def test_a_broken_line_is_named_and_the_others_are_read() -> None:
    store.append("s", [conversation(str(i)) for i in range(5)])
    path = recordings_folder() / "s.jsonl"
    lines = path.read_bytes().splitlines()
    lines[2] = b"not json"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert texts("s") == ["0", "1", "3", "4"]
    assert store.read("s").broken == [3]


def _write_many(name: int, count: int) -> None:
    for i in range(count):
        store.append("shared", [conversation(f"{name}-{i}", "x" * 5000)])


def test_eight_writers_at_once_with_one_killed_lose_and_double_nothing() -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(name, 40)) for name in range(8)]
    for writer in writers:
        writer.start()
    path = recordings_folder() / "shared.jsonl"
    while not path.exists() or path.stat().st_size < 200_000:
        assert any(writer.is_alive() for writer in writers)
    victim = writers[0].pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    for writer in writers:
        writer.join(60)
    # Whatever the killed one left half-written, the next writer sets aside.
    store.append("shared", [conversation("last")])
    found = texts("shared")
    assert store.read("shared").broken == []
    assert len(found) == len(set(found))
    assert {f"{name}-{i}" for name in range(1, 8) for i in range(40)} <= set(found)
    mine = [int(text.split("-")[1]) for text in found if text.startswith("0-")]
    assert mine == list(range(len(mine)))


def test_a_full_disk_leaves_the_recording_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    store.append("s", [conversation("one")])
    before = (recordings_folder() / "s.jsonl").read_bytes()
    real = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) > 50:
            real(descriptor, content[:50])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(FileRefused, match="No space left on device"):
            store.append("s", [conversation("two")])
    assert (recordings_folder() / "s.jsonl").read_bytes() == before


def test_secrets_never_reach_the_disk() -> None:
    clean = store.redacted(conversation("The key is AKIAIOSFODNN7EXAMPLE, write to anna@example.com."))
    store.append("s", [clean])
    content = (recordings_folder() / "s.jsonl").read_text()
    assert "AKIA" not in content
    assert "anna@" not in content
    assert store.read("s").conversations[0].redacted == {"secret": 1, "email": 1}


def test_what_is_old_is_pruned_and_an_empty_session_goes() -> None:
    now = 1_000_000.0
    old, new = conversation("old"), conversation("new")
    old.created, new.created = now - 40 * 86_400, now - 86_400
    store.append("both", [old, new])
    store.append("only-old", [old])
    assert store.prune(30, now) == {"both": 1, "only-old": 1}
    assert texts("both") == ["new"]
    assert store.names() == ["both"]
    store.append("both", [conversation("more")])
    assert texts("both") == ["new", "more"]


def test_deleting_a_session_that_is_not_there_says_what_is() -> None:
    store.append("here", [conversation()])
    with pytest.raises(InvalidRequest, match="there is no session 'gone'; there is here"):
        store.delete("gone")
    store.delete("here")
    assert store.names() == []


def test_a_line_is_json_that_others_can_read() -> None:
    store.append("s", [conversation("größer")])
    (line,) = (recordings_folder() / "s.jsonl").read_text(encoding="utf-8").splitlines()
    content = json.loads(line)
    assert content["messages"][1] == {"role": "assistant", "content": "größer"}
    assert {"id", "created"} <= set(content)
