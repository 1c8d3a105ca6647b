"""`mcp-server-mlx models`: the models on this machine."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from adapters.engine import EngineClient
from adapters.errors import from_wire
from adapters.models.abilities import Ability
from adapters.models.hub_cache import in_hub_cache
from adapters.models.installed_models import models_on_disk
from adapters.models.recommended import (
    ABILITIES,
    RECOMMENDED,
    default_model,
    machine_gb,
    recommended,
    suiting,
)
from adapters.models.starters import STARTERS
from adapters.protocol.jobs import Download, Downloaded
from adapters.protocol.messages import EngineStatus
from adapters.settings import read_settings
from mcp_server.sizes import size

app = typer.Typer(no_args_is_help=True, help="The models on this machine.")
console = Console()


@app.command("list")
def list_models() -> None:
    """Show every model that can be named: what it can do, size, context, whether it is in memory."""
    status = asyncio.run(_status())
    loaded = {model.folder for model in status.models} if status else set()
    settings = read_settings()
    defaults = {default_model(ability, settings) for ability in ABILITIES}
    table = Table(
        Column("name", no_wrap=True), "can do", "architecture", "size", "context", "", box=None, header_style="bold"
    )
    for entry in models_on_disk():
        if entry.card is None:
            table.add_row(entry.name, "", "", "", "", f"[red]{entry.problem}[/red]")
            continue
        notes = [
            entry.card.quantization or "",
            "default" if entry.name in defaults else "",
            "in memory" if str(entry.folder) in loaded else "",
        ]
        table.add_row(
            entry.name,
            ", ".join(entry.card.abilities),
            entry.card.architecture,
            size(entry.card.weight_bytes),
            str(entry.card.context or ""),
            ", ".join(filter(None, notes)),
        )
    console.print(table)


@app.command()
def recommend() -> None:
    """Show which models suit this machine, by job, and what `default` stands for now."""
    settings = read_settings()
    console.print(f"This machine has {machine_gb(settings):.0f} GB of memory to choose by.", highlight=False)
    rows = Table("for", Column("model", no_wrap=True), "about", "", box=None, header_style="bold")
    for ability in ABILITIES:
        default = default_model(ability, settings)
        for place, one in enumerate(suiting(ability, settings)):
            notes = [
                "recommended" if place == 0 else "",
                "on this machine" if in_hub_cache(one.name) else "",
                "default" if one.name == default else "",
            ]
            rows.add_row("" if place else ability, one.name, size(one.bytes), ", ".join(filter(None, notes)))
        if default in STARTERS:
            rows.add_row("", default, "", "default, until one is here")
    console.print(rows)
    console.print(
        "`mcp-server-mlx models pull recommended` gets the first; `--for vision` and `--for speech` those of other jobs.\n"
        "`default` is the best of these that is here, or the model that the settings name. Sizes are worked out from the\n"
        "models' names. Older Whisper repositories of mlx-community hold weights.npz and no processor files: they are refused.",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def pull(
    model: Annotated[
        str, typer.Argument(help="A hub id, such as mlx-community/Qwen3.5-4B-MLX-4bit, or `recommended`.")
    ],
    job: Annotated[Ability, typer.Option("--for", help="The job that `recommended` is for.")] = "text",
) -> None:
    """Download a model, so that its first use does not have to. What was fetched before is kept."""
    outcome = asyncio.run(_pull(recommended(job, read_settings()) if model == RECOMMENDED else model))
    console.print(
        f"{outcome.model} is on this machine: {size(outcome.bytes)} in {outcome.folder}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def unload(
    model: Annotated[str | None, typer.Argument(help="Its name; without one, every idle model.")] = None,
) -> None:
    """Drop models from memory. One that is at work stays."""
    dropped = asyncio.run(_unload(model))
    console.print(
        f"unloaded {', '.join(dropped)}" if dropped else "nothing was unloaded: no such model is in memory and idle",
        highlight=False,
    )


async def _status() -> EngineStatus | None:
    engine = EngineClient()
    try:
        return await engine.status_if_running()
    finally:
        await engine.close()


async def _unload(model: str | None) -> list[str]:
    engine = EngineClient()
    try:
        return await engine.unload(model) if await engine.status_if_running() else []
    finally:
        await engine.close()


async def _pull(model: str) -> Downloaded:
    engine = EngineClient()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as bars:
            bar = bars.add_task(model, total=None)
            view = None
            async for job in engine.submit(Download(model=model)):
                view = job.view
                bars.update(bar, completed=job.progress.done or 0, total=job.progress.total)
    finally:
        await engine.close()
    assert view is not None
    if not isinstance(view.outcome, Downloaded):
        raise from_wire(view.error or {"message": f"the download was {view.state}"})
    return view.outcome
