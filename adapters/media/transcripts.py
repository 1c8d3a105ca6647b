"""A transcript in the format that was asked for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.media.cues import Cue, TimedWord, make_cues, spread, srt, vtt
from adapters.protocol.transcription import Segment, TranscriptFormat


def plain_text(segments: Sequence[Segment]) -> str:
    """Return what was said, one segment after another."""
    return " ".join(segment.text for segment in segments)


def render(
    segments: Sequence[Segment],
    wanted: TranscriptFormat,
    duration: float,
    language: str | None,
    heard: Mapping[str, Any] | None = None,
) -> str:
    """Return the transcript of a sound of `duration` seconds. `heard` is what JSON says about how much of it that is."""
    if wanted == "srt":
        return srt(cues_of(segments, duration))
    if wanted == "vtt":
        return vtt(cues_of(segments, duration))
    if wanted == "json":
        content = {
            "language": language,
            "duration_s": duration,
            **(heard or {}),
            "text": plain_text(segments),
            "segments": [segment.model_dump(exclude_defaults=True) for segment in segments],
        }
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    return plain_text(segments)


def cues_of(segments: Sequence[Segment], duration: float) -> list[Cue]:
    """Subtitles: by the words' own times where they have some."""
    words: list[TimedWord] = []
    for segment in segments:
        if segment.words:
            words += [
                TimedWord(
                    word.text.strip(), word.start, word.end, joined=i > 0 and not word.text.startswith((" ", "\u3000"))
                )
                for i, word in enumerate(segment.words)
            ]
        else:
            words += spread(segment.text, segment.start, segment.end)
    return make_cues(words, duration)
