"""The piece of a client's configuration that is this server's alone: shown before it is written, or to paste."""

import json
from typing import Any

import tomlkit

from mcp_server.clients.known import KnownClient


def piece(client: KnownClient, name: str, entry: dict[str, Any]) -> str:
    """Return the entry as it stands in the client's file, in the members around it and without its neighbours."""
    match client.form:
        case "toml":
            return tomlkit.dumps({client.key: {name: entry}}).strip()
        case "yaml":
            return _yaml(client, name, entry)
        case _:
            return json.dumps({client.key: {name: entry}}, indent=2, ensure_ascii=False)


def _yaml(client: KnownClient, name: str, entry: dict[str, Any]) -> str:
    """Every value is written as JSON, which YAML reads."""
    members = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in ({"name": name} | entry).items()]
    if client.shape == "goose":
        return "\n".join([f"{client.key}:", f"  {json.dumps(name)}:", *(f"    {member}" for member in members)])
    first, *rest = members
    return "\n".join([f"{client.key}:", f"  - {first}", *(f"    {member}" for member in rest)])
