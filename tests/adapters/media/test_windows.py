"""Windows: cut in pauses, nothing lost, nothing doubled, memory of one window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.media.sound import RATE
from adapters.media.windows import LONGEST, Window, windows
from tests.sounds import silence


def noise(seconds: float, loudness: float = 0.2, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * loudness).astype(np.float32)


def chunked(sound: np.ndarray, seconds: float = 4.0) -> list[np.ndarray]:
    size = int(seconds * RATE)
    return [sound[i : i + size] for i in range(0, len(sound), size)]


def put_together(found: list[Window], length: int) -> np.ndarray:
    whole = np.zeros(length, np.float32)
    for window in found:
        at = round(window.start * RATE)
        part = whole[at : at + len(window.samples)]
        assert not part.any(), "something is in two windows"
        part[:] = window.samples
    return whole


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 45), st.floats(0, 6)), min_size=1, max_size=6),
    st.floats(0.5, 7),
)
def test_every_audible_sample_is_in_exactly_one_window(parts: list[tuple[float, float]], chunk: float) -> None:
    sound = np.concatenate([piece for loud, quiet in parts for piece in (noise(loud), silence(quiet))])
    found = list(windows(chunked(sound, chunk)))
    assert np.array_equal(put_together(found, len(sound)), sound)
    ends = [window.end for window in found]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(sound) / RATE)
    assert all(len(window.samples) <= (LONGEST + 0.1) * RATE for window in found)


def test_a_cut_falls_into_a_pause() -> None:
    spoken = [noise(2.0, seed=i) for i in range(30)]
    sound = np.concatenate([piece for one in spoken for piece in (one, silence(0.5))])
    for window in list(windows(chunked(sound)))[:-1]:
        within = window.end % 2.5
        assert 2.0 <= within <= 2.5, f"cut at {window.end}"
        assert window.end - window.start > 20  # and as late as possible


def test_without_a_pause_it_is_cut_where_it_is_quietest() -> None:
    sound = noise(60)
    sound[int(25 * RATE) : int(25.3 * RATE)] *= 0.2
    first = next(windows(chunked(sound)))
    assert 24.9 < first.end < 25.4


def test_silence_gives_no_samples() -> None:
    found = list(windows(chunked(np.concatenate([silence(100), noise(2), silence(50)]))))
    assert sum(len(window.samples) for window in found) < 3 * RATE
    assert all(window.silent for window in found if window.end < 99)


def test_quiet_speech_beside_loud_is_not_left_out() -> None:
    sound = np.concatenate([noise(5, 0.5), silence(0.4), noise(5, 0.002), silence(0.4)])
    assert sum(len(window.samples) for window in windows(chunked(sound))) > 10 * RATE


def test_what_is_not_a_number_is_silence() -> None:
    sound = noise(1)
    sound[100:200] = np.nan
    (window,) = windows([sound])
    assert np.isfinite(window.samples).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.3, 1.0), min_size=1, max_size=8))
def test_what_was_not_heard_is_given_again_with_what_follows(parts: list[float]) -> None:
    sound = np.concatenate([piece for i in range(40) for piece in (noise(2.0, seed=i), silence(0.5))])
    cutting, heard, until = windows(chunked(sound)), list[np.ndarray](), None
    shares = iter(parts)
    while True:
        try:
            window = cutting.send(until)
        except StopIteration:
            break
        part = 1.0 if window.last else next(shares, 1.0)
        count = int(len(window.samples) * part)
        heard.append(window.samples[:count])
        until = window.start + count / RATE if part < 1 else None
    found = np.concatenate([piece[piece != 0] for piece in heard])
    assert np.array_equal(found, sound[sound != 0])
