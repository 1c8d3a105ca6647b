"""Run the benchmarks, all or those named, and print their table. Ends with 1 when a promise was not kept."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import adapters.mlx as _  # noqa: F401  before anything imports MLX

# isort: split
from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    adapters,
    agents,
    batches,
    cancelling,
    clients,
    endurance,
    front_door,
    pictures,
    recordings,
    schemas,
    start_up,
    streams,
    training,
)
from tests.benchmarks.measure import Measured
from tests.running import Home

MODULES = (
    start_up,
    clients,
    streams,
    batches,
    cancelling,
    adapters,
    training,
    agents,
    pictures,
    recordings,
    schemas,
    endurance,
    front_door,
)
BENCHMARKS = {module.__name__.rsplit(".", 1)[1]: module for module in MODULES}


def main() -> int:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    console = Console()
    table = Table("", "measured", "promised", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    broken = 0
    for name in chosen:
        home = Home(Path(tempfile.mkdtemp(prefix="mlx-", dir="/tmp")).resolve())
        try:
            found: list[Measured] = asyncio.run(BENCHMARKS[name].measure(home))
        finally:
            home.stop()
            shutil.rmtree(home.folder, ignore_errors=True)
        for one in found:
            table.add_row(
                one.what,
                one.figure,
                one.promise,
                {True: "[green]kept[/green]", False: "[red]NOT KEPT[/red]", None: ""}[one.kept],
            )
            broken += one.kept is False
    console.print(table)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
