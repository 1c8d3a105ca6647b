"""What Whisper is spared: passes over what is left of a window when its model has stopped before the end.

mlx_audio's `generate` reads a window until its end, each pass encoding thirty seconds. Where only silence is left, that
is for nothing, and now and then a word is made up. Where speech is left, it is better heard with what follows it.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_audio.stt.models.whisper.decoding import DecodingOptions, DecodingResult

FRAME = 0.01  # seconds
# No word is shorter, in seconds.
LEAST_WORD = 0.12


@dataclass
class Hearing:
    """The window that is being heard, in seconds: its length, the silence at its end, and what was left unheard of it.

    `may_leave` says that what follows comes with another window, so that less than half of this one may be left to it.
    """

    length: float = 30.0
    quiet: float = 0.0
    may_leave: bool = False
    left: float = 0.0


# Each function that runs in steps has its own.
HEARING: ContextVar[Hearing] = ContextVar("hearing")


def skip_trailing_silence(model: Any) -> None:
    """Have this model decode nothing where only silence is left of a window, or speech that it may leave."""
    decode = model.decode

    def spared(mel: Any, options: DecodingOptions, **more: Any) -> Any:
        hearing = HEARING.get(None) or Hearing()
        content = _content(mel)
        silent = content - hearing.quiet <= LEAST_WORD
        if not silent and hearing.may_leave and content <= hearing.length / 2:
            hearing.left = content
        if silent or hearing.left:
            # What `generate` takes for silence, and goes on after.
            return DecodingResult(
                audio_features=mx.zeros(0), language=options.language or "en", tokens=[], avg_logprob=-2.0, no_speech_prob=1.0,
                temperature=0.0, compression_ratio=0.0,
            )  # fmt: skip
        return decode(mel, options, **more)

    model.decode = spared


def _content(mel: Any) -> float:
    """Return seconds of the features [frames, mels] that are no padding: that is exactly zero, and silence is not."""
    filled = np.flatnonzero(np.array(mel).any(axis=-1))
    return (int(filled[-1]) + 1) * FRAME if len(filled) else 0.0
