"""Synthetic speech: espeak-ng in many voices, and CMU flite as a second synthesiser.

Needs libespeak-ng.so.1 and the command flite; only for making the model, never for using it.
"""

import ctypes
import io
import random
import subprocess
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from adapters.starter.recipes.speech.phrases import draw_phrase

RATE = 16_000
LANGUAGES = [
    "en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc",
]  # fmt: skip
VARIANTS = [""] + [
    f"+{name}" for name in (
        "m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 Andrea Mario Michael steph linda Alex ed Annie anika Lee Gene adam Alicia "
        "Denis Diogo Gene2 Henrique Hugo Jacky Marco Mike Storm Tweaky announcer antonio aunty benjamin boris caleb "
        "david edward edward2 grandma grandpa gustave iven john kaukovalta klatt klatt2 marcelo max michel miguel "
        "norbert pablo paul pedro quincy rob robert sandro shelby travis victor zac"
    ).split()
]  # fmt: skip
HELD_OUT_VOICES = ["en-us+m8", "en+f5", "en-gb-x-rp+Andy", "en-us+belinda"]
FLITE_VOICES = ["kal16", "awb", "rms"]
HELD_OUT_FLITE = ["slt"]


@dataclass
class Utterance:
    """What was said, by which voice, as 16-bit samples at 16 kHz with the silence at both ends cut off."""

    text: str
    voice: str
    samples: np.ndarray


class Espeak:
    """libespeak-ng in this process: a process for each utterance would take longer than the speech."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate: int = self.library.espeak_Initialize(2, 0, None, 0)
        self.heard: list[np.ndarray] = []
        self.voice = ""
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

        def hear(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: object) -> int:
            if count > 0:
                self.heard.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
            return 0

        self._hear = kind(hear)  # kept: the library holds only its address
        self.library.espeak_SetSynthCallback(self._hear)

    def say(self, text: str, voice: str, speed: int, pitch: int, pitch_range: int) -> np.ndarray:
        """Float samples at 16 kHz."""
        if voice != self.voice:
            if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(f"espeak-ng has no voice {voice!r}")
            self.voice = voice
        for parameter, value in ((1, speed), (3, pitch), (4, pitch_range)):
            self.library.espeak_SetParameter(parameter, value, 0)
        self.heard.clear()
        spoken = text.encode()
        self.library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, 1, None, None)
        self.library.espeak_Synchronize()
        return resample_poly(np.concatenate(self.heard).astype(np.float32) / 32768, RATE, self.rate).astype(np.float32)


def flite(text: str, voice: str, stretch: float) -> np.ndarray:
    """Float samples at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-t", text, "-o", str(file)]
        subprocess.run(command, check=True, capture_output=True)
        with wave.open(io.BytesIO(file.read_bytes())) as speech:
            rate = speech.getframerate()
            samples = np.frombuffer(speech.readframes(speech.getnframes()), np.int16).astype(np.float32) / 32768
    return samples if rate == RATE else resample_poly(samples, RATE, rate).astype(np.float32)


def _trimmed(samples: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    kept = samples[max(0, loud[0] - 160) : loud[-1] + 320] if len(loud) else samples
    return (np.clip(kept, -1, 1) * 32767).astype(np.int16)


def espeak_utterances(
    count: int, seed: int, held_out_text: bool = False, held_out_voice: bool = False
) -> list[Utterance]:
    """`count` phrases in voices, speeds and pitches by chance."""
    chance, espeak, made = random.Random(seed), Espeak(), list[Utterance]()
    while len(made) < count:
        voice = chance.choice(HELD_OUT_VOICES)
        if not held_out_voice:
            voice = chance.choice(LANGUAGES) + chance.choice(VARIANTS)
        for _ in range(3 if held_out_voice else 6):  # changing the voice is the slow call
            text = draw_phrase(chance, held_out_text)
            manner = chance.randint(110, 230), chance.randint(15, 85), chance.randint(20, 80)
            made.append(Utterance(text, voice, _trimmed(espeak.say(text, voice, *manner))))
    return made[:count]


def flite_utterances(count: int, seed: int, held_out: bool = False) -> list[Utterance]:
    """`count` phrases of the second synthesiser; held out are its last voice and the sentences kept for grading."""
    chance, made = random.Random(seed), list[Utterance]()
    voices = HELD_OUT_FLITE if held_out else FLITE_VOICES
    for _ in range(count):
        text, voice = draw_phrase(chance, held_out), chance.choice(voices)
        made.append(Utterance(text, f"flite-{voice}", _trimmed(flite(text, voice, chance.uniform(0.8, 1.3)))))
    return made


# The sets that the model is graded on: none of them is in training.
GRADED: dict[str, Callable[[int], list[Utterance]]] = {
    "new sentences": lambda count: espeak_utterances(count, 11, held_out_text=True),
    "new voices": lambda count: espeak_utterances(count, 12, held_out_voice=True),
    "new synthesiser": lambda count: flite_utterances(count, 13, held_out=True),
}
