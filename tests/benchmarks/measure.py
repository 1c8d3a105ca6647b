"""What a benchmark gives, and how times are taken."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A line of the table. `kept` says whether the promise in `promise` held; None where there is none."""

    what: str
    figure: str
    promise: str = ""
    kept: bool | None = None


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


async def awaited(action: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await action()
    return time.perf_counter() - started


def median(times: list[float]) -> float:
    return statistics.median(times)


def ms(value: float) -> str:
    return f"{value * 1000:.1f} ms"
