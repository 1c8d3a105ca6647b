"""`mcp-server-mlx setup CLIENT`: this server in a client's configuration."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from adapters.command_line import checked_options, command_line
from adapters.errors import InvalidRequest
from adapters.settings import read_settings
from mcp_server.cli.client_options import with_client_options
from mcp_server.clients.cautions import cautions
from mcp_server.clients.configuration import Configuration, configuration
from mcp_server.clients.entry import make_entry
from mcp_server.clients.known import ANY_CLIENT, CLIENTS, KnownClient, known_client
from mcp_server.clients.pieces import piece

console = Console()

_NAMES = ", ".join(client.name for client in CLIENTS)


@with_client_options(allow="Asked for if left out.", reply_within="By default what fits the client.")
def setup(
    client: Annotated[
        str | None, typer.Argument(help=f"One of {_NAMES}. Without one, shows which of them are here.")
    ] = None,
    *,
    options: dict[str, Any],
    name: Annotated[str, typer.Option(help="The entry's name.")] = "mlx",
    project: Annotated[
        Path | None, typer.Option(help="Write the configuration of this project's folder instead.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, and write nothing.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the entry out.")] = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="Let the client run these tools without asking, if its file can say so.")
    ] = False,
    printed: Annotated[
        bool,
        typer.Option("--print", help="Print the piece to paste; without a client, the one that most clients read."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put this server into a client's configuration, or take it out. Shows the difference first; keeps a backup."""
    known = known_client(client) if client else ANY_CLIENT
    if printed or known.form == "yaml":
        if remove or project:
            raise InvalidRequest(f"the configuration of {known.title} is changed by hand here; leave the option out")
        _print_piece(known, name, make_entry(known, _words(options), approve=approve))
        return
    if client is None:
        if any((options, project, dry_run, remove, yes, approve)):
            raise InvalidRequest(f"name the client that these options are for: {_NAMES}")
        _overview()
        return
    found = configuration(known, project.absolute() if project else None)
    if remove:
        changed = found.without_entry(name)
    else:
        if not (options.get("allow") or yes or dry_run):
            options["allow"] = _asked_folders()
        changed = found.with_entry(name, make_entry(known, _words(options), approve=approve))
    _carry_out(found, changed, name, dry_run=dry_run, yes=yes)
    if not remove:
        for said in cautions(known, name, (project or Path.cwd()).absolute(), in_project=project is not None):
            console.print(said, style="yellow", highlight=False, soft_wrap=True)


def _print_piece(client: KnownClient, name: str, entry: dict[str, Any]) -> None:
    """The piece alone on stdout, so that it can be copied or piped; where it goes on stderr."""
    if client.form == "yaml":
        where = (
            f"{client.title}'s YAML is not written, since its comments could be lost. Paste this into {client.path()}:"
        )
    else:
        where = f"Paste this into {client.path()}:"
    typer.echo(where, err=True)
    typer.echo(piece(client, name, entry))


def _overview() -> None:
    """Every client that is known, whether it is here, and whether it has this server."""
    rows = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for one in CLIENTS:
        rows.add_row(one.name, one.title, _state(one))
    console.print(rows)
    console.print("`mcp-server-mlx setup NAME` puts this server into one of them.", highlight=False)


def _state(client: KnownClient) -> str:
    if client.form == "yaml":
        return f"`mcp-server-mlx setup {client.name}` prints what to paste into {client.path()}"
    try:
        found = configuration(client)
        if ours := found.ours():
            return f"has this server, as {', '.join(ours)}"
        return "is here, without this server" if found.there else "no configuration found"
    except InvalidRequest as error:
        return str(error)


def _words(options: dict[str, Any]) -> list[str]:
    """Return the options as the entry's words, checked: an entry that cannot start is not written."""
    given = checked_options(options)
    if missing := [folder for folder in given.get("allow", []) if not Path(folder).is_dir()]:
        raise InvalidRequest(f"{missing[0]} is not a folder; grant one that is there")
    from mcp_server.server import selected_tools  # here: it imports the SDK

    settings = read_settings(**given)
    selected_tools(settings.read_only, settings.tools)
    return command_line(given)


def _asked_folders() -> list[Path]:
    """Return the folders that a person names; none where nobody can be asked."""
    if not sys.stdin.isatty():
        return []
    console.print(
        "Which folders may its tools read? One a line, an empty line ends. None is fine: some clients add theirs."
    )
    folders = list[Path]()
    while line := console.input("folder: ").strip():
        folder = Path(shlex.split(line)[0] if line[0] in "'\"" else line).expanduser()
        if folder.is_dir():
            folders.append(folder)
        else:
            console.print(f"{folder} is not a folder", style="red", highlight=False)
    return folders


def _carry_out(found: Configuration, changed: str, name: str, *, dry_run: bool, yes: bool) -> None:
    if changed == found.text:
        console.print(f"{found.path} is as it should be; nothing was changed", highlight=False, soft_wrap=True)
        return
    difference = found.difference(changed, name)
    shown = Syntax(difference, "diff", background_color="default") if console.is_terminal else Text(difference)
    console.print(shown, soft_wrap=True)
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidRequest("nobody is there to be asked; add --yes to write this, or --dry-run to look only")
        typer.confirm("Write this?", abort=True)
    backup = found.write(changed)
    kept = f"; what was there before is in {backup.name}" if backup else ""
    console.print(f"wrote {found.path}{kept}. {found.client.then}", highlight=False, soft_wrap=True)
