"""The shim's options, and the line in which it tells them to the host. Standard library only, and little of that."""

import os

from adapters import __version__
from adapters.options import OPTIONS


class OptionError(ValueError):
    """An option that is not known, or has no value."""


def read_options(arguments: list[str]) -> dict[str, object]:
    """Return the options on the command line, over those in the environment (MCP_SERVER_MLX_<NAME>).

    Raises OptionError for an option that is not known, and for a value that is missing or too many.
    """
    options: dict[str, object] = {}
    for name in OPTIONS:
        if value := os.environ.get(f"MCP_SERVER_MLX_{name.upper()}"):
            options[name] = value
    folders: list[str] = []
    rest = list(arguments)
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        option = OPTIONS.get(word.removeprefix("--").replace("-", "_"))
        if option is None or not word.startswith("--"):
            known = " ".join(option.flag for option in OPTIONS.values())
            raise OptionError(
                f"unknown option {word!r}; options are {known}; `mcp-server-mlx --help` lists the commands"
            )
        if option.kind == "switch":
            if equals:
                raise OptionError(
                    f"{word} takes no value, and {value!r} was given; leave the option out to switch it off"
                )
            options[option.name] = True
            continue
        if not equals and rest:
            value = rest.pop(0)
        if not value:
            raise OptionError(f"{word} needs a value")
        if option.kind in ("folders", "folder"):
            value = os.path.abspath(os.path.expanduser(value))
        if option.kind == "folders":
            folders.append(value)
            options[option.name] = folders
        else:
            options[option.name] = value
    return options


def hello(options: dict[str, object]) -> bytes:
    """Return the first line to the host."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = "/"
    told = {"version": __version__, "cwd": folder, "options": options}
    return as_json(told).encode() + b"\n"


def as_json(value: object) -> str:
    """JSON of strings, switches, lists and objects.

    The `json` module costs a third of a start: it waits until needed.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(key)}:{as_json(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if value is True:
        return "true"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'
