"""From decoded pieces to an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mlx.text.answer import AnswerText, Markers
from adapters.mlx.text.calls.families import FAMILIES
from adapters.mlx.text.calls.reader import CallReader

MARKERS = Markers("<think>", "</think>")
ONE, TWO = '{"name": "f", "arguments": {"n": 1}}', '{"name": "f", "arguments": {"n": 2}}'


def reader() -> CallReader:
    return CallReader(FAMILIES["json_tools"], ["f"])


def fed(answer: AnswerText, *pieces: str) -> AnswerText:
    for piece in pieces:
        answer.add(piece)
    answer.finish()
    return answer


def test_text_without_markers_is_the_answer() -> None:
    answer = fed(AnswerText(MARKERS), "blue ", "green")
    assert (answer.text, answer.reasoning, answer.stopped) == ("blue green", "", False)


def test_reasoning_is_kept_apart() -> None:
    answer = fed(AnswerText(MARKERS), "<think>\n4 + 7", " = 11\n</thi", "nk>\n\n91")
    assert (answer.text, answer.reasoning) == ("91", "4 + 7 = 11")


def test_reasoning_that_the_prompt_began_needs_no_marker() -> None:
    answer = fed(AnswerText(MARKERS, in_reasoning=True), "so</think>yes")
    assert (answer.text, answer.reasoning) == ("yes", "so")


def test_reasoning_that_never_ends_is_no_answer() -> None:
    answer = fed(AnswerText(MARKERS), "<think>on and on")
    assert (answer.text, answer.reasoning) == ("", "on and on")


def test_a_marker_after_the_first_word_is_text() -> None:
    answer = fed(AnswerText(MARKERS), "write <think> to begin")
    assert answer.text == "write <think> to begin"


def test_empty_reasoning_leaves_no_blank_lines() -> None:
    assert fed(AnswerText(MARKERS), "<think>\n\n</think>\n\nyes").text == "yes"


def test_tool_calls_are_kept_apart_when_tools_are_offered() -> None:
    said = f"Let me see.<tool_call>{ONE}</tool_call>\n<tool_call>{TWO}</tool_call>"
    answer = fed(AnswerText(MARKERS, calls=reader()), said)
    first, second = answer.tool_calls
    assert (first.calls[0].arguments, second.calls[0].arguments) == ({"n": 1}, {"n": 2})
    assert (first.text, answer.text) == (f"<tool_call>{ONE}</tool_call>", "Let me see.\n")
    assert (first.after, second.after) == (11, 12)


def test_a_tool_call_is_told_once_and_only_when_it_is_closed() -> None:
    answer = AnswerText(MARKERS, calls=reader())
    told = list[list[int]]()
    for piece in (
        f"<tool_call>{ONE[:-2]}", "}}</tool_", f"call> and <tool_call>{TWO}</tool_call><tool_call>{ONE[:-2]}", "",
    ):  # fmt: skip
        answer.add(piece)
        told.append([call.calls[0].arguments["n"] for call in answer.closed_calls()])
    assert told == [[], [], [1, 2], []]
    answer.finish(cut=True)
    assert answer.closed_calls() == []
    assert answer.text == f" and <tool_call>{ONE[:-2]}"


def test_tool_markup_is_text_when_no_tools_are_offered() -> None:
    assert fed(AnswerText(MARKERS), "<tool_call>{}</tool_call>").text == "<tool_call>{}</tool_call>"


def test_a_stop_string_ends_the_answer_before_it() -> None:
    answer = AnswerText(MARKERS, stop=["END"])
    answer.add("one E")
    assert answer.text == "one "
    answer.add("ND two")
    assert (answer.text, answer.stopped, answer.stopped_by) == ("one ", True, "END")


def test_a_stop_string_in_reasoning_is_no_stop() -> None:
    answer = fed(AnswerText(MARKERS, stop=["so"]), "<think>so what</think>well")
    assert (answer.text, answer.reasoning, answer.stopped) == ("well", "so what", False)


def test_what_may_be_a_stop_string_is_given_out_at_the_end() -> None:
    answer = AnswerText(MARKERS, stop=["END"])
    assert answer.add("the EN") == ("the ", "")
    assert answer.finish() == ("EN", "")


def test_the_first_of_two_stop_strings_counts() -> None:
    assert fed(AnswerText(MARKERS, stop=["five", "three"]), "one two three four five").text == "one two "


@given(st.text(alphabet="ab<think>/\n", max_size=60), st.lists(st.integers(1, 8), max_size=20))
def test_how_the_text_is_cut_into_pieces_changes_nothing(text: str, sizes: list[int]) -> None:
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    whole = fed(AnswerText(MARKERS, stop=["ab", "b/"]), text)
    cut = fed(AnswerText(MARKERS, stop=["ab", "b/"]), *pieces, rest)
    assert (cut.text, cut.reasoning, cut.stopped) == (whole.text, whole.reasoning, whole.stopped)


@pytest.mark.parametrize("stop", [["x"], []])
def test_everything_given_out_adds_up_to_the_answer(stop: list[str]) -> None:
    answer = AnswerText(MARKERS, stop=stop)
    given_out = [answer.add(piece) for piece in ("<think>a", "b</think>", "c", "d<thi")] + [answer.finish()]
    assert "".join(text for text, _ in given_out) == answer.text
    assert "".join(thought for _, thought in given_out) == answer.reasoning
