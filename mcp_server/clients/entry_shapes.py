"""The shapes in which clients write down what they start: a command with arguments, a list, or something nested."""

from dataclasses import dataclass
from typing import Any, Literal

Shape = Literal["plain", "list", "transport", "goose"]
_ENVIRONMENTS = ("env", "environment", "envs")


@dataclass(frozen=True)
class Start:
    """What a client starts: the words of the command, and variables beside its own."""

    words: tuple[str, ...]
    env: dict[str, str]


def shaped(shape: Shape, start: Start) -> dict[str, Any]:
    """Return the part of an entry that says what to start."""
    first, *rest = start.words
    match shape:
        case "list":
            return {"command": [first, *rest]} | ({"environment": start.env} if start.env else {})
        case "goose":
            return {"cmd": first, "args": rest} | ({"envs": start.env} if start.env else {})
        case "transport":
            return {"transport": {"type": "stdio"} | shaped("plain", start)}
        case "plain":
            return {"command": first, "args": rest} | ({"env": start.env} if start.env else {})


def start_of(entry: Any) -> Start | None:
    """Return what an entry of any shape starts; None for one that starts nothing, such as an address."""
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("transport"), dict):
        return start_of(entry["transport"])
    command, arguments = entry.get("command", entry.get("cmd")), entry.get("args")
    words = command if isinstance(command, list) else [command, *(arguments if isinstance(arguments, list) else [])]
    if not words or not isinstance(words[0], str):
        return None
    env = next((entry[name] for name in _ENVIRONMENTS if isinstance(entry.get(name), dict)), {})
    return Start(tuple(str(word) for word in words), {str(name): str(value) for name, value in env.items()})


def merged(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """Return the new entry, with what the old one had besides: what a person switched off stays off."""
    if not isinstance(old, dict):
        return new
    both = old | new
    for name in (*_ENVIRONMENTS, "transport"):
        if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
            both[name] = merged(old[name], new[name])
    # Which tools a client offers is its person's choice.
    return both | ({"tools": old["tools"]} if "tools" in old else {})
