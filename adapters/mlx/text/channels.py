"""The answers of gpt-oss, which come in channels: analysis is reasoning, final is text, a message to a function is a call.

Each message has a head and a body: `<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>`.
The form is OpenAI's harmony response format.
"""

import logging
import re
from collections.abc import Sequence

from adapters.mlx.text.answer import Answer, WrittenCall, first, possible_start
from adapters.mlx.text.calls.found import FoundCall, NotACall
from adapters.mlx.text.calls.strict_json import whole_value

logger = logging.getLogger(__name__)

_HEADS = ("<|start|>", "<|channel|>")
_MESSAGE = "<|message|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_RECIPIENT = re.compile(r"\bto=\s*(?:functions\.)?([\w.-]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")


class ChannelText(Answer):
    """An answer in channels. Text without any is the answer, as where a schema has left no place for them."""

    def __init__(self, *, tools: bool = False, stop: Sequence[str] = ()) -> None:
        super().__init__(stop)
        self._tools = tools
        self._mode = "text"  # what the body that is being written is: text, reasoning, head, or call
        self._head = ""

    def _release(self, final: bool, cut: bool) -> tuple[str, str]:
        text, reasoning = len(self.text), len(self.reasoning)
        while self.stopped_by is None and self._step(final, cut):
            pass
        return self.text[text:], self.reasoning[reasoning:]

    def _step(self, final: bool, cut: bool) -> bool:
        """Go on to the next mark; False where there is none yet."""
        if self._mode == "call":
            return self._call(final, cut)
        words = [_MESSAGE] if self._mode == "head" else [*_HEADS, *_ENDS, *(self._stop if self._mode == "text" else [])]
        at, found = first(self._held, words)
        if self._mode == "head":
            return self._read_head(at, found, final)
        if found is None:
            at = len(self._held) - (0 if final else possible_start(self._held, words))
        piece, self._held = self._held[:at], self._held[at + len(found or "") :]
        if self._mode == "reasoning":
            self.reasoning += piece
        else:
            self.text += piece
        if found in self._stop:
            self.stopped_by, self._held = found, ""
        elif found in _HEADS:
            self._mode, self._held = "head", f"{found}{self._held}"
        elif found is not None:
            self._mode = "text"
        return found is not None

    def _read_head(self, at: int, found: str | None, final: bool) -> bool:
        if found is None:
            if final:  # cut within a head: nothing was said yet
                self._held = ""
            return False
        self._head, self._held = self._held[: at + len(found)], self._held[at + len(found) :]
        channel = _CHANNEL.search(self._head)
        if _RECIPIENT.search(self._head):
            self._mode = "call"
        elif channel and channel[1] == "analysis":
            self._mode = "reasoning"
            self.reasoning += "\n" if self.reasoning else ""
        else:
            self._mode = "text"
            self.text += "\n\n" if self.text.strip() else ""
        return True

    def _call(self, final: bool, cut: bool) -> bool:
        """Read the body of a call: it ends at the first mark that does not stand within its JSON."""
        at = -1
        while True:
            places = [(place, mark) for mark in (*_ENDS, *_HEADS) if (place := self._held.find(mark, at + 1)) >= 0]
            if not places:
                break
            at, mark = min(places)
            value = _object(self._held[:at])
            if value is not None:
                self._made(value, at + (len(mark) if mark in _ENDS else 0))
                return True
        if not final:
            return False
        value = None if cut else _object(self._held)
        if value is not None:
            self._made(value, len(self._held))
            return True
        logger.warning("family=<gpt-oss> | a tool call could not be read")
        self.text += self._up_to_stop(f"{self._head}{self._held}")
        self._held, self._mode = "", "text"
        return False

    def _made(self, arguments: dict[str, object], length: int) -> None:
        written, self._held = f"{self._head}{self._held[:length]}", self._held[length:]
        self._mode = "text"
        recipient = _RECIPIENT.search(self._head)
        assert recipient is not None
        if self._tools:
            call = FoundCall(recipient[1], arguments, written=written)
            self.tool_calls.append(WrittenCall(len(self.text), written, (call,)))
        else:
            self.text += self._up_to_stop(written)


def _object(text: str) -> dict[str, object] | None:
    try:
        value = whole_value(text)
    except NotACall:
        return None
    return value if isinstance(value, dict) else None
