"""Subtitles that a person can read, from segments or words with times.

The rules are those that subtitle guides share (Netflix's Timed Text Style Guide, the BBC's Subtitle Guidelines): at most
two lines of 42 characters, from 1 to 7 seconds, breaks at the ends of sentences and in pauses, never part of a word,
never over one another, never past the end.
"""

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

LINE = 42
LINES = 2
SHORTEST, LONGEST = 1.0, 7.0
# Seconds between two words from which on a cue ends.
PAUSE = 0.7
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "…")
_CLAUSE_ENDS = (",", ";", ":", "、", "，", "；", "：")
# Writing systems without spaces between words: their characters are words here.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x0E00, 0x0E7F))


@dataclass(frozen=True)
class TimedWord:
    """A word from `start` to `end`, in seconds; `joined` when no space stands before it."""

    text: str
    start: float
    end: float
    joined: bool = False


@dataclass(frozen=True)
class Cue:
    """One or two lines, shown from `start` to `end`, in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


def spread(text: str, start: float, end: float) -> list[TimedWord]:
    """Return the words of a segment whose words have no times of their own: each gets its share by its letters."""
    pieces = _pieces(text)
    total = sum(len(piece) + 1 for piece, _ in pieces) or 1
    words, at = list[TimedWord](), start
    for piece, joined in pieces:
        until = at + (end - start) * (len(piece) + 1) / total
        words.append(TimedWord(piece, at, until, joined))
        at = until
    return words


def make_cues(words: Sequence[TimedWord], duration: float) -> list[Cue]:
    """Return the cues of these words, in order, none past `duration`."""
    ordered = _in_order(words, duration)
    groups: list[list[TimedWord]] = []
    for word in ordered:
        if groups and _belongs(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    groups = _rebalanced(groups)
    return _timed([group for group in groups if group], duration)


def lines_of(words: Sequence[TimedWord]) -> tuple[str, ...]:
    """Return the words on as few lines as they need, two lines of about the same length."""
    text = _text(words)
    if len(text) <= LINE:
        return (text,)
    whole = textwrap.wrap(text, LINE, break_long_words=True, break_on_hyphens=False)
    if len(whole) != LINES:
        return tuple(whole)
    for width in range(max(LINE // 2, len(text) // 2), LINE + 1):
        even = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        if len(even) == LINES and all(len(line) <= LINE for line in even):
            return tuple(even)
    return tuple(whole)


def srt(cues: Sequence[Cue]) -> str:
    """SubRip."""
    blocks = [
        f"{i}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines)
        for i, cue in enumerate(cues, 1)
    ]
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def vtt(cues: Sequence[Cue]) -> str:
    """WebVTT (W3C), with the characters escaped that it gives a meaning."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n" + "\n".join(map(_escaped, cue.lines)) for cue in cues
    ]
    return "WEBVTT\n" + "".join(f"\n{block}\n" for block in blocks)


# --- grouping


def _pieces(text: str) -> list[tuple[str, bool]]:
    """Return words, and whether each is joined to the one before."""
    found: list[tuple[str, bool]] = []
    for word in text.split():
        begun = False
        for character in word:
            alone = any(low <= ord(character) <= high for low, high in _UNSPACED)
            marks = character in _SENTENCE_ENDS + _CLAUSE_ENDS
            if begun and (marks or not (alone or _is_alone(found[-1][0]))):
                found[-1] = (found[-1][0] + character, found[-1][1])
            else:
                found.append((character, begun))
            begun = True
    return found


def _is_alone(piece: str) -> bool:
    return any(low <= ord(piece[0]) <= high for low, high in _UNSPACED)


def _in_order(words: Sequence[TimedWord], duration: float) -> list[TimedWord]:
    """Return the words with times that never go back and never pass the end."""
    ordered, at = list[TimedWord](), 0.0
    for word in words:
        if not word.text.strip():
            continue
        start = min(max(word.start, at), duration)
        end = min(max(word.end, start), duration, start + LONGEST)
        ordered.append(replace(word, text=word.text.strip(), start=start, end=end))
        at = start
    return ordered


def _belongs(group: list[TimedWord], word: TimedWord) -> bool:
    """Return whether a word may go into the cue that is being filled."""
    last = group[-1]
    if word.start - last.end >= PAUSE or word.end - group[0].start > LONGEST:
        return False
    if len(lines_of([*group, word])) > LINES:
        return False
    long_enough = last.end - group[0].start >= SHORTEST and len(_text(group)) > LINE // 3
    return not (last.text.endswith(_SENTENCE_ENDS) and long_enough)


def _rebalanced(groups: list[list[TimedWord]]) -> list[list[TimedWord]]:
    """A word or two that a full cue left over are given company from it, at a clause's end where there is one."""
    for before, after in itertools.pairwise(groups):
        full = not before[-1].text.endswith(_SENTENCE_ENDS) and after[0].start - before[-1].end < PAUSE
        if not full or len(after) > 2 or len(before) < 6:
            continue
        cut = len(before) - 2
        clause = [i + 1 for i, word in enumerate(before[:-1]) if word.text.endswith(_CLAUSE_ENDS)]
        if clause and clause[-1] >= len(before) // 2:
            cut = clause[-1]
        moved = before[cut:]
        if len(lines_of([*moved, *after])) <= LINES and after[-1].end - moved[0].start <= LONGEST:
            after[:0] = moved
            del before[cut:]
    return groups


def _timed(groups: list[list[TimedWord]], duration: float) -> list[Cue]:
    """Cues with times of at least SHORTEST where there is room, joined to a neighbour where there is none."""
    cues: list[Cue] = []
    merged = _with_room(groups, duration)
    for i, group in enumerate(merged):
        following = merged[i + 1][0].start if i + 1 < len(merged) else duration
        before = cues[-1].end if cues else 0.0
        start, end = max(group[0].start, before), group[-1].end
        if end - start < SHORTEST:
            end = min(start + SHORTEST, following, duration)
        if end - start < SHORTEST:
            start = max(before, end - SHORTEST)
        if end - start < SHORTEST and cues:  # the one before gives of its time, down to what it needs itself
            start = max(end - SHORTEST, min(before, cues[-1].start + SHORTEST))
            cues[-1] = replace(cues[-1], end=min(before, round(start, 3)))
        start, end = round(start, 3), round(min(end, following, duration, start + LONGEST), 3)
        if end > start:
            cues.append(Cue(start, end, lines_of(group)))
        elif cues:  # no time is left for it: it is shown with the one before
            cues[-1] = replace(cues[-1], lines=(*cues[-1].lines, *lines_of(group)))
    return cues


def _with_room(groups: list[list[TimedWord]], duration: float) -> list[list[TimedWord]]:
    """Cues that would be shown for too short a time, joined to the one after or before where that fits."""
    joined: list[list[TimedWord]] = []
    for i, group in enumerate(groups):
        following = groups[i + 1][0].start if i + 1 < len(groups) else duration
        room = following - group[0].start
        if joined and (room < SHORTEST or _is_short(joined[-1], group[0].start)) and _fit(joined[-1], group):
            joined[-1] = joined[-1] + group
        else:
            joined.append(list(group))
    return joined


def _is_short(group: list[TimedWord], following: float) -> bool:
    return following - group[0].start < SHORTEST


def _fit(before: list[TimedWord], after: list[TimedWord]) -> bool:
    return len(lines_of([*before, *after])) <= LINES and after[-1].end - before[0].start <= LONGEST


def _text(words: Sequence[TimedWord]) -> str:
    return "".join(("" if word.joined or i == 0 else " ") + word.text for i, word in enumerate(words))


def _clock(seconds: float, point: str) -> str:
    thousandths = round(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{thousandths // 1000:02d}{point}{thousandths % 1000:03d}"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
