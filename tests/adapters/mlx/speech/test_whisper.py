"""What is left of a window when Whisper has stopped before its end."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adapters.mlx.speech.whisper import FRAME, HEARING, Hearing, skip_trailing_silence

Options = SimpleNamespace(language="en")


def features(seconds: float) -> np.ndarray:
    """Thirty seconds of which so many hold sound."""
    mel = np.zeros((3000, 80), np.float32)
    mel[: round(seconds / FRAME)] = 0.5
    return mel


@pytest.fixture
def passes() -> Any:
    """A model whose passes are counted: `passes.model.decode` is what `generate` calls."""
    seen: list[float] = []
    model = SimpleNamespace(decode=lambda *_: seen.append(1.0) or "heard")
    skip_trailing_silence(model)
    return SimpleNamespace(model=model, seen=seen)


def test_a_rest_is_left_to_the_next_window(passes: Any) -> None:
    hearing = Hearing(length=28.0, quiet=0.3, may_leave=True)
    HEARING.set(hearing)
    assert passes.model.decode(features(28.0), Options) == "heard"
    assert passes.model.decode(features(2.5), Options).tokens == []
    assert len(passes.seen) == 1
    assert hearing.left == pytest.approx(2.5)


def test_more_than_half_a_window_is_heard_at_once(passes: Any) -> None:
    HEARING.set(Hearing(length=28.0, may_leave=True))
    assert passes.model.decode(features(15.0), Options) == "heard"


def test_the_rest_of_the_last_window_is_heard(passes: Any) -> None:
    hearing = Hearing(length=28.0, may_leave=False)
    HEARING.set(hearing)
    assert passes.model.decode(features(2.5), Options) == "heard"
    assert not hearing.left


def test_silence_is_not_read_nor_left(passes: Any) -> None:
    hearing = Hearing(length=28.0, quiet=2.5, may_leave=True)
    HEARING.set(hearing)
    assert passes.model.decode(features(2.5), Options).tokens == []
    assert not passes.seen
    assert not hearing.left
