"""The starter speech model, loaded by mlx_audio's own loader and graded on voices and sentences that it never heard."""

from typing import Any

import numpy as np
import pytest
from mlx_audio.stt.utils import load_model

from adapters.models.starters import STARTERS
from adapters.starter.recipes.speech.phrases import draw_phrase, is_held_out
from tests.sounds import Spoken, held_out, silence, word_errors

COUNT = 20
# The word error rate that each set may have. The last is another synthesiser, in a voice that it never heard.
CEILINGS = {"new sentences": 0.08, "new voices": 0.08, "new synthesiser": 0.6}


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(STARTERS["starter-speech"])


@pytest.mark.parametrize("kind", CEILINGS)
def test_held_out_speech_is_written_down(model: Any, kind: str) -> None:
    chosen: list[Spoken] = [one for one in held_out() if one.kind == kind][:COUNT]
    assert len(chosen) == COUNT
    wrong = sum(word_errors(model.generate(one.samples).text, one.text) for one in chosen)
    assert wrong / sum(len(one.text.split()) for one in chosen) <= CEILINGS[kind]


def test_many_commands_in_one_window_are_all_written_down(model: Any) -> None:
    chosen = [one for one in held_out() if one.kind == "new voices"][:9]
    sound = np.concatenate([piece for one in chosen for piece in (one.samples, silence(0.6))])
    assert 12 < len(sound) / 16_000 < 29
    wanted = " ".join(one.text for one in chosen)
    assert word_errors(model.generate(sound).text, wanted) / len(wanted.split()) <= 0.12


@pytest.mark.parametrize("seconds", [1, 5, 20])
def test_silence_gives_nothing(model: Any, seconds: int) -> None:
    assert model.generate(silence(seconds)).text.strip() == ""


def test_the_tests_hear_nothing_that_was_in_training() -> None:
    import random

    chance = random.Random(1)
    assert all(not is_held_out(draw_phrase(chance)) for _ in range(500))
    assert all(is_held_out(one.text) for one in held_out() if one.kind == "new sentences")
