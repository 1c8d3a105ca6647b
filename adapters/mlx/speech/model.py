"""One loaded speech model of any family of mlx_audio, listening to a window of sound at a time.

Everything here runs on the MLX thread. A window is transcribed by the library's own `generate`, in steps: the model's
parts hand control back each time they are called, so that others are answered in between.
"""

import difflib
import inspect
import math
from collections.abc import Generator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.media.hum import without_hum
from adapters.media.sound import RATE
from adapters.media.windows import LONGEST, Window
from adapters.mlx.speech.heard import Heard
from adapters.mlx.thread.pausing import in_steps, make_pausing, pausing_layers
from adapters.models.card import read_config
from adapters.protocol.transcription import Segment, Transcribe, Word

# What families call the text that says which words to expect, and the language.
_HINTS = ("initial_prompt", "prompt", "system_prompt", "context")
_LANGUAGES = ("language", "source_language", "source_lang")
# A model that is given the silence after the last word makes one up: no word begins this late, in seconds.
_LEAST_WORD = 0.12
_LAST_BREATH = 0.1
_LONGEST_KEY = "longest_window_s"
# Sound shorter than this is given silence after it: some families fail on less.
_LEAST_SECONDS = 0.5


def longest_window(folder: Path) -> float:
    """Return how many seconds the model of a folder hears well at once: a small one says so in its configuration."""
    said = read_config(folder).get(_LONGEST_KEY)
    return float(said) if isinstance(said, int | float) and 1 <= said <= LONGEST else LONGEST


class SpeechModel:
    """Takes the place of a runner where models are kept: it has no batch, its windows are driven one by one."""

    def __init__(self, model: Any, longest: float = LONGEST) -> None:
        """`longest` is how many seconds it hears well at once."""
        self._model: Any = model
        self.longest = min(longest, LONGEST)
        self._takes = set(inspect.signature(model.generate).parameters)
        for name, child in model.children().items():
            if isinstance(child, nn.Module):
                make_pausing(child)
                if "encoder" in name:
                    pausing_layers(child)
        if self._is_whisper():
            from adapters.mlx.speech.whisper import skip_trailing_silence

            skip_trailing_silence(model)

    busy = False
    row_count = 0
    reserved_bytes = 0

    def step(self) -> None:
        """Nothing is left to do here between windows."""

    def close(self) -> None:
        """Drop the model."""
        self._model = None

    def options(self, work: Transcribe) -> dict[str, Any]:
        """Return the arguments of the model's own signature for this work. Raises when it cannot do what was asked."""
        options: dict[str, Any] = {}
        if work.language is not None:
            options[self._argument(_LANGUAGES, "is told no language: leave `language` out")] = self._language(
                work.language
            )
        if work.task == "translate":
            if "task" not in self._takes or not self._multilingual():
                raise UnsupportedModel(
                    "this model does not translate; leave `task` out, or choose a multilingual Whisper model"
                )
            options["task"] = "translate"
        if work.prompt is not None:
            options[self._argument(_HINTS, "takes no prompt: leave `prompt` out")] = work.prompt
        if work.timestamps == "word" and "word_timestamps" in self._takes:
            options["word_timestamps"] = True
        if "condition_on_previous_text" in self._takes:
            options["condition_on_previous_text"] = False
        return options

    def listen(self, window: Window, options: dict[str, Any]) -> Generator[None, None, Heard]:
        """Write down a window; yields in between."""
        samples = without_hum(window.samples)
        if len(samples) < _LEAST_SECONDS * RATE:
            samples = np.pad(samples, (0, int(_LEAST_SECONDS * RATE) - len(samples)))
        given = mx.array(samples)
        length, last_sound = window.seconds, _last_sound(window)
        left = 0.0

        def generate() -> Any:
            if not self._is_whisper():
                return self._model.generate(given, **options)
            from adapters.mlx.speech.whisper import HEARING, Hearing

            nonlocal left
            hearing = Hearing(length, length - last_sound, may_leave=not window.last)
            HEARING.set(hearing)
            result = self._model.generate(given, **options)
            left = hearing.left
            return result

        result = yield from in_steps(generate)
        heard = [one for one in _segments(result, length) if one.text and one.start < last_sound - _LEAST_WORD]
        segments = [_in_file(one, window) for one in _in_order(heard)]
        language = getattr(result, "language", None)
        until = window.at(length - left) if left else None
        return Heard(segments, language if isinstance(language, str) else None, until)

    def language_option(self, language: str) -> dict[str, Any]:
        """Return the argument that keeps to a language once it was heard, so that no window is taken for another one."""
        return next(({name: language} for name in _LANGUAGES if name in self._takes and self._is_whisper()), {})

    def _argument(self, names: tuple[str, ...], refusal: str) -> str:
        for name in names:
            if name in self._takes:
                return name
        raise UnsupportedModel(f"this model {refusal}, or choose a Whisper model")

    def _language(self, asked: str) -> str:
        """Return the language as the model knows it.

        Raises InvalidRequest with the nearest ones for one that it does not.
        """
        if not self._is_whisper():
            return asked
        from mlx_audio.stt.models.whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

        wanted = asked.strip().lower()
        code = wanted if wanted in LANGUAGES else TO_LANGUAGE_CODE.get(wanted, wanted.split("-")[0].split("_")[0])
        known = dict(LANGUAGES) if self._multilingual() else {"en": "english"}
        if code in known:
            return code
        close = difflib.get_close_matches(wanted, [*known, *known.values()], n=3, cutoff=0.6)
        hint = f"did you mean {', '.join(close)}?" if close else f"it knows {_some(list(known))}."
        raise InvalidRequest(
            f"language {asked!r} is not one of this model's: {hint} Leave it out to have it recognised"
        )

    def _multilingual(self) -> bool:
        return bool(getattr(self._model, "is_multilingual", False))

    def _is_whisper(self) -> bool:
        return "whisper" in type(self._model).__module__


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _segments(result: Any, length: float) -> list[Segment]:
    """Return the segments of a result of any family, with times in a window of `length` seconds.

    One that gives no times has the window's.
    """
    found = getattr(result, "segments", None) or getattr(result, "sentences", None) or []
    segments = [_segment(_as_dict(one), length) for one in found]
    if not segments and (text := str(getattr(result, "text", "") or "").strip()):
        segments = [Segment(text=text, start=0.0, end=round(length, 3))]
    return segments


def _last_sound(window: Window) -> float:
    """Return when the last word of a window ends, in its seconds. The detector may hear a little less than all of it."""
    return min(window.place(window.speech[-1][1]) + _LAST_BREATH, window.seconds) if window.speech else window.seconds


def _in_file(segment: Segment, window: Window) -> Segment:
    """Return the segment of a window with its times in the file."""

    def moved(one: Any) -> dict[str, float]:
        start = window.at(one.start)
        return {"start": round(start, 3), "end": round(max(start, window.at(one.end, ending=True)), 3)}

    words = [word.model_copy(update=moved(word)) for word in segment.words]
    return segment.model_copy(update={**moved(segment), "words": words})


def _in_order(segments: list[Segment]) -> list[Segment]:
    """Return the segments with times that never go back: some models take the last for the first."""
    ordered: list[Segment] = []
    for segment in segments:
        earliest = ordered[-1].end if ordered and segment.start < ordered[-1].start else 0.0
        if earliest:
            words = [
                word.model_copy(update={"start": max(word.start, earliest), "end": max(word.end, earliest)})
                for word in segment.words
            ]
            segment = segment.model_copy(update={"start": earliest, "end": max(segment.end, earliest), "words": words})
        ordered.append(segment)
    return ordered


def _segment(one: dict[str, Any], length: float) -> Segment:
    def at(value: Any) -> float:
        seconds = float(value) if value is not None else 0.0
        return round(min(max(seconds if math.isfinite(seconds) else 0.0, 0.0), length), 3)

    words = [
        Word(text=str(word.get("word", word.get("text", ""))), start=at(word.get("start")), end=at(word.get("end")))
        for word in map(_as_dict, one.get("words") or [])
    ]
    end = one.get("end")
    return Segment(
        text=str(one.get("text", "")).strip(),
        start=at(one.get("start", 0.0)),
        end=at(end) if end is not None else round(length, 3),
        words=[word for word in words if word.text],
    )


def _as_dict(one: Any) -> dict[str, Any]:
    """Return a segment as Whisper gives it, or a sentence as Parakeet does: the tokens of that make up its words."""
    if isinstance(one, dict):
        return one
    fields = {name: getattr(one, name, None) for name in ("text", "start", "end")}
    if tokens := getattr(one, "tokens", None):
        fields["words"] = _words_of_tokens(tokens)
    return fields


def _words_of_tokens(tokens: list[Any]) -> list[dict[str, Any]]:
    """Return words from sub-word tokens with times: a word begins where a token begins with a space."""
    words: list[dict[str, Any]] = []
    for token in tokens:
        if not hasattr(token, "start"):
            return []
        if words and not str(token.text).startswith((" ", "▁")):
            words[-1]["text"] += token.text
            words[-1]["end"] = token.end
        else:
            words.append({"text": str(token.text).replace("▁", " "), "start": token.start, "end": token.end})
    return words
