"""A row to train on, wherever it comes from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingRow:
    """A conversation with the places of the messages to learn, or a text that is learned whole.

    `messages` and `tools` are as chat templates take them. `origin` says where the row stands, for people.
    """

    origin: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    learned: tuple[int, ...] = ()
    tools: list[dict[str, Any]] = field(default_factory=list)
    text: str | None = None
    images: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """What makes two rows the same, wherever they come from."""
        ids = ("id", "tool_call_id")  # made up for each call
        plain = [{key: value for key, value in message.items() if key not in ids} for message in self.messages]
        for message in plain:
            if calls := message.get("tool_calls"):
                message["tool_calls"] = [call.get("function", call) for call in calls]
        whole = [plain, self.learned, self.tools, self.text, self.images]
        return json.dumps(whole, sort_keys=True, ensure_ascii=False)


def digest(rows: Sequence[TrainingRow]) -> str:
    """Return a fingerprint of all rows, in order."""
    found = hashlib.sha256()
    for row in rows:
        found.update(row.content.encode())
    return found.hexdigest()


def unique(rows: Sequence[TrainingRow]) -> list[TrainingRow]:
    """Return the rows without those that say the same as an earlier one: none may be trained on and held back at once."""
    return list({row.content: row for row in reversed(rows)}.values())[::-1]
