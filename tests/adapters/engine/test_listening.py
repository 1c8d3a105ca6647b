"""What a model wrote down is held against where somebody speaks: nothing is passed over without a word."""

import anyio
import numpy as np
import pytest

from adapters.engine.listening import Listening, goes_in_circles, without_segments
from adapters.media.sound import RATE
from adapters.media.windows import Piece, Window
from adapters.mlx.speech.heard import Heard
from adapters.protocol.transcription import Segment

SPEECH = ((0.3, 2.0), (10.3, 11.0), (20.3, 24.0))


def window() -> Window:
    """Three pieces of a file, ten seconds apart."""
    lengths = [2.3, 1.3, 4.0]
    pieces = tuple(Piece(round(10 * i * RATE), int(length * RATE)) for i, length in enumerate(lengths))
    samples = np.full(sum(piece.count for piece in pieces), 0.1, np.float32)
    return Window(0.0, 30.0, samples, pieces=pieces, speech=SPEECH)


def line(text: str, start: float, end: float) -> Segment:
    return Segment(text=text, start=start, end=end)


def heard(*answers: list[Segment], until: float | None = None) -> tuple[Listening, list[Window]]:
    """What is heard when the model gives these answers one after another, and the windows that it was given."""
    given, left = list[Window](), list(answers)

    async def listen(window: Window) -> Heard:
        given.append(window)
        return Heard(left.pop(0), "en", until if len(given) == 1 else None)

    listening = Listening(listen)
    anyio.run(listening.hear, window())
    assert not left
    return listening, given


def test_speech_without_a_segment_is_heard_again_by_itself() -> None:
    first, last, between = line("one", 0.3, 2.0), line("three", 20.3, 24.0), line("two", 10.3, 11.0)
    listening, (_, again) = heard([first, last], [between])
    assert listening.segments == [first, between, last]
    assert (listening.coverage, listening.unheard) == (1.0, [])
    assert [piece.start / RATE for piece in again.pieces] == [10.0]
    assert again.last


def test_what_stays_unheard_is_listed() -> None:
    listening, _ = heard([line("one", 0.3, 2.0)], [])
    assert [(one.start, one.end) for one in listening.unheard] == [(10.3, 11.0), (20.3, 24.0)]
    assert listening.speech_s == pytest.approx(6.1)
    assert listening.coverage == pytest.approx(1 - 4.4 / 6.1, abs=0.001)


def test_all_that_is_unheard_is_not_heard_again_in_the_same_way() -> None:
    listening, given = heard([])
    assert len(given) == 1
    assert listening.coverage == 0


def test_words_of_a_neighbour_are_not_written_twice() -> None:
    first, rest = line("Good morning to you", 0.3, 1.2), line("two", 10.3, 11.0)
    last = line("three", 20.3, 24.0)
    listening, _ = heard([first, rest, last], [line("to you.", 1.5, 2.0)])
    assert [one.text for one in listening.segments] == [first.text, "two", "three"]


def test_what_comes_after_where_the_model_stopped_is_not_missed() -> None:
    listening, given = heard([line("one", 0.3, 2.0)], until=10.0)
    assert len(given) == 1
    assert (listening.speech_s, listening.coverage) == (pytest.approx(1.7), 1.0)


def test_a_line_that_comes_again_and_again_is_heard_in_halves() -> None:
    circling = [line("Thank you.", i * 1.0, i + 1.0) for i in range(25)]
    good = [line("one", 0.3, 2.0)], [line("two", 10.3, 11.0), line("three", 20.3, 24.0)]
    listening, given = heard(circling, *good)
    assert [one.text for one in listening.segments] == ["one", "two", "three"]
    assert (len(given), listening.notes) == (3, [])


def test_a_line_that_still_comes_again_is_said_to_be_doubtful() -> None:
    circling = [line("Thank you.", i * 1.0, i + 1.0) for i in range(25)]
    listening, _ = heard(circling, circling[:10], circling[10:])
    (note,) = listening.notes
    assert "again and again from 0 to 25 s" in note


@pytest.mark.parametrize(
    ("texts", "circles"),
    [
        (["so", "so", "so", "so"], True),
        (["so", "and", "so", "and"], False),
        (["I will go there " * 6], True),
        (["no no no no"], False),
        (["No, " * 30], True),
        (["one two three four five six seven"], False),
        ([], False),
    ],
)
def test_circles_are_told_from_people_who_repeat_themselves(texts: list[str], circles: bool) -> None:
    assert goes_in_circles([line(text, i, i + 1.0) for i, text in enumerate(texts)]) is circles


def test_times_that_are_a_little_wrong_are_no_gap() -> None:
    assert without_segments([(0.0, 2.0)], [line("a", 0.5, 1.5)]) == []
    assert without_segments([(0.0, 3.0)], [line("a", 1.0, 1.2)]) == [(0.0, 0.7), (1.5, 3.0)]
    assert without_segments([(0.0, 0.3)], []) == []
