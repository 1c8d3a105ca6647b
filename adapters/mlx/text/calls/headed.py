"""Calls with a head that names the tool and JSON that holds the arguments: Mistral, Kimi K2, DeepSeek."""

from dataclasses import dataclass
from typing import Any

import regex

from adapters.mlx.text.calls.found import FoundCall, NotACall, Read, Unfinished, skip_space, spread
from adapters.mlx.text.calls.strict_json import read_value


@dataclass(frozen=True)
class Headed:
    """`head` names the tool in its group `name`; `foot` is what stands after the arguments."""

    head: str
    foot: str = ""

    def begins(self, text: str, at: int) -> bool:
        return self._matched(self.head, text, skip_space(text, at)) is not None

    def read(self, text: str, at: int, final: bool) -> Read:
        start, calls, ends = at, list[FoundCall](), list[int]()
        while True:
            try:
                head = self._matched(self.head, text, skip_space(text, at))
            except Unfinished:
                if not calls or not final:
                    raise
                head = None
            if head is None:
                break
            value, at = read_value(text, skip_space(text, head.end()))
            if not isinstance(value, dict):
                raise NotACall("arguments that are no object")
            if self.foot:
                foot = self._matched(self.foot, text, at)
                if foot is None:
                    raise NotACall("something follows the arguments")
                at = foot.end()
            calls.append(FoundCall(head["name"], value))
            ends.append(at)
        if not calls:
            raise NotACall("no call")
        return spread(calls, ends, text, start, at), at

    def _matched(self, pattern: str, text: str, at: int) -> Any:
        found = regex.compile(pattern).match(text, at, partial=True)
        if found is not None and found.partial:
            raise Unfinished
        return found


_NAME = r"(?P<name>[\w.-]{1,200})"
MISTRAL = Headed(rf"(?:\[TOOL_CALLS\]\s*)?{_NAME}\s*(?:\[CALL_ID\]\s*[\w-]+\s*)?(?:\[ARGS\]\s*)?(?=\{{)")
KIMI = Headed(
    rf"<\|tool_call_begin\|>\s*(?:functions\.)?{_NAME}(?::\d+)?\s*<\|tool_call_argument_begin\|>",
    r"\s*<\|tool_call_end\|>",
)
DEEPSEEK_3 = Headed(
    rf"<｜tool▁call▁begin｜>\s*function\s*<｜tool▁sep｜>\s*{_NAME}\s*```(?:json)?", r"\s*```\s*<｜tool▁call▁end｜>"
)
DEEPSEEK_31 = Headed(rf"<｜tool▁call▁begin｜>\s*{_NAME}\s*<｜tool▁sep｜>", r"\s*<｜tool▁call▁end｜>")
