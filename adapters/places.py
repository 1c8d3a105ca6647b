"""Where this project keeps what it keeps: configuration, state and logs, by platformdirs or under one folder."""

import os
import sys
from pathlib import Path

from adapters.sockets import HOME_VARIABLE

APP = "mcp-server-mlx"
# Who starts without these looks for folders and models elsewhere.
_MOVING = (HOME_VARIABLE, "HF_HOME", "HF_HUB_CACHE")


def _under_home(kind: str) -> Path | None:
    """Return the folder of that kind where MCP_SERVER_MLX_HOME moves everything."""
    moved = os.environ.get(HOME_VARIABLE)
    return Path(moved).expanduser().absolute() / kind if moved else None


def moved() -> dict[str, str]:
    """Return the variables of this process that move its folders or the hub's cache, for what is started elsewhere.

    A desktop and a service start with hardly any environment.
    """
    found = {name: os.environ.get(name) for name in _MOVING}
    return {name: os.path.abspath(os.path.expanduser(value)) for name, value in found.items() if value}


def _made(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        from adapters.errors import FolderUnusable  # here, as the shim asks this module for the log

        raise FolderUnusable(
            f"cannot make the folder {path}: {error.strerror}; make its parent writable, or set {HOME_VARIABLE} to a folder of yours"
        ) from error
    return path


def config_folder() -> Path:
    """Holds settings.toml."""
    import platformdirs  # not at the top: the shim asks this module for the log, and imports no packages

    return _made(_under_home("config") or Path(platformdirs.user_config_dir(APP, appauthor=False)))


def state_folder() -> Path:
    """Holds what must survive: jobs and their results, recordings."""
    import platformdirs

    return _made(_under_home("state") or Path(platformdirs.user_state_dir(APP, appauthor=False)))


def jobs_folder() -> Path:
    return _made(state_folder() / "jobs")


def recordings_folder() -> Path:
    """Conversations that were recorded to learn from."""
    return _made(state_folder() / "recordings")


def lora_folder() -> Path:
    """Adapters that were trained, one folder each."""
    return _made(state_folder() / "lora")


def runs_folder() -> Path:
    """Trainings: what each was asked, how far it is, and its last checkpoint."""
    return _made(state_folder() / "training")


def outputs_folder() -> Path:
    """Return where results go that are too long for an answer, unless the settings name a folder."""
    return _made(state_folder() / "outputs")


def log_file(process: str) -> Path:
    """Return the log of the host, the engine, or the service."""
    usual = Path.home() / ("Library/Logs" if sys.platform == "darwin" else ".local/state") / APP
    return _made(_under_home("logs") or usual) / f"{process}.log"


def open_log(process: str) -> int:
    """Return a descriptor of a process's log, to append to; one that has grown over a megabyte is set aside first."""
    path = log_file(process)
    if path.exists() and path.stat().st_size > 1 << 20:
        path.replace(path.with_suffix(".old.log"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
