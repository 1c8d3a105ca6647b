"""Where processes meet."""

import os
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters import sockets
from adapters.sockets import (
    LONGEST_PATH,
    SocketFolderError,
    connect,
    connect_or_start,
    is_own_user,
    listener,
    peer_process,
    socket_folder,
    socket_path,
)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s-") as name:
        monkeypatch.setenv("MCP_SERVER_MLX_HOME", name)
        yield Path(name)


def test_the_folder_is_this_users_alone(folder: Path) -> None:
    assert stat.S_IMODE(os.stat(socket_folder()).st_mode) == 0o700


def test_a_folder_that_others_can_enter_is_closed_to_them(folder: Path) -> None:
    (folder / "run").mkdir(mode=0o755)
    assert stat.S_IMODE(os.stat(socket_folder()).st_mode) == 0o700


def test_a_link_in_place_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "run").symlink_to(tmp_path)
    with pytest.raises(SocketFolderError, match="not a folder of yours"):
        socket_folder()


@pytest.mark.parametrize("length", [10, 60, 90, 200])
def test_no_path_is_longer_than_macos_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, length: int) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_HOME", f"{tmp_path}/{'x' * length}")
    path = socket_path("engine", "10.20.30")
    assert len(os.fsencode(path)) <= LONGEST_PATH
    os.rmdir(os.path.dirname(path))


def test_two_homes_never_share_a_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = []
    for name in ("a" * 120, "b" * 120):
        monkeypatch.setenv("MCP_SERVER_MLX_HOME", str(tmp_path / name))
        paths.append(socket_path("host", "1"))
        os.rmdir(os.path.dirname(paths[-1]))
    assert paths[0] != paths[1]


def test_the_folder_does_not_depend_on_other_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_SERVER_MLX_HOME", raising=False)
    before = list(sockets._candidates())  # pyright: ignore[reportPrivateUsage]
    for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    assert list(sockets._candidates()) == before  # pyright: ignore[reportPrivateUsage]


def test_a_socket_is_readable_by_this_user_only(folder: Path) -> None:
    path = socket_path("host", "1")
    with listener(path) as listening:
        assert listening is not None
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_second_listener_is_none(folder: Path) -> None:
    path = socket_path("host", "1")
    with listener(path) as first, listener(path) as second:
        assert first is not None
        assert second is None


def test_a_socket_left_by_a_dead_process_is_replaced(folder: Path) -> None:
    path = socket_path("host", "1")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert connect(path) is None
    with listener(path) as listening:
        assert listening is not None
        connection = connect(path)
        assert connection is not None
        connection.close()


def test_the_path_is_free_after_the_listener(folder: Path) -> None:
    path = socket_path("host", "1")
    with listener(path):
        pass
    assert not os.path.exists(path)


def test_the_peer_is_known(folder: Path) -> None:
    path = socket_path("host", "1")
    with listener(path) as listening:
        assert listening is not None
        with connect(path) as connection:  # pyright: ignore[reportOptionalContextManager]
            accepted, _ = listening.accept()
            with accepted:
                assert is_own_user(accepted)
                assert peer_process(connection) == os.getpid()


def test_many_that_come_at_once_start_one_listener(folder: Path) -> None:
    path, started, done = socket_path("host", "1"), [], threading.Event()

    def serve() -> None:
        with listener(path) as listening:
            assert listening is not None
            done.wait(30)

    def start():
        thread = threading.Thread(target=serve)
        started.append(thread)
        thread.start()
        return lambda: None

    def come() -> None:
        connect_or_start(path, start, 30).close()

    comers = [threading.Thread(target=come) for _ in range(8)]
    for comer in comers:
        comer.start()
    for comer in comers:
        comer.join(30)
    done.set()
    for thread in started:
        thread.join(30)
    assert len(started) == 1


def test_a_listener_that_fails_to_start_says_why(folder: Path) -> None:
    with pytest.raises(ConnectionError, match="it ended with code 3"):
        connect_or_start(socket_path("host", "1"), lambda: lambda: "it ended with code 3", 30)


def test_a_listener_that_never_answers_is_given_up(folder: Path) -> None:
    with pytest.raises(TimeoutError, match="nothing listened"):
        connect_or_start(socket_path("host", "1"), lambda: lambda: None, 0.1)
