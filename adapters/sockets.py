"""Where the host and the engine of this user listen, and how at most one of each is started.

Standard library only: the shim imports this before anything else may cost it time.

One folder, mode 0700 and owned by this user, holds the sockets (0600) and lock files. Its path follows from the user
alone and from MCP_SERVER_MLX_HOME, never from other environment: clients start with different environments, and all of
them must meet at the same host. A file lock held for a process's life decides who it is; what lies at the socket's path
without that lock held is stale.
"""

import contextlib
import fcntl
import os
import pwd
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator

HOME_VARIABLE = "MCP_SERVER_MLX_HOME"
# The longest message, in bytes, between a client, the host and the engine. A longer one ends the connection.
LINE_LIMIT = 64 << 20
# sun_path holds 104 bytes on macOS, the last one for the terminating zero.
LONGEST_PATH = 103
# How long a listener that holds its lock but answers no more may take to end, in seconds.
_ENDING = 5.0
_LONGEST_NAME = len("/engine-00.00.00rc00.sock")


class SocketFolderError(OSError):
    """The folder for the sockets cannot be made, or is not this user's alone."""


def _candidates() -> Iterator[str]:
    """Folders to use, best first; all but the last may be too long for a socket path."""
    moved = os.environ.get(HOME_VARIABLE)
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user id without a name, as in some containers
        home = os.path.expanduser("~")
    if moved:
        root = os.path.abspath(os.path.expanduser(moved))
        yield os.path.join(root, "run")
    else:
        root = home
        session = f"/run/user/{os.getuid()}"
        if sys.platform == "linux" and os.path.isdir(session) and os.access(session, os.W_OK):
            yield os.path.join(session, "mcp-server-mlx")
        cache = "Library/Caches" if sys.platform == "darwin" else ".cache"
        yield os.path.join(home, cache, "mcp-server-mlx", "run")
    import hashlib  # only here: it costs the shim milliseconds that it seldom needs

    digest = hashlib.sha256(root.encode()).hexdigest()[:12]
    yield f"/tmp/mcp-server-mlx-{os.getuid()}-{digest}"  # noqa: S108  checked to be ours alone before it is used


def socket_folder() -> str:
    """Return the folder of the sockets, made if need be.

    Raises SocketFolderError when it belongs to somebody else or others can enter it.
    """
    path = next(path for path in _candidates() if len(os.fsencode(path)) + _LONGEST_NAME <= LONGEST_PATH)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.lstat(path)
    except OSError as error:
        raise SocketFolderError(
            f"cannot make the folder {path} for sockets: {error.strerror}; set {HOME_VARIABLE} to a folder of yours"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise SocketFolderError(
            f"{path} is not a folder of yours; remove it, or set {HOME_VARIABLE} to a folder of yours"
        )
    if stat.S_IMODE(status.st_mode) != 0o700:
        os.chmod(path, 0o700)
    return path


def socket_path(kind: str, version: str) -> str:
    """Return the socket of the host or the engine of that version."""
    return os.path.join(socket_folder(), f"{kind}-{version}.sock")


def connect(path: str) -> socket.socket | None:
    """Return a connection to whoever listens there, or None when nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


@contextlib.contextmanager
def _locked(path: str, wait: bool) -> Iterator[bool]:
    """Hold the lock file while the block runs.

    Yield False, without it, when another process has it and `wait` is off.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def connect_or_start(path: str, start: Callable[[], Callable[[], str | None]], patience: float) -> socket.socket:
    """Return a connection to the listener at `path`, started first if there is none.

    `start` begins a process and gives a function that says why it ended, or None while it runs. Of several processes
    that come here at once, one starts the listener and the others wait for it.

    Raises TimeoutError after `patience` seconds, ConnectionError when the started process ended without listening.
    """
    if connection := connect(path):
        return connection
    deadline = time.monotonic() + patience
    with _locked(path + ".starting", wait=True):
        if connection := connect(path):
            return connection
        ended = start()
        pause = 0.005
        while time.monotonic() < deadline:
            if connection := connect(path):
                return connection
            if reason := ended():
                raise ConnectionError(reason)
            time.sleep(pause)
            pause = min(pause * 1.3, 0.05)
    raise TimeoutError(f"nothing listened at {path} after {patience:.0f} seconds")


@contextlib.contextmanager
def listener(path: str) -> Iterator[socket.socket | None]:
    """A listening socket at `path` for the life of the block, or None when another process already is the listener.

    The lock behind it outlives no process, so a socket left by a dead one is replaced and never one in use. A listener
    that is just ending is waited for.
    """
    with contextlib.ExitStack() as stack:
        deadline = time.monotonic() + _ENDING
        while not stack.enter_context(_locked(path + ".lock", wait=False)):
            stack.close()
            if answering := connect(path):
                answering.close()
            if answering or time.monotonic() > deadline:
                yield None
                return
            time.sleep(0.02)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            # A socket is made with the permissions that the umask leaves it: there is no moment at which it is open.
            before = os.umask(0o177)
            try:
                server.bind(path)
            finally:
                os.umask(before)
            server.listen(128)
            try:
                yield server
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


def is_own_user(connection: socket.socket) -> bool:
    """Return True when the process at the other end runs as this user."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[4:8], sys.byteorder) == os.getuid()
    # struct xucred of <sys/ucred.h>: version, then the user id. SOL_LOCAL is 0, LOCAL_PEERCRED is 1.
    credentials = connection.getsockopt(0, 1, 76)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.getuid()


def peer_process(connection: socket.socket) -> int:
    """Return the id of the process at the other end."""
    if sys.platform == "linux":
        return int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
    return int.from_bytes(connection.getsockopt(0, 2, 4), sys.byteorder)  # LOCAL_PEERPID is 2
