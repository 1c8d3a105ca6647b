"""`mcp-server-mlx serve` and `token`: a host that stays, and HTTP for clients that start nothing themselves."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from adapters.errors import EngineBusy, InvalidRequest
from adapters.settings import Settings, read_settings
from mcp_server.host.launch import host_process
from mcp_server.http import DEFAULT_PORT
from mcp_server.http.token import make_token, read_token, token_file

console = Console()
errors = Console(stderr=True)


def serve(
    http: Annotated[bool, typer.Option("--http", help="Serve Streamable HTTP as well, behind a token.")] = False,
    address: Annotated[str, typer.Option(help="Where HTTP listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of HTTP.")] = DEFAULT_PORT,
    http_host: Annotated[list[str], typer.Option(help="A host name that clients use. Repeatable.")] = [],  # noqa: B006
    allow: Annotated[list[Path], typer.Option(help="A folder that HTTP clients' tools may read. Repeatable.")] = [],  # noqa: B006
    output: Annotated[Path | None, typer.Option(help="Where answers go that are too long.")] = None,
    reply_within: Annotated[float | None, typer.Option(help="Seconds within which a tool answers.")] = None,
    tools: Annotated[str | None, typer.Option(help="Offer only these tools: a,b.")] = None,
    model: Annotated[str | None, typer.Option(help="The default model.")] = None,
    vision_model: Annotated[str | None, typer.Option(help="The default model of describe-image.")] = None,
    speech_model: Annotated[str | None, typer.Option(help="The default model of transcribe.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Leave out the tools that change anything.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Have it started at every log-in, with these options.")
    ] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take that back.")] = False,
) -> None:
    """Run the host in the foreground, for as long as this command runs. Clients find it by themselves.

    With --http it serves clients that start nothing, on 127.0.0.1 behind a token. The other options are for those.
    """
    from mcp_server.host.__main__ import LOG_FORMAT, stay
    from mcp_server.http.serving import Address

    flags = _flags(
        allow=tuple(folder.absolute() for folder in allow),
        output=output.absolute() if output else None,
        reply_within=reply_within,
        tools=tools,
        model=model,
        vision_model=vision_model,
        speech_model=speech_model,
        read_only=read_only,
        offline=offline,
    )
    if install or uninstall:
        _service(_arguments(flags, Address(address, port, tuple(http_host))), uninstall)
        return
    if not http and (flags or http_host):
        raise InvalidRequest("these options are for HTTP; add --http, or leave them out")
    settings = read_settings(**flags)
    where = Address(address, port, tuple(http_host)) if http else None
    other = host_process()
    if other and where is None:
        raise EngineBusy(f"a host is running already, process {other}; `mcp-server-mlx stop` ends it")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    _tell(where, settings)
    stay(settings, where)


def token(new: Annotated[bool, typer.Option("--new", help="Make another; the old one stops working.")] = False) -> None:
    """Show the token that HTTP clients must send."""
    sys.stdout.write(f"{make_token() if new else read_token()}\n")


def _flags(**given: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in given.items() if value is not None and value is not False and value != ()}


def _tell(where: Any, settings: Settings) -> None:
    if where is None:
        errors.print("The host runs; clients find it by themselves. Ctrl-C ends it.")
        return
    read_token()
    granted = ", ".join(map(str, settings.allow)) or "none; --allow FOLDER grants one"
    errors.print(
        f"MCP is served at {where.url}\n"
        f"Clients send `Authorization: Bearer TOKEN`; `mcp-server-mlx token` shows it ({token_file()}).\n"
        f"Folders that may be read: {granted}. Ctrl-C ends it.",
        highlight=False,
        soft_wrap=True,
    )


def _arguments(flags: dict[str, Any], where: Any) -> list[str]:
    """The command line of the same service, for the system to start."""
    read_settings(**flags)
    made = ["serve", "--http", "--address", where.host, "--port", str(where.port)]
    for name in where.names:
        made += ["--http-host", name]
    for name, value in flags.items():
        option = f"--{name.replace('_', '-')}"
        values = [] if value is True else value if isinstance(value, tuple) else (value,)
        made += [option] if value is True else [word for one in values for word in (option, str(one))]
    return made


def _service(arguments: list[str], uninstall: bool) -> None:
    from mcp_server.http.service import service

    made = service(arguments)
    if uninstall:
        told = (
            f"removed {made.path}; end it with:" if made.remove() else f"{made.path} was not there; if it still runs:"
        )
        errors.print(f"{told}\n  {made.end}", highlight=False, soft_wrap=True)
        return
    read_token()
    made.install()
    errors.print(f"wrote {made.path}; begin it with:\n  {made.begin}", highlight=False, soft_wrap=True)
