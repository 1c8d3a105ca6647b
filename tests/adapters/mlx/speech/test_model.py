"""Speech models of several families: what they are told, and what they give."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adapters.errors import InvalidRequest, UnsafeModel, UnsupportedModel
from adapters.media.sound import RATE
from adapters.media.windows import Window, windows
from adapters.mlx.loading import lazy_model, settle
from adapters.mlx.speech import model as speech
from adapters.mlx.speech.heard import Heard
from adapters.mlx.speech.model import SpeechModel
from adapters.models.card import read_card
from adapters.models.starters import STARTERS
from adapters.protocol.transcription import Transcribe
from tests.adapters.mlx.asked import finished
from tests.sounds import held_out, silence
from tests.tiny_models import random_parakeet


@pytest.fixture(scope="module")
def whisper() -> SpeechModel:
    return opened(STARTERS["starter-speech"])


@pytest.fixture(scope="module")
def parakeet(tmp_path_factory: pytest.TempPathFactory) -> SpeechModel:
    return opened(random_parakeet(tmp_path_factory.mktemp("parakeet")))


def opened(folder: Path) -> SpeechModel:
    model = lazy_model("m", read_card(folder))
    settle(model)
    return SpeechModel(model)


def asked(**options: Any) -> Transcribe:
    return Transcribe(model="m", audio="/a.wav", **options)


def window(sound: np.ndarray, start: float = 0.0) -> Window:
    speech = [(start + a, start + b) for found in windows([sound]) for a, b in found.speech]
    return Window(start, start + len(sound) / RATE, sound, speech=speech)


def hear(model: SpeechModel, given: Window, **options: Any) -> tuple[int, Heard]:
    """How many pauses there were, and what was heard."""
    return finished(model.listen(given, model.options(asked(**options))))


def utterance() -> Any:
    return next(one for one in held_out() if one.kind == "new voices" and len(one.text.split()) > 3)


def test_whisper_gives_segments_at_their_place_in_the_sound(whisper: SpeechModel) -> None:
    one = utterance()
    pauses, heard = hear(whisper, window(one.samples, start=100.0))
    assert " ".join(segment.text for segment in heard.segments) == one.text
    assert heard.language == "en"
    assert all(
        100 <= segment.start <= segment.end <= 100 + len(one.samples) / RATE + 0.01 for segment in heard.segments
    )
    assert pauses > len(one.text.split())  # others are served between its tokens


def test_whisper_gives_the_times_of_words_when_asked(whisper: SpeechModel) -> None:
    one = utterance()
    _, heard = hear(whisper, window(one.samples), timestamps="word")
    words = [word for segment in heard.segments for word in segment.words]
    assert [word.text.strip() for word in words] == one.text.split()
    starts = [word.start for word in words]
    assert starts == sorted(starts)


def test_silence_is_heard_as_silence(whisper: SpeechModel) -> None:
    assert hear(whisper, window(silence(3)))[1].segments == []


def test_a_moment_of_sound_is_no_error(whisper: SpeechModel, parakeet: SpeechModel) -> None:
    for model in (whisper, parakeet):
        hear(model, window(np.full(10, 0.1, np.float32)))


@pytest.mark.parametrize(("language", "code"), [("en", "en"), ("English", "en"), (" EN ", "en"), ("en-US", "en")])
def test_a_language_is_known_by_code_and_by_name(whisper: SpeechModel, language: str, code: str) -> None:
    assert whisper.options(asked(language=language))["language"] == code


@pytest.mark.parametrize("language", ["klingon", "de", "", "../en"])
def test_a_language_that_the_model_does_not_know_is_refused(whisper: SpeechModel, language: str) -> None:
    with pytest.raises(InvalidRequest, match="it knows en"):
        whisper.options(asked(language=language))


def test_a_multilingual_whisper_knows_its_languages(whisper: SpeechModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpeechModel, "_multilingual", lambda _: True)
    assert whisper.options(asked(language="german", task="translate")) == {
        "language": "de", "task": "translate", "condition_on_previous_text": False,
    }  # fmt: skip
    with pytest.raises(InvalidRequest, match="did you mean german"):
        whisper.options(asked(language="germann"))


def test_parakeet_is_known_by_its_configuration_and_hears(parakeet: SpeechModel) -> None:
    _, heard = hear(parakeet, window(utterance().samples, start=10.0), timestamps="word")
    for segment in heard.segments:
        assert 10 <= segment.start <= segment.end
        assert "".join(word.text for word in segment.words).strip() == segment.text.strip()


def test_parakeet_is_told_only_what_it_takes(parakeet: SpeechModel) -> None:
    assert parakeet.options(asked(timestamps="word")) == {}
    with pytest.raises(UnsupportedModel, match="is told no language"):
        parakeet.options(asked(language="en"))
    with pytest.raises(UnsupportedModel, match="does not translate"):
        parakeet.options(asked(task="translate"))
    with pytest.raises(UnsupportedModel, match="takes no prompt"):
        parakeet.options(asked(prompt="Kowalski"))


def test_a_family_that_runs_code_from_elsewhere_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vibevoice"}')
    (tmp_path / "model.safetensors").write_bytes((STARTERS["starter-speech"] / "model.safetensors").read_bytes())
    with pytest.raises(UnsafeModel, match="fetch code from elsewhere"):
        lazy_model("m", read_card(tmp_path))


def whisper_as_openai_has_it(folder: Path) -> Path:
    """The starter with OpenAI's names of sizes, no `model_type`, and weights.safetensors, as mlx-examples converts it."""
    shutil.copytree(STARTERS["starter-speech"], folder)
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    config = json.loads((folder / "config.json").read_text())
    sizes = {
        "n_mels": config["num_mel_bins"], "n_audio_ctx": 1500, "n_audio_state": config["d_model"], "n_audio_head": 2,
        "n_audio_layer": 2, "n_vocab": config["vocab_size"], "n_text_ctx": config["max_target_positions"],
        "n_text_state": config["d_model"], "n_text_head": 2, "n_text_layer": 2,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(sizes))
    return folder


def test_a_whisper_without_a_type_and_with_weights_named_otherwise_is_heard(tmp_path: Path, isolated: Path) -> None:
    one = utterance()
    _, heard = hear(opened(whisper_as_openai_has_it(tmp_path / "w")), window(one.samples))
    assert " ".join(segment.text for segment in heard.segments) == one.text


def test_a_whisper_without_a_tokenizer_is_refused_before_it_hears(tmp_path: Path, isolated: Path) -> None:
    folder = whisper_as_openai_has_it(tmp_path / "w")
    for path in [*folder.glob("*token*"), *folder.glob("*vocab*"), *folder.glob("*merges*")]:
        path.unlink()
    with pytest.raises(UnsupportedModel, match="no tokenizer"):
        lazy_model("m", read_card(folder))


def test_the_silence_after_the_last_word_is_not_encoded(whisper: SpeechModel, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    encoder = type(whisper._model.encoder)  # pyright: ignore[reportPrivateUsage]
    real = encoder.__call__
    monkeypatch.setattr(encoder, "__call__", lambda self, *given: passes.append(1) or real(self, *given))
    sound = np.concatenate([utterance().samples, silence(1.5)])
    _, heard = hear(whisper, window(sound))
    assert [segment.text for segment in heard.segments] == [utterance().text]
    assert len(passes) == 1


def test_two_recordings_at_once_are_heard_as_each_alone(whisper: SpeechModel) -> None:
    sounds = [np.concatenate([one.samples, silence(i)]) for i, one in enumerate(held_out()[40:42])]
    alone = [hear(whisper, window(sound))[1] for sound in sounds]
    going = [whisper.listen(window(sound), whisper.options(asked())) for sound in sounds]
    together: dict[int, Heard] = {}
    while len(together) < len(going):
        for i, steps in enumerate(going):
            try:
                next(steps)
            except StopIteration as end:
                together.setdefault(i, end.value)
    assert [together[0], together[1]] == alone


def test_times_never_go_back_and_nothing_begins_after_the_last_sound(
    whisper: SpeechModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = np.concatenate([utterance().samples, silence(2)])
    told = [
        {"text": "one", "start": 0.2, "end": 0.8}, {"text": "two", "start": 0.9, "end": 1.1},
        {"text": "three", "start": 0.0, "end": 1.0}, {"text": "made up", "start": len(sound) / RATE - 1.5, "end": 99},
    ]  # fmt: skip
    monkeypatch.setattr(whisper._model, "generate", lambda *_, **__: SimpleNamespace(segments=told, language="en"))  # pyright: ignore[reportPrivateUsage]
    _, heard = hear(whisper, window(sound))
    assert [(one.text, one.start, one.end) for one in heard.segments] == [
        ("one", 0.2, 0.8), ("two", 0.9, 1.1), ("three", 1.1, 1.1),
    ]  # fmt: skip


def test_a_result_of_any_family_becomes_segments() -> None:
    given = SimpleNamespace(text=" all of it ", segments=None)
    (only,) = speech._segments(given, 4.0)  # pyright: ignore[reportPrivateUsage]
    assert (only.text, only.start, only.end) == ("all of it", 0.0, 4.0)
    given = SimpleNamespace(text="x", segments=[{"text": " x ", "start": float("nan"), "end": 99.0}])
    (only,) = speech._segments(given, 4.0)  # pyright: ignore[reportPrivateUsage]
    assert (only.text, only.start, only.end) == ("x", 0.0, 4.0)
    assert speech._segments(SimpleNamespace(text="  "), 1.0) == []  # pyright: ignore[reportPrivateUsage]
