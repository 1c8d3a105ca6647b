"""Several channels become one in which a voice is heard, whichever channels it is in."""

import numpy as np

# A second, and a fiftieth of one, of sound for a model.
_BLOCK = 16_000
_FADE = 320
_SILENT = 1e-9


class Mixer:
    """Mixes a stream, a second at a time: the mean where the channels agree, raised where most are silent, and the
    loudest channel where they cancel each other out.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._weights = self._mean = np.full(channels, 1 / channels, np.float32)

    def mix(self, frames: np.ndarray) -> np.ndarray:
        """Return one channel of frames by channels."""
        if self._channels == 1:
            return frames[:, 0]
        return np.concatenate(
            [np.zeros(0, np.float32), *(self._block(frames[at : at + _BLOCK]) for at in range(0, len(frames), _BLOCK))]
        )

    def _block(self, frames: np.ndarray) -> np.ndarray:
        frames = np.nan_to_num(frames, nan=0.0, posinf=0.0, neginf=0.0)
        before, self._weights = self._weights, self._chosen(frames)
        if before is self._mean and self._weights is self._mean:
            return frames.mean(axis=1, dtype=np.float32)
        mixed = frames @ self._weights
        fade = min(_FADE, len(frames))
        share = np.linspace(0, 1, fade, dtype=np.float32)
        mixed[:fade] = share * mixed[:fade] + (1 - share) * (frames[:fade] @ before)
        return mixed

    def _chosen(self, frames: np.ndarray) -> np.ndarray:
        energy = np.square(frames).mean(axis=0)
        loudest = float(energy.max())
        if loudest < _SILENT:
            return self._weights
        mixed = float(np.square(frames.mean(axis=1)).mean())
        if mixed >= 0.499 * loudest:
            return self._mean
        # Channels that have nothing to do with each other add up to this much.
        if mixed >= 0.5 * float(energy.sum()) / self._channels**2:
            return self._mean * np.float32((0.5 * loudest / mixed) ** 0.5)
        # The channel that was heard is kept while it is about as loud: a change is audible.
        heard = int(np.argmax(self._weights))
        kept = heard if self._weights[heard] > 0.99 and energy[heard] > 0.5 * loudest else int(np.argmax(energy))
        return np.eye(self._channels, dtype=np.float32)[kept]
