"""`mcp-server-mlx serve` and `token`: a host that stays, and HTTP for clients that start nothing themselves."""

import logging
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from adapters.command_line import command_line
from adapters.errors import EngineBusy, InvalidRequest
from adapters.settings import Settings, read_settings
from mcp_server.cli.client_options import with_client_options
from mcp_server.host.launch import host_process
from mcp_server.http import DEFAULT_PORT
from mcp_server.http.token import make_token, read_token, token_file

console = Console()
errors = Console(stderr=True)


@with_client_options()
def serve(
    http: Annotated[bool, typer.Option("--http", help="Serve Streamable HTTP as well, behind a token.")] = False,
    address: Annotated[str, typer.Option(help="Where HTTP listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of HTTP.")] = DEFAULT_PORT,
    http_host: Annotated[list[str], typer.Option(help="A host name that clients use. Repeatable.")] = [],  # noqa: B006
    *,
    options: dict[str, Any],
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

    if install or uninstall:
        _service(_arguments(options, Address(address, port, tuple(http_host))), uninstall)
        return
    if not http and (options or http_host):
        raise InvalidRequest("these options are for HTTP; add --http, or leave them out")
    settings = read_settings(**options)
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


def _arguments(options: dict[str, Any], where: Any) -> list[str]:
    """Return the command line of the same service, for the system to start. Raises InvalidRequest for wrong options."""
    read_settings(**options)
    names = [word for name in where.names for word in ("--http-host", name)]
    return ["serve", "--http", "--address", where.host, "--port", str(where.port), *names, *command_line(options)]


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
