"""The MLX thread: everything runs on it, nothing waits for long, and it ends cleanly."""

import subprocess
import sys
import threading
from collections.abc import Generator, Iterator

import pytest

from adapters.mlx.thread.mlx_thread import MlxThread


@pytest.fixture
def thread() -> Iterator[MlxThread]:
    thread = MlxThread()
    yield thread
    thread.close()


def test_calls_run_on_one_thread(thread: MlxThread) -> None:
    assert (
        thread.call(threading.get_ident).result(10)
        == thread.call(threading.get_ident).result(10)
        != threading.get_ident()
    )


def test_an_exception_reaches_who_called_and_nobody_else(thread: MlxThread) -> None:
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0).result(10)
    assert thread.call(lambda: 5).result(10) == 5


def test_long_work_leaves_room_for_short_calls(thread: MlxThread) -> None:
    asked = threading.Event()

    def long() -> Generator[None, None, str]:
        while not asked.is_set():
            yield
        return "done"

    driven = thread.run_stepwise(long())
    thread.call(asked.set).result(10)
    assert driven.result(10) == "done"


def test_driven_work_that_fails_fails_alone(thread: MlxThread) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        thread.run_stepwise(failing()).result(10)
    assert thread.call(lambda: 5).result(10) == 5


def test_cancelled_work_is_closed(thread: MlxThread) -> None:
    closed, begun = threading.Event(), threading.Event()

    def endless() -> Generator[None, None, None]:
        try:
            while True:
                begun.set()
                yield
        finally:
            closed.set()

    future = thread.run_stepwise(endless())
    assert begun.wait(10)
    future.cancel()
    assert closed.wait(10)


def test_a_result_that_comes_too_late_is_handed_to_who_takes_lost_ones(thread: MlxThread) -> None:
    last, go_on, lost = threading.Event(), threading.Event(), threading.Event()

    def ending() -> Generator[None, None, str]:
        yield
        last.set()
        go_on.wait(10)
        return "late"

    future = thread.run_stepwise(ending(), on_lost=lambda result: lost.set() if result == "late" else None)
    assert last.wait(10)
    assert future.cancel()
    go_on.set()
    assert lost.wait(10)


def test_two_runners_take_turns(thread: MlxThread) -> None:
    turns: list[str] = []

    class Counted:
        def __init__(self, name: str) -> None:
            self.name, self.left = name, 3

        @property
        def busy(self) -> bool:
            return self.left > 0

        def step(self) -> None:
            self.left -= 1
            turns.append(self.name)

    first, second = Counted("a"), Counted("b")
    thread.call(lambda: (thread.add(first), thread.add(second))).result(10)
    while thread.call(lambda: first.busy or second.busy).result(10):
        pass
    assert turns == ["a", "b"] * 3


def test_a_process_that_used_the_thread_exits_cleanly() -> None:
    """A thread that leaves streams behind makes the interpreter abort at exit."""
    code = (
        "import adapters.mlx, mlx.core as mx\n"
        "from adapters.mlx.thread.mlx_thread import MlxThread\n"
        "t = MlxThread()\n"
        "assert t.call(lambda: mx.ones(8).sum().item()).result(30) == 8\n"
        "t.close()\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
