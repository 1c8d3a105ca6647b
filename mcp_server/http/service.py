"""A service of this user's that serves HTTP from log-in on: a systemd unit on Linux, a launchd agent on macOS."""

import plistlib
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import InvalidRequest
from adapters.files import write_whole
from adapters.places import APP, log_file, moved

LABEL = "io.github.mcp-server-mlx"


@dataclass(frozen=True)
class Service:
    """The file that describes the service, and the commands that begin and end it."""

    path: Path
    content: bytes
    begin: str
    end: str

    def install(self) -> None:
        """Write the file. Raises InvalidRequest when its folder cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, self.content, sync=True)
        except OSError as error:
            raise InvalidRequest(
                f"{self.path} cannot be written: {error.strerror}; make its folder writable"
            ) from error

    def remove(self) -> bool:
        """Remove the file; False when there was none."""
        there = self.path.exists()
        self.path.unlink(missing_ok=True)
        return there


def service(arguments: list[str], platform: str = sys.platform) -> Service:
    """Return the service that runs this installation with these arguments, and finds what this process finds.

    Raises InvalidRequest where there is no such thing.
    """
    command = [sys.executable, "-P", "-m", "mcp_server", *arguments]
    if platform == "darwin":
        return _launchd(command)
    if platform == "linux":
        return _systemd(command)
    raise InvalidRequest(f"services are known for Linux and macOS, not for {platform}; start `serve --http` yourself")


def _systemd(command: list[str]) -> Service:
    # systemd reads % and $ in commands; both are doubled to stand for themselves.
    words = " ".join(_quoted(word.replace("%", "%%").replace("$", "$$")) for word in command)
    variables = [_quoted(f"{name}={value}".replace("%", "%%")) for name, value in moved().items()]
    environment = "".join(f"Environment={variable}\n" for variable in variables)
    unit = f"""[Unit]
Description=Local models for MCP clients over HTTP

[Service]
{environment}ExecStart={words}
Restart=on-failure
RestartSec=2
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""
    return Service(
        Path.home() / ".config/systemd/user" / f"{APP}.service",
        unit.encode(),
        f"systemctl --user daemon-reload && systemctl --user enable --now {APP}",
        f"systemctl --user disable --now {APP}",
    )


def _quoted(word: str) -> str:
    if word and not set(word) & set(" \t\"'\\;"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _launchd(command: list[str]) -> Service:
    path = Path.home() / "Library/LaunchAgents" / f"{LABEL}.plist"
    log = str(log_file("http"))
    agent = {
        "Label": LABEL,
        "ProgramArguments": command,
        "EnvironmentVariables": moved(),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "StandardErrorPath": log,
        "StandardOutPath": log,
        "Umask": 0o077,
    }
    return Service(
        path,
        plistlib.dumps(agent),
        f"launchctl bootstrap gui/$(id -u) {shlex.quote(str(path))}",
        f"launchctl bootout gui/$(id -u)/{LABEL}",
    )
