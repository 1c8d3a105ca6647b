"""What Whisper is spared: passes over the silence at the end of a window, which take as long as those over speech.

mlx_audio's `generate` reads a window until its end, also where only silence is left of it. Each such pass encodes thirty
seconds, and now and then a word is made up.
"""

from contextvars import ContextVar
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_audio.stt.models.whisper.decoding import DecodingOptions, DecodingResult

FRAME = 0.01  # seconds
# Seconds of silence at the end of the window that is being heard. Each function that runs in steps has its own.
QUIET: ContextVar[float] = ContextVar("quiet", default=0.0)
# No word is shorter, in seconds.
LEAST_WORD = 0.12


def spare_silence(model: Any) -> None:
    """Have this model decode nothing where only the silence at a window's end is left."""
    decode = model.decode

    def spared(mel: Any, options: DecodingOptions, **more: Any) -> Any:
        sounding = _content(mel) - QUIET.get()
        if sounding <= LEAST_WORD:
            # What `generate` takes for silence, and goes on after.
            return DecodingResult(
                audio_features=mx.zeros(0), language=options.language or "en", tokens=[], avg_logprob=-2.0, no_speech_prob=1.0,
                temperature=0.0, compression_ratio=0.0,
            )  # fmt: skip
        return decode(mel, options, **more)

    model.decode = spared


def _content(mel: Any) -> float:
    """Seconds of the features [frames, mels] that are no padding: that is exactly zero, and silence is not."""
    filled = np.flatnonzero(np.array(mel).any(axis=-1))
    return (int(filled[-1]) + 1) * FRAME if len(filled) else 0.0
