"""`mcp-server-mlx COMMAND`: what a person can ask for."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from adapters import __version__
from adapters.errors import ServerError
from adapters.sockets import SocketFolderError
from mcp_server.cli import adapters, call, doctor, models, running, serving, sessions, setup
from mcp_server.cli.client_options import described_options
from mcp_server.ways_out import for_person

console = Console()
errors = Console(stderr=True)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=(
        "Local models for MCP clients. Without a command this is the server that a client starts over stdio; "
        f"its options are {described_options()}."
    ),
)
app.add_typer(models.app, name="models")
app.add_typer(sessions.app, name="sessions")
app.add_typer(adapters.app, name="adapters")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        console.print(f"mcp-server-mlx {__version__}", highlight=False)
        raise typer.Exit


@app.command()
def demo(
    picture: Annotated[
        Path | None, typer.Option(help="Draw the scenes that say most into an SVG file instead.")
    ] = None,
) -> None:
    """Start the real server as a client would, and show what it does. Needs no download."""
    from mcp_server.cli.demo import draw, run  # here: it imports an MCP client

    if picture is not None:
        draw(picture)
    else:
        run(console)


app.command()(setup.setup)
app.command()(doctor.doctor)
app.command()(call.call)
app.command()(serving.serve)
app.command()(serving.token)


@app.command()
def status() -> None:
    """Show what is running, what is in memory, and where things are."""
    running.show_status(console)


@app.command()
def stop() -> None:
    """End the host and the engine. Clients that are connected start them again when they need them."""
    running.stop_all(console)


def main() -> int:
    """Run a command; an error that was foreseen is one line, not a traceback."""
    try:
        code = app(standalone_mode=False)  # of a command that ended itself by typer.Exit
    except (ServerError, SocketFolderError) as error:
        errors.print(f"error: {for_person(error)}", style="red", highlight=False, soft_wrap=True)
        return 1
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        if not hasattr(error, "show"):
            raise
        error.show()  # pyright: ignore[reportAttributeAccessIssue]
        return 2
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
