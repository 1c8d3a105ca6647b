"""How tests of calls read what a model wrote: through the whole of an answer, in pieces, and through the gate."""

from collections.abc import Sequence
from typing import Any

from adapters.mlx.text.answer import Answer, AnswerText, Markers
from adapters.mlx.text.calls.families import FAMILIES, Family
from adapters.mlx.text.calls.gate import Gate
from adapters.mlx.text.calls.reader import CallReader
from adapters.mlx.text.channels import ChannelText
from adapters.protocol.generation import MadeCall

THINKS = Markers("<think>", "</think>")


def tool(name: str, required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    """A tool as chat templates take it."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": schema}}


WEATHER = tool("get_weather", ["city"], city={"type": "string"}, days={"type": "integer"})
DELETE = tool(
    "delete_files", path={"type": "string", "default": "/"}, older_than_days={"type": "integer", "default": 0}
)
NOW = tool("get_time")
TOOLS = [WEATHER, DELETE, NOW]


class Answered:
    """An answer that is over: its text and reasoning, and its calls as an agent gets them."""

    def __init__(self, answer: Answer, tools: list[dict[str, Any]]) -> None:
        gate = Gate(tools)
        self.text, self.reasoning = answer.text, answer.reasoning
        self.made: list[MadeCall] = [
            gate.passed(one, written.after) for written in answer.closed_calls() for one in written.calls
        ]

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one.name, one.arguments) for one in self.made if one.name is not None]

    @property
    def whole(self) -> str:
        """All that was written apart from reasoning, as it was written, in its order."""
        text, at = "", 0
        for one in self.made:
            text += self.text[at : one.after] + one.written
            at = one.after
        return text + self.text[at:]

    @property
    def shown(self) -> str:
        """The text that a reader sees: all that is no call."""
        text, at = "", 0
        for one in self.made:
            text += self.text[at : one.after] + (one.written if one.name is None else "")
            at = one.after
        return text + self.text[at:]


def fed(answer: Answer, pieces: Sequence[str], cut: bool = False) -> Answer:
    for piece in pieces:
        answer.add(piece)
    answer.finish(cut=cut)
    return answer


def read(
    family: str | Family,
    *pieces: str,
    tools: list[dict[str, Any]] = TOOLS,
    in_reasoning: bool = False,
    cut: bool = False,
) -> Answered:
    """What comes of these pieces from a model of this family."""
    if family == "harmony":
        return Answered(fed(ChannelText(tools=True), pieces, cut), tools)
    known = FAMILIES[family] if isinstance(family, str) else family
    answer = AnswerText(THINKS, calls=CallReader(known, Gate(tools).names), in_reasoning=in_reasoning)
    return Answered(fed(answer, pieces, cut), tools)
