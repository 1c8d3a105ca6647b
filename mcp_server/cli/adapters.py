"""`mcp-server-mlx adapters`: what was trained on this machine, and what can be made of it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.errors import ServerError, from_wire
from adapters.lora import trained_adapters as library
from adapters.protocol.training import Evaluation
from mcp_server.sizes import size

app = typer.Typer(no_args_is_help=True, help="Adapters that were trained: to look at, to hand on, to make models of.")
console = Console()

Name = Annotated[str, typer.Argument(help="The adapter, as `adapters list` shows it.")]


@app.command("list")
def list_adapters() -> None:
    """Show every adapter: its model, how it was trained, what it learned."""
    table = Table("adapter", "model", "method", "loss", "exact", "size", "trained", box=None, header_style="bold")
    for one in library.trained_adapters():
        made, files = one.manifest, one.files
        table.add_row(
            one.name,
            made.model if made else "",
            Text(one.problem, style="red") if one.problem else (files.method if files else ""),
            _loss(made.evaluation) if made and made.evaluation else "",
            _exact(made.evaluation) if made and made.evaluation else "",
            size(files.bytes) if files else "",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(made.created)) if made else "",
        )
    console.print(table if table.row_count else "Nothing was trained yet; the tool train-adapter does it.")


@app.command()
def show(adapter: Name) -> None:
    """Show how an adapter was made, and where it is."""
    one = library.trained_adapter(adapter)
    made = one.manifest
    facts: list[tuple[str, str]] = [("folder", str(one.folder))]
    if one.problem:
        facts.append(("problem", one.problem))
    if made:
        facts += [
            ("model", made.model),
            ("trained on", ", ".join(made.sessions + ([made.dataset] if made.dataset else []))),
            ("rows", f"{made.rows}, and {made.held_back} held back"),
            ("iterations", f"{made.iterations}, weights of {made.best_iteration}"),
            (
                "loss",
                f"{made.losses[0].loss:.3f} at first, {made.losses[-1].loss:.3f} at the end" if made.losses else "",
            ),
        ]
        if made.evaluation:
            facts += [("held back", _loss(made.evaluation)), ("exact", _exact(made.evaluation))]
        facts += [("settings", ", ".join(f"{k}={v}" for k, v in made.settings.items() if v is not None))]
        facts += [("versions", ", ".join(f"{k} {v}" for k, v in made.versions.items()))]
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value in facts:
        if value:
            grid.add_row(Text(name, style="cyan"), Text(value))
    console.print(grid)


@app.command()
def fuse(
    adapter: Name,
    folder: Annotated[Path, typer.Argument(help="The new model's folder; never over another.")],
    dequantize: Annotated[bool, typer.Option(help="Write a quantised model in full precision.")] = False,
) -> None:
    """Write a model that has learned what the adapter has: for mlx_lm, and for any of its programs."""
    target = folder.expanduser().absolute()
    command = [sys.executable, "-m", "adapters.mlx.fusing", adapter, str(target), *(["--dequantize"] * dequantize)]
    with console.status("fusing"):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(result.stdout.splitlines()[-1]) if result.returncode == 0 and result.stdout.strip() else {}
    if "error" in told:
        raise from_wire(told["error"])
    if "folder" not in told:
        last = result.stderr.strip().splitlines()[-1:] or [f"exit status {result.returncode}"]
        raise ServerError(f"fusing ended without a result ({last[0][:300]}); most likely the memory was not enough")
    console.print(f"the fused model is in {told['folder']}", highlight=False, soft_wrap=True)


@app.command()
def export(
    adapter: Name, folder: Annotated[Path, typer.Argument(help="A new or empty folder, in mlx_lm's own form.")]
) -> None:
    """Copy an adapter to a folder, as `mlx_lm.generate --adapter-path` reads it."""
    copied = library.export(adapter, folder.expanduser().absolute())
    console.print(f"{len(copied)} files in {folder}", highlight=False, soft_wrap=True)


@app.command()
def delete(adapter: Name) -> None:
    """Remove an adapter for good. Answers that are being written with it are finished."""
    library.delete(adapter)
    console.print(f"{adapter} is gone", highlight=False)


def _loss(found: Evaluation) -> str:
    return f"{found.base_loss:.2f} before, {found.adapter_loss:.2f} after"


def _exact(found: Evaluation) -> str:
    return f"{found.exact.base} before, {found.exact.adapter} after, of {found.exact.rows}" if found.exact else ""
