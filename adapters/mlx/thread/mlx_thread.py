"""The one thread that loads and runs every model.

MLX arrays belong to the thread that made them, and evaluating from several threads has crashed Metal drivers. So all of
MLX happens here. Others hand functions in (`call`), long work as generators (`run_stepwise`), and runners that are stepped for
as long as they have work (`add`). The thread takes what was handed in, then one step of each, in turn: no piece of work
waits for another to end. Nothing here needs MLX until the first call does.
"""

import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Runner(Protocol):
    """Work that goes on in steps. Both members are used on the MLX thread only, and `step` never raises."""

    @property
    def busy(self) -> bool: ...

    def step(self) -> None: ...


class MlxThread:
    """Owns the thread. `call`, `run_stepwise`, `add` and `close` may be used from any other thread."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._runners: list[Runner] = []
        self._stepwise: list[_Stepwise] = []
        self._at_end: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="mlx", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run a short function on the thread; its result or exception is the future's."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._inbox.put(run)
        return future

    def run_stepwise(self, work: Generator[Any, None, T], on_lost: Callable[[T], None] | None = None) -> Future[T]:
        """Run a generator on the thread, a step at a time among other work; what it returns is the future's result.

        Cancelling the future closes the generator before its next step. A result that comes all the same, since the
        last step was under way, is given to `on_lost`.
        """
        running = _Stepwise(work, Future(), on_lost)
        self._inbox.put(lambda: self._stepwise.append(running))
        return running.future

    def add(self, runner: Runner) -> None:
        """Step this runner whenever it is busy. Used on the MLX thread."""
        self._runners.append(runner)

    def remove(self, runner: Runner) -> None:
        """Step this runner no more. Used on the MLX thread."""
        self._runners.remove(runner)

    def at_end(self, function: Callable[[], None]) -> None:
        """Call this on the thread when it ends, to drop what holds arrays."""
        self._at_end.append(function)

    def close(self, timeout: float = 30.0) -> None:
        """End the thread after the step it is at, with every array dropped."""
        self._inbox.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while self._take():
                self._run_steps()
                for runner in list(self._runners):
                    if runner.busy:
                        runner.step()
        finally:
            self._end()

    def _take(self) -> bool:
        """Run all that was handed in; wait for something if there is nothing else to do. False at the end."""
        while True:
            idle = not self._stepwise and not any(runner.busy for runner in self._runners)
            try:
                item = self._inbox.get(block=idle)
            except queue.Empty:
                return True
            if item is None:
                return False
            item()

    def _run_steps(self) -> None:
        self._stepwise = [running for running in self._stepwise if not running.step()]

    def _end(self) -> None:
        """Leave no array and no stream behind: a stream left at interpreter exit aborts the process."""
        import gc
        import sys

        for running in self._stepwise:
            running.work.close()
            running.future.cancel()
        self._stepwise.clear()
        for function in self._at_end:
            function()
        self._runners.clear()
        self._at_end.clear()
        if "mlx.core" in sys.modules:
            import mlx.core as mx

            gc.collect()
            mx.clear_cache()
            mx.synchronize()
            mx.clear_streams()


@dataclass
class _Stepwise:
    """A generator on its way to a result."""

    work: Generator[Any, None, Any]
    future: Future[Any]
    on_lost: Callable[[Any], None] | None

    def step(self) -> bool:
        """Go one step; True when that was the last."""
        if self.future.cancelled():
            self.work.close()
            return True
        try:
            next(self.work)
        except StopIteration as end:
            if self.future.set_running_or_notify_cancel():
                self.future.set_result(end.value)
            elif self.on_lost is not None:
                self.on_lost(end.value)
        except BaseException as error:
            if self.future.set_running_or_notify_cancel():
                self.future.set_exception(error)
        else:
            return False
        return True
