"""Calls whose arguments stand between tags as they are, with nothing escaped: Qwen3-Coder, GLM, MiniMax, LongCat and others.

A value may hold the tags of its own form, and no reader can know then for certain what the model meant. So a call is
read only where it can be read in one way: either no value holds a tag, up to the end of the answer, or the call has one
argument and there is one place where that can end.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from adapters.mlx.text.calls.found import FoundCall, NotACall, Read, Unfinished, skip_space, spread


@dataclass(frozen=True)
class Tagged:
    """`head` names the tool and `opening` the argument, each in a group; `foot` ends the tool where the form has such a
    tag.

    `tags` are all beginnings of tags that a value could be confused by. With `trimmed` a value stands on lines of its own.
    """

    head: str
    opening: str
    closing: str
    foot: str
    tags: tuple[str, ...]
    trimmed: bool = False
    cdata: bool = False

    @cached_property
    def _head(self) -> re.Pattern[str]:
        return re.compile(self.head)

    @cached_property
    def _opening(self) -> re.Pattern[str]:
        return re.compile(self.opening, re.DOTALL)

    def tag(self, extra: tuple[str, ...]) -> re.Pattern[str]:
        """Return what finds the next of its tags, or of these."""
        return re.compile("|".join(re.escape(one) for one in (*self.tags, *extra) if one))

    def begins(self, text: str, at: int) -> bool:
        at = skip_space(text, at)
        if self._head.match(text, at):
            return True
        left = text[at:]
        if not left or (len(left) < 200 and any(tag.startswith(left) or left.startswith(tag) for tag in self.tags)):
            raise Unfinished
        if not self.foot and re.fullmatch(r"[\w.-]+\s*(?:<[\w/]*)?", left):  # a name, of which nothing else tells
            raise Unfinished
        return False

    def read(self, text: str, at: int, final: bool) -> Read:
        del text, at, final
        raise Unfinished  # its end is told by what follows it: see `read_rest`

    def read_calls(self, text: str, at: int, tag: re.Pattern[str], end: str) -> Read:
        """Read as many calls as stand here, none of whose values holds a tag. Raises NotACall."""
        start, calls, ends = at, list[FoundCall](), list[int]()
        while head := self._head.match(text, skip_space(text, at)):
            arguments, at = self._arguments(text, head.end(), tag, end)
            calls.append(FoundCall(head[1].strip(), arguments, "texts"))
            ends.append(at)
            if not self.foot:
                break
        if not calls:
            raise NotACall("no call")
        return spread(calls, ends, text, start, at), at

    def _arguments(self, text: str, at: int, tag: re.Pattern[str], end: str) -> tuple[dict[str, str], int]:
        made: dict[str, str] = {}
        while True:
            at = skip_space(text, at)
            if self.foot and text.startswith(self.foot, at):
                return made, at + len(self.foot)
            if not self.foot and (at == len(text) or text.startswith(end, at)):
                return made, at
            opening = self._opening.match(text, at)
            if opening is None:
                raise NotACall("no argument where one should be")
            key, begin = opening[1].strip(), opening.end()
            closing = tag.search(text, begin)
            if key in made or closing is None or not text.startswith(self.closing, closing.start()):
                raise NotACall("a value that holds a tag, or an argument twice")
            made[key] = self._value(text[begin : closing.start()])
            at = closing.start() + len(self.closing)

    def read_only_call(self, text: str, at: int, end: str) -> Read:
        """Read one call of one argument whose value holds tags, and which can end in one place only.

        Raises NotACall.
        """
        head = self._head.match(text, skip_space(text, at))
        opening = head and self._opening.match(text, skip_space(text, head.end()))
        if not head or not opening or len(self._opening.findall(text)) > 1 or len(self._head.findall(text, at)) > 1:
            raise NotACall("several arguments, and a tag in one of them")
        after = r"\s*".join(re.escape(one) for one in (self.closing, self.foot, end) if one)
        places = [found.start() for found in re.finditer(f"(?={after})", text[opening.end() :])]
        if len(places) != 1:
            raise NotACall("a value that could end in several places")
        closing = opening.end() + places[0]
        last = re.compile(after).match(text, closing)
        assert last is not None
        stop = last.end() - len(end)
        call = FoundCall(head[1].strip(), {opening[1].strip(): self._value(text[opening.end() : closing])}, "texts")
        return spread([call], [stop], text, at, stop), stop

    def _value(self, text: str) -> str:
        if self.cdata and text.strip().startswith("<![CDATA[") and text.strip().endswith("]]>"):
            return text.strip()[9:-3]
        if self.trimmed:
            text = text[1:] if text.startswith("\n") else text
            text = text[:-1] if text.endswith("\n") else text
        return text


def read_rest(body: Tagged, text: str, start: str, end: str) -> list[tuple[int, int, list[FoundCall]]]:
    """Return all calls in what is left of an answer, which begins with one: where each block of them begins and ends.

    Raises NotACall where any part of it could be read in another way.
    """
    tag = body.tag((start, end))
    try:
        return _clean(body, text, start, end, tag)
    except NotACall:
        at = len(start) if start and text.startswith(start) else 0
        calls, stop = body.read_only_call(text, at, end if at else "")
        after = _after_end(text, stop, end)
        if tag.search(text, after) or (end and after == stop and text[after:].strip()):
            raise
        return [(0, after, calls)]


def _clean(
    body: Tagged, text: str, start: str, end: str, tag: re.Pattern[str]
) -> list[tuple[int, int, list[FoundCall]]]:
    blocks, at, begin = list[tuple[int, int, list[FoundCall]]](), 0, 0
    while True:
        marked = bool(start) and text.startswith(start, begin)
        if blocks and not marked and text[at:begin].strip():
            raise NotACall("a tag in what is no call")
        calls, after = body.read_calls(text, begin + len(start) if marked else begin, tag, end)
        at = _after_end(text, after, end)
        if end and at == after and text[after:].strip():
            raise NotACall("something follows the call before its end mark")
        blocks.append((begin, at, calls))
        following = tag.search(text, at)
        if following is None:
            return blocks
        begin = following.start()


def _after_end(text: str, at: int, end: str) -> int:
    place = skip_space(text, at)
    return place + len(end) if end and text.startswith(end, place) else at


def _named(word: str) -> str:
    """Return a pattern of a tag's attribute `name`, with or without quotes."""
    return rf"<{word}\s+name\s*=\s*[\"']?([^\"'>\n]+?)[\"']?\s*>"


QWEN_XML = Tagged(
    r"<function=\s*[\"']?([^>\n\"']+?)[\"']?\s*>", r"<parameter=\s*[\"']?([^>\n\"']+?)[\"']?\s*>", "</parameter>",
    "</function>", ("<function=", "<parameter=", "</parameter>", "</function>"), trimmed=True,
)  # fmt: skip
GLM = Tagged(
    r"([\w.-]+)\s*(?=<arg_key>|</tool_call>|$)", r"<arg_key>(.*?)</arg_key>\s*<arg_value>", "</arg_value>", "",
    ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
)  # fmt: skip
LONGCAT = Tagged(
    r"([\w.-]+)\s*(?=<longcat_arg_key>|</longcat_tool_call>|$)",
    r"<longcat_arg_key>(.*?)</longcat_arg_key>\s*<longcat_arg_value>", "</longcat_arg_value>", "",
    ("<longcat_arg_key>", "</longcat_arg_key>", "<longcat_arg_value>", "</longcat_arg_value>"),
)  # fmt: skip
MINIMAX = Tagged(
    _named("invoke"), _named("parameter"), "</parameter>", "</invoke>",
    ("<invoke ", "<parameter ", "</parameter>", "</invoke>"),
)  # fmt: skip
MUSE = Tagged(
    _named("atem:invoke"), r"<atem:parameter\s[^>]*?name=\"([^\"]+)\"[^>]*>", "</atem:parameter>", "</atem:invoke>",
    ("<atem:invoke ", "<atem:parameter ", "</atem:parameter>", "</atem:invoke>"),
)  # fmt: skip
MINICPM = Tagged(
    _named("function"), _named("param"), "</param>", "</function>",
    ("<function ", "<param ", "</param>", "</function>"), cdata=True,
)  # fmt: skip
DEEPSEEK_32 = Tagged(
    _named("｜DSML｜invoke"), r"<｜DSML｜parameter\s+name=\"([^\"]+)\"[^>]*>", "</｜DSML｜parameter>", "</｜DSML｜invoke>",
    ("<｜DSML｜invoke", "<｜DSML｜parameter", "</｜DSML｜parameter>", "</｜DSML｜invoke>"),
)  # fmt: skip
KIMI_3 = Tagged(
    r"<\|open\|>call\s(?:(?!<\|sep\|>).)*?tool=\"([^\"]+)\"(?:(?!<\|sep\|>).)*<\|sep\|>",
    r"<\|open\|>argument\s(?:(?!<\|sep\|>).)*?key=\"([^\"]+)\"(?:(?!<\|sep\|>).)*?<\|sep\|>",
    "<|close|>argument<|sep|>", "<|close|>call<|sep|>",
    ("<|open|>call", "<|open|>argument", "<|close|>argument", "<|close|>call"),
)  # fmt: skip
