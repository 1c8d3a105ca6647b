"""The shim's options, and the line in which it tells them to the host. Standard library only, and little of that."""

import os

from adapters import __version__

# Options with a value, and those without. Each is also an environment variable MCP_SERVER_MLX_<NAME>.
_VALUED = ("allow", "output", "reply_within", "tools", "model", "vision_model", "speech_model")
_SWITCHES = ("read_only", "offline", "standalone")


class OptionError(ValueError):
    """An option that is not known, or has no value."""


def read_options(arguments: list[str]) -> dict[str, object]:
    """The options on the command line, over those in the environment. Raises OptionError."""
    options: dict[str, object] = {}
    for name in (*_VALUED, *_SWITCHES):
        if value := os.environ.get(f"MCP_SERVER_MLX_{name.upper()}"):
            options[name] = value
    folders: list[str] = []
    rest = list(arguments)
    while rest:
        word, _, value = rest.pop(0).partition("=")
        name = word.removeprefix("--").replace("-", "_")
        if not word.startswith("--") or name not in (*_VALUED, *_SWITCHES):
            known = " ".join("--" + name.replace("_", "-") for name in (*_VALUED, *_SWITCHES))
            raise OptionError(
                f"unknown option {word!r}; options are {known}; `mcp-server-mlx --help` lists the commands"
            )
        if name in _SWITCHES:
            options[name] = True
            continue
        if not value:
            if not rest:
                raise OptionError(f"{word} needs a value")
            value = rest.pop(0)
        if name == "allow":
            folders.append(os.path.abspath(os.path.expanduser(value)))
            options["allow"] = folders
        else:
            options[name] = os.path.abspath(os.path.expanduser(value)) if name == "output" else value
    return options


def hello(options: dict[str, object]) -> bytes:
    """The first line to the host."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = "/"
    told = {"version": __version__, "cwd": folder, "options": options}
    return as_json(told).encode() + b"\n"


def as_json(value: object) -> str:
    """JSON of strings, switches, lists and objects. The `json` module costs a third of a start: it waits until needed."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(key)}:{as_json(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if value is True:
        return "true"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'
