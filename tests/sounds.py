"""Speech and pictures for tests: what the starter models were not trained on, and files made on the spot."""

import functools
import io
import json
import shutil
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from adapters.media.sound import RATE, probe, samples

DATA = Path(__file__).parent / "data" / "speech"
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="this format is read with ffmpeg")


@dataclass(frozen=True)
class Spoken:
    """An utterance: float samples at 16 kHz with a little silence around them."""

    kind: str
    text: str
    samples: np.ndarray


@functools.cache
def held_out() -> tuple[Spoken, ...]:
    """Utterances of voices and sentences that the starter speech model never heard."""
    sound = np.concatenate(list(samples(probe(DATA / "held_out.ogg"))))
    listed = json.loads((DATA / "held_out.json").read_text(encoding="utf-8"))

    def cut(start: float, end: float) -> np.ndarray:
        return sound[int((start - 0.2) * RATE) : int((end + 0.2) * RATE)]

    return tuple(Spoken(one["set"], one["text"], cut(one["start"], one["end"])) for one in listed)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def wav(sound: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    """The samples as a 16-bit wav file; several channels get the same."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        values = (np.clip(sound, -1, 1) * 32767).astype("<i2")
        file.writeframes(np.repeat(values[:, None], channels, axis=1).tobytes())
    return content.getvalue()


def word_errors(said: str, wanted: str) -> int:
    """The fewest words to change, put in or leave out."""
    told, right = said.split(), wanted.split()
    row = list(range(len(right) + 1))
    for i, word in enumerate(told, 1):
        before, row = row, [i]
        for j, other in enumerate(right, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]
