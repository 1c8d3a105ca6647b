"""Windows: packed with speech alone, no moment lost, none doubled, each known by its time in the file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.media.sound import RATE
from adapters.media.speech_detector import PIECE
from adapters.media.windows import LONGEST, MARGIN, Window, windows
from tests.sounds import held_out, silence


def noise(seconds: float, loudness: float = 0.2, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * loudness).astype(np.float32)


def by_loudness(samples: np.ndarray) -> np.ndarray:
    """Takes everything that is loud for speech."""
    return (np.abs(samples.reshape(-1, PIECE)).max(axis=1) > 0.0005).astype(np.float32)


def chunked(sound: np.ndarray, seconds: float = 4.0) -> list[np.ndarray]:
    size = int(seconds * RATE)
    return [sound[i : i + size] for i in range(0, len(sound), size)]


def packed(sound: np.ndarray, longest: float = LONGEST, chunk: float = 4.0) -> list[Window]:
    return list(windows(chunked(sound, chunk), longest, by_loudness))


def put_together(found: list[Window], length: int) -> np.ndarray:
    whole, filled = np.zeros(length, np.float32), np.zeros(length, bool)
    for window in found:
        offset = 0
        for piece in window.pieces:
            place = slice(piece.start, piece.start + piece.count)
            assert not filled[place].any(), "something is in two windows"
            filled[place] = True
            whole[place] = window.samples[offset : offset + piece.count]
            offset += piece.count
        assert offset == len(window.samples)
    return whole


PARTS = st.lists(st.tuples(st.floats(0.1, 45), st.floats(0, 6)), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(PARTS, st.floats(0.5, 7), st.sampled_from([15.0, LONGEST]))
def test_all_speech_is_in_exactly_one_window(parts: list[tuple[float, float]], chunk: float, longest: float) -> None:
    sound = np.concatenate([piece for loud, quiet in parts for piece in (noise(loud), silence(quiet))])
    found = packed(sound, longest, chunk)
    assert np.array_equal(put_together(found, len(sound)), sound)
    assert [window.end for window in found] == sorted(window.end for window in found)
    assert found[-1].end == pytest.approx(len(sound) / RATE)
    assert [window.last for window in found] == [False] * (len(found) - 1) + [True]
    assert all(len(window.samples) <= longest * RATE for window in found)
    spoken = sum(end - begin for window in found for begin, end in window.speech)
    assert spoken == pytest.approx(sum(loud for loud, _ in parts), abs=0.1 * len(parts) + 0.1 * len(found))


def test_long_silence_is_left_out_and_windows_are_full() -> None:
    sound = np.concatenate([piece for i in range(12) for piece in (noise(2.0, seed=i), silence(5.0))])
    first, *_, last = found = [window for window in packed(sound, 15.0) if not window.silent]
    assert len(found) == 3  # five of them fill a window
    assert [len(window.pieces) for window in (first, last)] == [5, 2]
    assert first.seconds == pytest.approx(5 * 2.6, abs=0.4)


def test_a_moment_of_a_window_is_known_by_its_time_in_the_file() -> None:
    sound = np.concatenate([silence(10), noise(2), silence(5), noise(1), silence(3)])
    (window,) = (one for one in packed(sound) if not one.silent)
    assert window.at(MARGIN) == pytest.approx(10.0, abs=0.05)
    first = window.pieces[0].count / RATE
    assert window.at(first, ending=True) == pytest.approx(12.3, abs=0.05)
    assert window.at(first) == pytest.approx(16.7, abs=0.05)
    assert window.at(99) == pytest.approx(18.3, abs=0.05)
    for moment in np.linspace(0, window.seconds - 0.01, 50):
        assert window.place(window.at(float(moment))) == pytest.approx(moment, abs=1e-6)
    assert window.place(14.0) == pytest.approx(first)


def test_a_stretch_longer_than_a_window_is_cut_in_a_pause() -> None:
    sound = np.concatenate([piece for i in range(30) for piece in (noise(2.0, seed=i), silence(0.5))])
    for window in packed(sound)[:-1]:
        within = window.end % 2.5
        assert 1.9 <= within <= 2.5, f"cut at {window.end}"
        assert len(window.samples) > 20 * RATE  # and as late as possible


def test_without_a_pause_it_is_cut_where_it_is_quietest() -> None:
    sound = noise(60)
    sound[int(25 * RATE) : int(25.3 * RATE)] *= 0.2
    assert 24.9 < packed(sound)[0].end < 25.4


def test_silence_gives_no_samples_and_is_told_as_it_goes_on() -> None:
    found = packed(np.concatenate([silence(200), noise(2), silence(100)]))
    assert sum(len(window.samples) for window in found) < 3 * RATE
    assert len([window for window in found if window.silent and window.end < 199]) >= 2
    assert packed(silence(3))[-1].end == pytest.approx(3.0)
    assert [window.last for window in packed(silence(0))] == [True]


def test_speech_is_not_held_back_by_a_long_silence() -> None:
    seen = 0

    def coming() -> object:
        nonlocal seen
        for chunk in chunked(np.concatenate([noise(2), silence(600)])):
            seen += len(chunk)
            yield chunk

    assert not next(windows(coming(), LONGEST, by_loudness)).silent  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert seen < 80 * RATE


def test_what_is_not_a_number_is_silence() -> None:
    sound = noise(1)
    sound[100:200] = np.nan
    (window,) = packed(sound)
    assert np.isfinite(window.samples).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.floats(0.1, 3.0))
def test_what_was_not_heard_is_given_again_with_what_follows(parts: list[float], pause: float) -> None:
    sound = np.concatenate([piece for i in range(40) for piece in (noise(2.0, seed=i), silence(pause))])
    packing, heard, until = windows(chunked(sound), LONGEST, by_loudness), list[np.ndarray](), None
    shares = iter(parts)
    while True:
        try:
            window = packing.send(until)
        except StopIteration:
            break
        part = 1.0 if window.last else next(shares, 1.0)
        until = window.at(window.seconds * part) if part < 1 else None
        left = len(window.after(until).samples) if until is not None else 0
        heard.append(window.samples[: len(window.samples) - left])
    found = np.concatenate([piece[piece != 0] for piece in heard])
    assert np.array_equal(found, sound[sound != 0])


def test_an_excerpt_holds_the_spans_that_were_asked_for() -> None:
    sound = np.concatenate([piece for i in range(4) for piece in (noise(1.0, seed=i), silence(2.0))])
    (window,) = (one for one in packed(sound) if not one.silent)
    part = window.excerpt([window.speech[1], window.speech[3]])
    assert part.last
    assert [piece.start / RATE for piece in part.pieces] == pytest.approx([2.7, 8.7], abs=0.1)
    for piece, offset in zip(part.pieces, (0, part.pieces[0].count), strict=True):
        assert np.array_equal(
            part.samples[offset : offset + piece.count], sound[piece.start : piece.start + piece.count]
        )


def test_words_are_found_in_a_hum() -> None:
    one = held_out()[0].samples
    sound = np.concatenate([silence(8), one, silence(8)])
    sound += (0.05 * np.sin(2 * np.pi * 60 * np.arange(len(sound)) / RATE)).astype(np.float32)
    (window,) = (found for found in windows([sound]) if not found.silent)
    assert window.start == pytest.approx(8.0, abs=0.5)
    assert window.seconds <= len(one) / RATE + 1
