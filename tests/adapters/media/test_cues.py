"""Subtitles that obey the guides, and that others' parsers read."""

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.media.cues import LINE, LINES, LONGEST, SHORTEST, Cue, TimedWord, lines_of, make_cues, spread, srt, vtt
from adapters.media.transcripts import cues_of, render
from adapters.protocol.transcription import Segment, Word

_letters = st.text("abcdefghij", min_size=1, max_size=14)
_endings = st.sampled_from(["", "", "", "", ",", ".", "?"])


@st.composite
def speech(draw: st.DrawFn) -> tuple[list[TimedWord], float]:
    """Words as they come from a model, and how long the sound is."""
    at, words = draw(st.floats(0, 5)), list[TimedWord]()
    for _ in range(draw(st.integers(1, 60))):
        length = draw(st.floats(0.05, 0.8))
        words.append(TimedWord(draw(_letters) + draw(_endings), at, at + length))
        at += length + draw(st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0, 5.0]))
    return words, at + draw(st.sampled_from([0.0, 0.2, 4.0]))


def check(cues: list[Cue], duration: float) -> None:
    for cue, following in zip(cues, [*cues[1:], None], strict=True):
        assert len(cue.lines) <= LINES
        assert all(len(line) <= LINE for line in cue.lines)
        assert cue.end - cue.start <= LONGEST + 0.002
        assert cue.end <= duration + 0.001
        assert cue.start >= 0
        if following:
            assert cue.end <= following.start + 1e-9


@settings(max_examples=300, deadline=None)
@given(speech())
def test_every_word_is_shown_once_by_cues_that_keep_the_rules(given_speech: tuple[list[TimedWord], float]) -> None:
    words, duration = given_speech
    cues = make_cues(words, duration)
    check(cues, duration)
    assert " ".join(" ".join(cue.lines) for cue in cues) == " ".join(word.text for word in words)
    # Where the sound leaves room for it, each is shown for a second.
    roomy = duration > SHORTEST * 3 * len(words)
    assert not roomy or all(cue.end - cue.start >= SHORTEST - 0.002 for cue in cues)


def sentence(text: str, start: float = 0.0, each: float = 0.3) -> list[TimedWord]:
    return [TimedWord(word, start + i * each, start + (i + 1) * each) for i, word in enumerate(text.split())]


def test_a_cue_ends_where_a_sentence_does() -> None:
    words = sentence("This is the first thing that I have to say. And this is the second thing that I say.")
    assert [" ".join(cue.lines) for cue in make_cues(words, 30)] == [
        "This is the first thing that I have to say.",
        "And this is the second thing that I say.",
    ]


def test_a_cue_ends_in_a_pause() -> None:
    words = sentence("before the pause") + sentence("and after it", start=3.0)
    cues = make_cues(words, 10)
    assert [cue.lines for cue in cues] == [("before the pause",), ("and after it",)]
    assert cues[0].end <= 3.0
    assert cues[1].start == pytest.approx(3.0)


def test_a_short_word_is_shown_for_a_second() -> None:
    (cue,) = make_cues([TimedWord("Yes.", 2.0, 2.2)], 10)
    assert (cue.start, cue.end) == (2.0, 3.0)


def test_a_word_at_the_very_end_is_shown_before_it_is_said() -> None:
    (cue,) = make_cues([TimedWord("Bye.", 9.8, 10.0)], 10)
    assert (cue.start, cue.end) == (9.0, 10.0)


def test_two_lines_are_about_equally_long() -> None:
    lines = lines_of(sentence("one two three four five six seven eight nine ten eleven"))
    assert len(lines) == 2
    assert abs(len(lines[0]) - len(lines[1])) < 12


def test_a_last_word_is_not_left_alone() -> None:
    words = sentence(
        "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar", each=0.3
    )
    cues = make_cues(words, 20)
    assert all(len(" ".join(cue.lines).split()) > 1 for cue in cues)


def test_words_without_spaces_between_them_are_cut_between_characters() -> None:
    text = "今日はとても良い天気ですね。" * 12
    cues = make_cues(spread(text, 0, 60), 60)
    check(cues, 60)
    assert "".join("".join(cue.lines) for cue in cues) == text


def test_a_library_reads_the_srt_and_the_vtt() -> None:
    words = sentence("Is 1 < 2 & 3 > 2? Yes, of course it is. So say all of us, every day and every night.")
    cues = make_cues(words, 60)
    for content, kind in ((srt(cues), "srt"), (vtt(cues), "vtt")):
        read = pysubs2.SSAFile.from_string(content, format_=kind)
        assert [(event.start, event.end) for event in read] == [
            (round(c.start * 1000), round(c.end * 1000)) for c in cues
        ]
    assert "&lt;" in vtt(cues)
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n"


def test_times_past_an_hour_are_written_out() -> None:
    assert srt([Cue(3661.5, 3662.75, ("x",))]).splitlines()[1] == "01:01:01,500 --> 01:01:02,750"


def test_a_segment_without_word_times_is_spread_over_its_length() -> None:
    cues = cues_of(
        [
            Segment(
                text="one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
                start=0,
                end=12,
            )
        ],
        12,
    )
    check(cues, 12)
    assert len(cues) > 1


def test_word_times_are_used_where_there_are_some() -> None:
    words = [Word(text=" hello", start=1.0, end=1.5), Word(text=" there", start=5.0, end=5.6)]
    cues = cues_of([Segment(text="hello there", start=0, end=6, words=words)], 6)
    assert [cue.start for cue in cues] == [1.0, 5.0]


def test_plain_text_of_nothing_is_empty() -> None:
    assert render([], "text", 3, None) == ""
    assert render([], "srt", 3, None) == ""
