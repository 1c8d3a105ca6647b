"""The hum of the mains in a recording: below all voices, and loud enough to keep a small model from hearing them."""

import numpy as np

from adapters.media.sound import RATE

# Hertz. Below the first nothing of a voice is lost; in between sound is faded, so that nothing rings.
_NOTHING_BELOW, _ALL_FROM = 65.0, 80.0
# The part of a sound's power that lies below, from which on it is taken out. Without hum it is under a hundredth.
_MUCH = 0.05


def without_hum(samples: np.ndarray) -> np.ndarray:
    """Return samples at 16 kHz without what is below 65 Hz, where that is much; otherwise the samples as they are."""
    if len(samples) < RATE // 4:
        return samples
    spectrum = np.fft.rfft(samples)
    power, frequency = np.square(np.abs(spectrum)), np.fft.rfftfreq(len(samples), 1 / RATE)
    if power[frequency < _ALL_FROM].sum() <= _MUCH * power.sum():
        return samples
    kept = np.clip((frequency - _NOTHING_BELOW) / (_ALL_FROM - _NOTHING_BELOW), 0.0, 1.0)
    return np.fft.irfft(spectrum * kept, len(samples)).astype(np.float32)
