"""Looking at what runs: sockets, host, engine, and the entries of clients, each started as its client would."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from adapters import __version__
from adapters.engine import EngineClient
from adapters.errors import ServerError, from_wire, innermost
from adapters.models.starters import STARTER_NAMES
from adapters.places import moved
from adapters.protocol.generation import Generate, Generated
from adapters.sockets import SocketFolderError, socket_folder, socket_path
from mcp_server.clients.cautions import cautions
from mcp_server.clients.configuration import configuration
from mcp_server.clients.entry_shapes import start_of
from mcp_server.clients.known import CLIENTS, KnownClient
from mcp_server.doctor.finding import Finding
from mcp_server.host.launch import host_process
from mcp_server.host.memory import memory_of
from mcp_server.sizes import size
from mcp_server.ways_out import for_person

_ENGINE_SECONDS = 90.0
_ENTRY_SECONDS = 30.0
_SHORT_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


def sockets() -> Iterator[Finding]:
    """Yield the folder where all processes of this user meet."""
    try:
        yield Finding.ok("sockets", socket_folder())
    except SocketFolderError as error:
        yield Finding.problem("sockets", str(error), "until then no client can be served")


def host() -> Iterator[Finding]:
    """Yield the process that clients talk to."""
    found = host_process()
    if found is None and os.path.exists(socket_path("host", __version__)):
        yield Finding.note("host", "not running, and a socket was left behind", "nothing: the next client replaces it")
    elif found is None:
        yield Finding.ok("host", "not running; a client starts it")
    else:
        yield Finding.ok("host", f"process {found}, {size(memory_of(found))}")


async def engine() -> Finding:
    """Return whether the engine starts and answers: it is asked something."""
    client, began = EngineClient(), time.monotonic()
    work = Generate(
        model=STARTER_NAMES["text"], conversations=[[{"role": "user", "content": "Repeat: hello"}]], max_tokens=8
    )
    try:
        async with asyncio.timeout(_ENGINE_SECONDS):
            view = None
            async for job in client.submit(work):
                view = job.view
            status = await client.status()
    except (ServerError, TimeoutError, OSError) as error:
        return Finding.problem(
            "engine",
            f"does not answer: {for_person(error) or 'not in time'}",
            "`mcp-server-mlx stop`, then try again; its log says more",
        )
    finally:
        await client.close()
    if view is None or not isinstance(view.outcome, Generated):
        said = for_person(from_wire(view.error)) if view and view.error else "it gave no answer"
        return Finding.problem("engine", f"failed: {said}", "its log says more")
    took = time.monotonic() - began
    loaded = ", ".join(model.model for model in status.models)
    return Finding.ok(
        "engine",
        f"process {status.pid}, on {status.device}, answered in {took:.1f} s; in memory: {loaded or 'no model'}",
    )


async def client_entries() -> AsyncIterator[Finding]:
    """Yield every client's configuration that is there, and whether its entries of this server start."""
    seen = 0
    for client in CLIENTS:
        if client.form == "yaml":
            continue
        try:
            found = configuration(client)
            if not found.there:
                continue
            seen += 1
            entries = found.ours()
        except ServerError as error:
            yield Finding.problem(
                client.title, for_person(error), f"correct the file, then `mcp-server-mlx setup {client.name}`"
            )
            continue
        if not entries:
            yield Finding.note(
                client.title, f"{found.path} has no entry of this server", f"mcp-server-mlx setup {client.name}"
            )
        for name, entry in entries.items():
            yield await _entry(client, name, entry)
            if said := cautions(client, name, Path.cwd(), in_project=False):
                yield Finding.note(client.title, f"{name}: {' '.join(said)}")
    if not seen:
        yield Finding.note("clients", "no configuration of a known client was found", "mcp-server-mlx setup CLIENT")


async def _entry(client: KnownClient, name: str, entry: dict[str, Any]) -> Finding:
    """Start an entry as its client would, and ask for its tools."""
    again = f"mcp-server-mlx setup {client.name}" + (f" --name {name}" if name != "mlx" else "")
    start = start_of(entry)
    if start is None or not os.path.isabs(start.words[0]):
        said = start.words[0] if start else None
        return Finding.problem(
            client.title, f"{name}: its command {said!r} is not absolute; clients may not find it", again
        )
    command, *arguments = start.words
    if not os.access(command, os.X_OK):
        return Finding.problem(client.title, f"{name}: there is no program {command}", again)
    began = time.monotonic()
    try:
        tools = await _tools(command, arguments, start.env)
    except _NotStarted as error:
        return Finding.problem(client.title, f"{name}: does not start: {error}", again)
    took, given = time.monotonic() - began, start.env
    if elsewhere := [f"{variable}={value}" for variable, value in moved().items() if given.get(variable) != value]:
        return Finding.note(
            client.title, f"{name}: starts, and does not know of {elsewhere[0]}: it looks for things elsewhere", again
        )
    return Finding.ok(client.title, f"{name}: {len(tools)} tools in {took:.1f} s")


class _NotStarted(Exception):
    """What the program said last, or else why the SDK's client gave up."""


async def _tools(command: str, arguments: list[str], env: dict[str, str]) -> list[str]:
    """Return the tools that an entry offers. Raises _NotStarted."""
    from mcp import Client, StdioServerParameters, stdio_client

    # What a desktop starts it with: hardly any PATH, and its own working directory.
    given = {"PATH": _SHORT_PATH, "HOME": os.environ.get("HOME", "/")} | env
    parameters = StdioServerParameters(command=command, args=arguments, env=given, cwd="/")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errlog:
        try:
            async with asyncio.timeout(_ENTRY_SECONDS), Client(stdio_client(parameters, errlog=errlog)) as client:
                return [tool.name for tool in (await client.list_tools()).tools]
        except Exception as error:
            errlog.seek(0)
            said = errlog.read().strip().splitlines()
            raise _NotStarted(
                said[-1][:300] if said else str(innermost(error)) or "it gave no answer in time"
            ) from error
