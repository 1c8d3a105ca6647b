"""The options of a client, each declared once: what a client may choose for itself when it starts the server.

Everything that knows these options reads this table: the shim, the settings, the commands `setup` and `serve`, the
manifests, and the tools of an agent. Each option is a setting of the same name in `adapters.settings`.
It imports nothing, because a client pays at every start for what the shim imports.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["folders", "folder", "seconds", "names", "name", "switch"]


class ClientOption:
    """One option: its name as a setting has it, the kind of its value, and a sentence (without its full stop) of help.

    `folders` and `names` take several values, `switch` none. `bounds` are the least and the most that a number may be.
    """

    __slots__ = ("bounds", "help", "kind", "name")

    def __init__(self, name: str, kind: "Kind", help: str, bounds: tuple[float, float] | None = None) -> None:  # noqa: A002
        self.name = name
        self.kind = kind
        self.help = help
        self.bounds = bounds

    @property
    def flag(self) -> str:
        """Return the option as it is written on a command line."""
        return "--" + self.name.replace("_", "-")


REPLY_WITHIN_BOUNDS = (1.0, 3600.0)
# By name, in the order in which they are shown.
OPTIONS = {
    option.name: option
    for option in (
        ClientOption("allow", "folders", "A folder whose files the tools may read"),
        ClientOption("output", "folder", "Where answers go that are too long"),
        ClientOption("model", "name", "The default model of generate"),
        ClientOption("vision_model", "name", "The default model of describe-image"),
        ClientOption("speech_model", "name", "The default model of transcribe"),
        ClientOption("reply_within", "seconds", "Seconds within which a tool answers", REPLY_WITHIN_BOUNDS),
        ClientOption("tools", "names", "Offer only these tools"),
        ClientOption("read_only", "switch", "Leave out the tools that change anything"),
        ClientOption("offline", "switch", "Never touch the network"),
        ClientOption("standalone", "switch", "Run everything in this one process"),
    )
}
