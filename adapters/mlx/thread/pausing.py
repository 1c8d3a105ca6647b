"""Running a library's long function in steps on the MLX thread, so that others are served in between.

The function runs in a greenlet. The parts of a model that were made to pause hand control back each time they are
called, and the function goes on from there when its turn comes again. It never leaves the thread.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")


class _Task(greenlet):
    """A greenlet that may be paused: code outside of one runs straight through."""


def in_steps(function: Callable[[], T]) -> Generator[None, None, T]:
    """Run a function; yields at each of its pauses, and returns what it returns. Closing it ends the function there."""
    task = _Task(function)
    try:
        result = task.switch()
        while not task.dead:
            yield
            task.parent = getcurrent()
            result = task.switch()
        return result
    finally:
        if not task.dead:
            task.throw(GreenletExit)


def pause() -> None:
    """Hand control back to whoever runs this function in steps; does nothing where nobody does."""
    current = getcurrent()
    if isinstance(current, _Task) and current.parent is not None:
        current.parent.switch()


def make_pausing(module: nn.Module, evaluate: bool = False) -> None:
    """Have a module pause before each of its calls, in this very object.

    With `evaluate`, what it gives is computed first: without, a later part would compute all of it at once.
    """
    kind = type(module)

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        pause()
        result = kind.__call__(self, *args, **kwargs)  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
        if evaluate and isinstance(getcurrent(), _Task):
            # Inside of a compiled function nothing can be computed yet: that function is one step then.
            with contextlib.suppress(ValueError, RuntimeError):
                mx.eval(result)
        return result

    # Special methods are looked up on the class, so this object gets a class of its own that differs in nothing else.
    module.__class__ = type(kind.__name__, (kind,), {"__call__": call, "__module__": kind.__module__})


def pausing_layers(module: nn.Module) -> None:
    """Have every layer in the lists of a module pause, one after another computed on its own."""
    for child in module.children().values():
        for entry in child if isinstance(child, list) else [child]:
            if not isinstance(entry, nn.Module):
                continue
            if isinstance(child, list):
                make_pausing(entry, evaluate=True)
            else:
                pausing_layers(entry)
