"""`mcp-server-mlx status` and `stop`: the processes behind every client."""

import asyncio
import os
import signal
import time

from rich.console import Console
from rich.table import Table

from adapters import __version__
from adapters.engine import EngineClient
from adapters.engine.launch import engine_process
from adapters.models.starters import STARTERS
from adapters.places import log_file, state_folder
from adapters.protocol.messages import EngineStatus
from adapters.settings import settings_file
from mcp_server.host.launch import host_process
from mcp_server.host.memory import memory_of
from mcp_server.sizes import progress_text, size, span

_ENDING_SECONDS = 10.0
# How long an engine may take to hear that it is to end.
_ANSWER_SECONDS = 5.0


def show_status(console: Console) -> None:
    """Print the host, the engine with its models and jobs, and the folders."""
    host, engine = host_process(), asyncio.run(_engine_status())
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("version", __version__)
    table.add_row("host", f"process {host}, {size(memory_of(host))}" if host else "not running; a client starts it")
    if engine is None:
        table.add_row("engine", "not running; the first call starts it")
    else:
        table.add_row("engine", f"process {engine.pid}, {size(memory_of(engine.pid))}, up {span(engine.uptime_s)}")
        table.add_row("device", engine.device)
        if engine.memory_limit:
            table.add_row("memory", f"{size(engine.memory_used)} of {size(engine.memory_limit)} for models and caches")
        for model in engine.models:
            doing = f"{model.rows} answers under way" if model.rows else f"idle for {span(model.idle_s)}"
            table.add_row("model", f"{model.model}, {size(model.bytes)}, {doing}")
        active = [view for view in engine.jobs if view.state in ("queued", "running")]
        for view in active:
            table.add_row("job", f"{view.job}, {view.state}, {progress_text(view.progress)}")
        table.add_row("jobs", f"{len(active)} under way, {len(engine.jobs) - len(active)} ended")
    table.add_row("settings", str(settings_file()) + ("" if settings_file().exists() else " (none yet)"))
    table.add_row("state", str(state_folder()))
    table.add_row("logs", str(log_file("host").parent))
    table.add_row("starter", ", ".join(STARTERS))
    console.print(table, highlight=False, soft_wrap=True)


async def _engine_status() -> EngineStatus | None:
    engine = EngineClient()
    try:
        return await engine.status_if_running()
    finally:
        await engine.close()


def stop_all(console: Console) -> None:
    """End host and engine, and say which were running. Returns when they have ended."""
    ended: dict[str, int] = {}
    if host := host_process():
        os.kill(host, signal.SIGTERM)
        ended["host"] = host
    if engine := asyncio.run(_stop_engine()):
        ended["engine"] = engine
    deadline = time.monotonic() + _ENDING_SECONDS
    while time.monotonic() < deadline and any(_runs(process) for process in ended.values()):
        time.sleep(0.02)
    for name, process in ended.items():
        if _runs(process):  # busy with something that hears no signal, such as a model's template
            os.kill(process, signal.SIGKILL)
            console.print(f"the {name} did not end in {_ENDING_SECONDS:g} seconds and was killed")
    console.print(f"ended {' and '.join(ended)}" if ended else "nothing was running")


def _runs(process: int) -> bool:
    import psutil

    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def _stop_engine() -> int | None:
    """Ask the engine to end. Return the process that it is, also where it gives no answer."""
    process = await asyncio.to_thread(engine_process)
    engine = EngineClient()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return process if await engine.stop() else None
    except TimeoutError:
        return process
    finally:
        await engine.close()
