"""Training clips: utterances joined with pauses, at other speeds, with echoes and noise."""

import random
from dataclasses import dataclass

import numpy as np

from adapters.starter.recipes.speech.voices import RATE, Utterance

LONGEST = 27.0  # seconds: a window of the model is 30


@dataclass
class Clip:
    """Float samples at 16 kHz, and (start, end, text) in seconds of what is said in them."""

    samples: np.ndarray
    said: list[tuple[float, float, str]]


def make_clip(chance: random.Random, noise: np.random.Generator, spoken: list[Utterance]) -> Clip:
    """Silence, one utterance or several."""
    part = chance.random()
    if part < 0.05:
        count = 0
    elif part < 0.68:
        count = 1
    else:
        count = chance.randint(2, 3) if part < 0.86 else chance.randint(4, 12)
    clip = _joined(chance, spoken, count)
    return Clip(_disturbed(chance, noise, clip.samples, bool(count)), clip.said)


def _joined(chance: random.Random, spoken: list[Utterance], count: int) -> Clip:
    lead = chance.choice([0.0, 0.0, chance.uniform(0, 0.9), chance.uniform(0, 0.4)])
    parts, said = [_silence(lead)], list[tuple[float, float, str]]()
    at = len(parts[0])
    for index in range(count):
        utterance = chance.choice(spoken)
        samples = _respoken(chance, utterance.samples.astype(np.float32) / 32768)
        if (at + len(samples)) / RATE > LONGEST:
            break
        said.append((at / RATE, (at + len(samples)) / RATE, utterance.text))
        last = index == count - 1
        after = (
            chance.choice([0.0, chance.uniform(0, 0.6), chance.uniform(0, 0.2)]) if last else chance.uniform(0.4, 1.4)
        )
        parts += [samples, _silence(after)]
        at += len(samples) + len(parts[-1])
    if not count:
        parts.append(_silence(chance.uniform(0.5, 8)))
    return Clip(np.concatenate(parts), said)


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def _respoken(chance: random.Random, samples: np.ndarray) -> np.ndarray:
    """Played up to a tenth faster or slower, more or less loud."""
    if chance.random() < 0.6:
        at = np.arange(0, len(samples) - 1, chance.uniform(0.9, 1.1))
        samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
    return samples * chance.uniform(0.5, 1)


def _disturbed(chance: random.Random, noise: np.random.Generator, samples: np.ndarray, speaks: bool) -> np.ndarray:
    """A tilted spectrum, a simple room, and noise, each sometimes; and another loudness."""
    if chance.random() < 0.3:
        samples = np.convolve(samples, [1, chance.uniform(-0.5, 0.5)])[: len(samples)].astype(np.float32)
    if speaks and chance.random() < 0.15:
        for _ in range(3):
            delay = chance.randint(200, 2400)
            if delay < len(samples):
                echoed = samples.copy()
                echoed[delay:] += samples[:-delay] * chance.uniform(0.1, 0.35)
                samples = echoed
    if chance.random() < (0.65 if speaks else 0.85):
        hiss = noise.standard_normal(len(samples)).astype(np.float32)
        if chance.random() < 0.4:
            hiss = np.convolve(hiss, np.ones(chance.randint(2, 12)) / 4)[: len(samples)]
        loudness = float(np.sqrt((samples**2).mean())) if speaks else 0.05
        samples = samples + hiss / (hiss.std() + 1e-9) * max(loudness, 1e-4) * 10 ** (-chance.uniform(8, 45) / 20)
    return (samples * 10 ** (-chance.uniform(0, 20) / 20)).astype(np.float32)
