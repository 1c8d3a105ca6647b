"""A client's configuration file: read, changed in one entry, and written with what was there before beside it."""

import difflib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from adapters.errors import InvalidRequest
from adapters.files import write_whole
from mcp_server.clients import json_text
from mcp_server.clients.entry import is_ours
from mcp_server.clients.entry_shapes import merged
from mcp_server.clients.known import KnownClient
from mcp_server.clients.pieces import piece

LARGEST = 16 << 20


@dataclass(frozen=True)
class Configuration:
    """A client's file as it is: `path` where it really lies, behind any link; `text` is empty when there is none."""

    client: KnownClient
    path: Path
    text: str
    there: bool

    def servers(self) -> dict[str, Any]:
        """Return the entries of all servers, by name.

        Raises InvalidRequest for a file that cannot be read as what it is.
        """
        servers = self._parsed(self.text).get(self.client.key, {})
        if not isinstance(servers, dict):
            raise InvalidRequest(f"{self.path}: {self.client.key!r} is not an object; correct it first")
        return servers

    def ours(self) -> dict[str, Any]:
        """Return the entries that start this server."""
        return {name: entry for name, entry in self.servers().items() if is_ours(entry)}

    def with_entry(self, name: str, entry: dict[str, Any]) -> str:
        """Return the text with our entry. Raises InvalidRequest when that name is another server's."""
        old = self.servers().get(name)
        if old is not None and not is_ours(old):
            raise InvalidRequest(f"{self.path} has another server named {name!r}; choose a name with --name")
        wanted = merged(old, entry)
        if wanted == old:
            return self.text
        if self.client.form == "toml":
            document = tomlkit.parse(self.text)
            document.setdefault(self.client.key, tomlkit.table(is_super_table=True))[name] = wanted
            changed = tomlkit.dumps(document)
        else:
            changed = json_text.with_member(self.text, (self.client.key, name), wanted, self._comments)
        return self._checked(changed, self.servers() | {name: wanted})

    def without_entry(self, name: str) -> str:
        """Return the text without our entry.

        Raises InvalidRequest when there is none of that name, or it is another server's.
        """
        servers = self.servers()
        if name not in servers:
            known = ", ".join(self.ours()) or "none of this server"
            raise InvalidRequest(f"{self.path} has no server {name!r}; there is {known}")
        if not is_ours(servers[name]):
            raise InvalidRequest(f"{name!r} in {self.path} is another server; it stays")
        if self.client.form == "toml":
            document: Any = tomlkit.parse(self.text)
            del document[self.client.key][name]
            changed = tomlkit.dumps(document)
        else:
            changed = json_text.without_member(self.text, (self.client.key, name), self._comments)
        return self._checked(changed, {other: entry for other, entry in servers.items() if other != name})

    def difference(self, changed: str, name: str) -> str:
        """Return what would become of the entry of that name, as a unified diff.

        The entry alone: its neighbours may hold keys, and stand on its line.
        """
        before, after = (self._shown(text, name) for text in (self.text, changed))
        return "\n".join(difflib.unified_diff(before, after, str(self.path), str(self.path), lineterm="", n=2))

    def _shown(self, text: str, name: str) -> list[str]:
        entry = self._parsed(text).get(self.client.key, {}).get(name)
        return [] if entry is None else piece(self.client, name, entry).splitlines()

    def write(self, changed: str) -> Path | None:
        """Write it. Return where the text before is kept. Raises InvalidRequest when it cannot be written."""
        backup = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mode = stat.S_IMODE(self.path.stat().st_mode) if self.there else 0o600
            if self.there:
                if not mode & stat.S_IWUSR or not os.access(self.path, os.W_OK):
                    raise InvalidRequest(f"{self.path} is read-only; nothing was changed. Make it writable first")
                backup = self.path.with_name(f"{self.path.name}.{time.strftime('%Y%m%d-%H%M%S')}.bak")
                write_whole(backup, self.text.encode(), mode=mode, sync=True)
            write_whole(self.path, changed.encode(), mode=mode, sync=True)
        except OSError as error:
            raise InvalidRequest(
                f"{self.path} cannot be written ({error.strerror}); nothing was changed. Make its folder writable, or free space"
            ) from error
        return backup

    @property
    def _comments(self) -> bool:
        return self.client.form == "jsonc"

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            return tomlkit.parse(text).unwrap() if self.client.form == "toml" else json_text.read(text, self._comments)
        except (TOMLKitError, json_text.JsonTextError) as error:
            raise InvalidRequest(
                f"{self.path} cannot be read: {error}. Correct it first; nothing was changed"
            ) from error

    def _checked(self, changed: str, servers: dict[str, Any]) -> str:
        """Return the text, if nothing but our entry differs in it: a file of somebody's is not written on a guess."""
        before, after = self._parsed(self.text), self._parsed(changed)
        if {self.client.key: {}} | after != before | {self.client.key: servers}:
            raise InvalidRequest(f"{self.path} could not be changed safely; nothing was written. Change it by hand")
        return changed


def configuration(client: KnownClient, project: Path | None = None) -> Configuration:
    """Return the client's configuration of this user, or of a project.

    Raises InvalidRequest for what is no text file.
    """
    if project is not None and client.project is None:
        raise InvalidRequest(f"{client.title} has no configuration for a project; leave --project out")
    path = project / client.project if project and client.project else client.path()
    path = Path(os.path.realpath(path))  # behind a link: the link stays, and what it leads to is changed
    try:
        if path.exists() and not path.is_file():
            raise InvalidRequest(f"{path} is not a file; nothing was changed")
        if path.exists() and path.stat().st_size > LARGEST:
            raise InvalidRequest(f"{path} is larger than {LARGEST >> 20} MB; nothing was changed")
        return Configuration(client, path, path.read_bytes().decode("utf-8"), there=True)
    except (FileNotFoundError, NotADirectoryError):
        return Configuration(client, path, "", there=False)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8 text; nothing was changed") from error
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read ({error.strerror}); nothing was changed") from error
