"""Text that was cut within a character, wherever it comes from."""

import json

import pytest

from adapters.protocol.generation import Generate
from adapters.protocol.messages import Submit, line, read_request
from adapters.protocol.surrogates import whole_json, whole_text, whole_value
from adapters.protocol.wire import Wire, json_of


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("plain", "plain"),
        ("\ud83d", "\ufffd"),
        ("a\ude00b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),  # two halves that stand together
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("😀\ud83d!", "😀\ufffd!"),
    ],
)
def test_a_half_is_replaced_and_two_are_joined(given: str, whole: str) -> None:
    assert whole_text(given) == whole
    assert whole_value({given: [given, (given, 1)]}) == {whole: [whole, (whole, 1)]}
    assert json.loads(whole_json(json.dumps([given]).encode())) == [whole]


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (rb'"\\ud83d"', rb'"\\ud83d"'),  # a backslash, then letters
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\uD83D\uDE00\udbff"', rb'"\uD83D\uDE00\ufffd"'),
        (rb'"\ud83d\n\u0041"', rb'"\ufffd\n\u0041"'),
        (b'"\xed\xa0\xbd"', '"\ufffd"'.encode()),  # a half in the form of UTF-8
        (b'"\xff"', '"\ufffd"'.encode()),
        (
            b'{"n": 1e400, "big": 123456789012345678901234567890}',
            b'{"n": 1e400, "big": 123456789012345678901234567890}',
        ),
    ],
)
def test_json_keeps_all_but_the_halves(content: bytes, whole: bytes) -> None:
    assert whole_json(content) == whole


def test_a_request_with_a_half_anywhere_reaches_the_engine() -> None:
    work = Generate(
        model="m",
        conversations=[[{"role": "user", "content": "hi \ud83d", "extra": {"\ud83d": 1}}]],
        stop=["\ud83d"],
        tools=[{"type": "function", "function": {"name": "f", "description": "\ud83d"}}],
    )
    read = read_request.validate_json(line(Submit(id=1, job="gen-0h5tqk3vd2wa", work=work)))
    assert isinstance(read, Submit)
    assert isinstance(read.work, Generate)
    assert read.work.conversations == [[{"role": "user", "content": "hi \ufffd", "extra": {"\ufffd": 1}}]]
    assert read.work.stop == ["\ufffd"]


def test_a_message_that_holds_a_half_is_written() -> None:
    class Told(Wire):
        name: str
        value: float

    assert json.loads(json_of(Told(name="a\udcffb", value=float("nan")))) == {"name": "a\ufffdb", "value": None}
