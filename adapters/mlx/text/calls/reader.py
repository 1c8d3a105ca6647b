"""Where calls stand in an answer that is being written: what may begin one, and whether it is one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.mlx.text.calls.families import Family
from adapters.mlx.text.calls.found import Body, FoundCall, NotACall, Unfinished, skip_space, starts
from adapters.mlx.text.calls.json_objects import JsonObjects
from adapters.mlx.text.calls.tagged import Tagged, read_rest

logger = logging.getLogger(__name__)

# How far a form that is known by its first characters is looked at again with every piece.
_SHORT = 256
_CLOSING = frozenset("}])>|]")


@dataclass(frozen=True)
class Opening:
    """What may begin a call: a mark anywhere, or what stands within marks, at the start of a line or of the answer."""

    word: str
    where: str = "anywhere"


@dataclass(frozen=True)
class Seen:
    """What so many characters are: calls, or text where there are none."""

    length: int
    calls: tuple[FoundCall, ...] = ()


class CallReader:
    """Reads the calls of one answer. `names` are the tools that were offered."""

    def __init__(self, family: Family, names: Sequence[str]) -> None:
        self._family, self._names = family, list(names)
        self.marks = [Opening(family.start)] if family.start else []
        self.openings = [*self.marks, *(Opening(head, "line") for head in family.heads)]
        self.openings += [Opening(word, "line") for word in family.bare]
        self.openings += [Opening(name, "answer") for name in names if family.parser is None]

    def worth_reading(self, text: str, opening: Opening, seen: int) -> bool:
        """Return whether what was added after `seen` characters may decide what the text is."""
        if seen < _SHORT:
            return True
        end = self._family.end
        if end and opening.where == "anywhere":
            return text.find(end, seen - len(end)) >= 0
        return any(char in _CLOSING for char in text[seen:])

    def see(self, text: str, opening: Opening, before: str, *, final: bool, cut: bool = False) -> list[Seen] | None:
        """Return what a text that begins with an opening is; None where that cannot be told yet.

        `before` is the answer before it. `final` says that nothing follows, `cut` that more would have followed.
        """
        try:
            if opening.where == "anywhere":
                return self._marked(text, final, cut)
            alone = opening.word in self._family.heads or not before.strip()
            return self._unmarked(text, alone, final, cut)
        except Unfinished:
            return self._given_up(text, opening, "the answer ends within it", final) if final else None
        except NotACall as error:
            return self._given_up(text, opening, str(error), final)

    def _given_up(self, text: str, opening: Opening, reason: str, final: bool) -> list[Seen] | None:
        """Return how much is text because it is no call.

        What it holds is not read: a value may imitate a call of its own.
        """
        if opening.where != "anywhere":
            return [Seen(len(text) if opening.word in self._family.heads else len(opening.word))]
        body = next((one for one in self._family.bodies if self._begins(one, text, len(opening.word))), None)
        end = text.find(self._family.end, len(opening.word)) if body and self._family.end else -1
        if body is not None and end < 0 and not final:
            return None
        logger.warning("family=<%s>, reason=<%s> | a tool call could not be read", self._family.name, reason)
        if isinstance(body, Tagged):
            return [Seen(len(text))]
        return [Seen(end + len(self._family.end) if end >= 0 else len(opening.word))]

    def _begins(self, body: object, text: str, at: int) -> bool:
        try:
            return body.begins(text, at)  # pyright: ignore[reportAttributeAccessIssue]
        except Unfinished:
            return False

    # --- with marks

    def _marked(self, text: str, final: bool, cut: bool) -> list[Seen]:
        family = self._family
        at = len(family.start)
        if family.parser is not None:
            return self._by_library(text, at)
        undecided, reason = False, "no form that is known"
        for body in family.bodies:
            try:
                if not body.begins(text, at):
                    continue
                if isinstance(body, Tagged):
                    return self._rest(body, text, family.start, final, cut)
                calls, end = body.read(text, at, final)
                return [Seen(self._closed(text, end, final, cut), tuple(calls))]
            except Unfinished:
                undecided = True
            except NotACall as error:
                reason = str(error)
        raise Unfinished if undecided else NotACall(reason)

    def _closed(self, text: str, at: int, final: bool, cut: bool) -> int:
        """Return where a block ends whose calls end at `at`.

        Raises NotACall where something else follows, and Unfinished.
        """
        end = self._family.end
        place = skip_space(text, at, ",;" if not end else "")
        if place >= len(text):
            if not final or (cut and end):
                raise Unfinished
            return at
        if not end:
            return at
        if starts(text, place, end):
            return place + len(end)
        if starts(text, place, self._family.start):
            return at  # the next call begins: its mark stands for the one that was left out
        raise NotACall("something follows the call before its end mark")

    def _rest(self, body: Tagged, text: str, start: str, final: bool, cut: bool) -> list[Seen]:
        """Return all that is left of the answer, where no call has an end that can be told before."""
        if not final:
            raise Unfinished
        end = self._family.end
        seen, at = list[Seen](), 0
        for begin, stop, calls in read_rest(body, text, start, end):
            if cut and end and not text.endswith(end, 0, stop):
                raise NotACall("it was cut")
            if begin > at:
                seen.append(Seen(begin - at))
            seen.append(Seen(stop - begin, tuple(calls)))
            at = stop
        return [*seen, Seen(len(text) - at)] if at < len(text) else seen

    def _by_library(self, text: str, at: int) -> list[Seen]:
        family = self._family
        end = text.find(family.end, at) if family.end else len(text)
        if end < 0 or not family.end:
            raise Unfinished
        try:
            parsed = family.parser(text[at:end], None)
            calls = [
                FoundCall(one["name"], one["arguments"]) for one in (parsed if isinstance(parsed, list) else [parsed])
            ]
        except Exception as error:  # parsers raise what they like
            raise NotACall(str(error)) from error
        stop = end + len(family.end)
        if not calls:
            raise NotACall("no call")
        written = [text[:stop], *[""] * (len(calls) - 1)]
        return [
            Seen(stop, tuple(FoundCall(c.name, c.arguments, written=w) for c, w in zip(calls, written, strict=True)))
        ]

    # --- without

    def _unmarked(self, text: str, alone: bool, final: bool, cut: bool) -> list[Seen]:
        """Calls without the mark that begins them: before the mark that ends them or, if they are `alone`, nothing."""
        undecided = False
        for body in self._family.bodies:
            try:
                if isinstance(body, JsonObjects) and not body.looks_like_a_call(text, self._names):
                    continue
                if not body.begins(text, 0):
                    continue
                if not isinstance(body, Tagged):
                    return [self._unmarked_block(body, text, alone, final, cut)]
                if body.foot or not final or body.tag((self._family.end,)).search(text):
                    return self._rest(body, text, self._family.start, final, cut)
            except Unfinished:
                undecided = True
            except NotACall:
                continue
        raise Unfinished if undecided else NotACall("no call")

    def _unmarked_block(self, body: Body, text: str, alone: bool, final: bool, cut: bool) -> Seen:
        calls, stop = body.read(text, 0, final)
        place = skip_space(text, stop, ",;")
        if place < len(text):
            if self._family.end and starts(text, place, self._family.end):
                return Seen(place + len(self._family.end), tuple(calls))
            raise NotACall("something follows the call")
        if not final:
            raise Unfinished
        if not alone or cut or any(call.name.strip() not in self._names for call in calls):
            raise NotACall("nothing says that it is a call")
        return Seen(stop, tuple(calls))


def at_its_place(opening: Opening, before: str) -> bool:
    """Return whether an opening may stand after this text."""
    if opening.where == "answer":
        return not before.strip()
    return opening.where == "anywhere" or not before.rpartition("\n")[2].strip()
