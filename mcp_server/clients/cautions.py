"""What keeps a well written entry from working: a folder that is not trusted, another entry of the same name."""

import json
from pathlib import Path

from adapters.errors import InvalidRequest
from mcp_server.clients.configuration import configuration
from mcp_server.clients.known import KnownClient


def cautions(client: KnownClient, name: str, folder: Path, *, in_project: bool) -> list[str]:
    """Return, in sentences, what a person should know of an entry: in the user's file, or in that of the folder's project.

    Raises nothing: a file that cannot be read has no caution.
    """
    return [*_untrusted(client, folder), *_clash(client, name, folder, in_project=in_project)]


def _untrusted(client: KnownClient, folder: Path) -> list[str]:
    if client.trusting is None:
        return []
    path = client.path().with_name(client.trusting)
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        trusted = [Path(one) for one, how in listed.items() if how == "TRUST_FOLDER"]
        trusted += [Path(one).parent for one, how in listed.items() if how == "TRUST_PARENT"]
    except (OSError, ValueError, AttributeError):
        trusted = []
    if any(folder.is_relative_to(one) for one in trusted):
        return []
    return [
        (
            f"{client.title} starts no server in a folder that it does not trust, and {folder} is not among those in {path}: "
            "say /permissions trust in a session there."
        )
    ]


def _clash(client: KnownClient, name: str, folder: Path, *, in_project: bool) -> list[str]:
    if client.project is None:
        return []
    try:
        other = configuration(client, None if in_project else folder)
        if name not in other.servers():
            return []
    except InvalidRequest:
        return []
    if other.path == client.path().resolve() and not in_project:
        return []  # the home folder is the project
    return [
        (
            f"{other.path} has an entry {name!r}, too: within the project {client.title} takes only one of the two. "
            "Give one another name with --name, or take it out with --remove."
        )
    ]
