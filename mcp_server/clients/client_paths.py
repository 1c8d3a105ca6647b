"""Where clients keep their configuration, on macOS and on Linux, and which variables move it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path


def application_support(*parts: str) -> Callable[[], Path]:
    """Return a file where desktop applications keep theirs."""
    return lambda: (Path.home() / "Library/Application Support" if sys.platform == "darwin" else dot_config()).joinpath(
        *parts
    )


def dot_config() -> Path:
    """Return the folder of configurations of this user."""
    moved = os.environ.get("XDG_CONFIG_HOME")
    return Path(moved) if moved and os.path.isabs(moved) else Path.home() / ".config"


def in_home(folder: str, file: str, variable: str | None = None) -> Callable[[], Path]:
    """Return a file in a folder of the home folder, which a variable may move."""

    def path() -> Path:
        moved = os.environ.get(variable) if variable else None
        return Path(moved).expanduser() / file if moved else Path.home() / folder / file

    return path


def gemini_cli() -> Path:
    """Return Gemini CLI's settings: its variable stands for the home folder, not for `.gemini` in it."""
    moved = os.environ.get("GEMINI_CLI_HOME")
    return (Path(moved).expanduser() if moved else Path.home()) / ".gemini" / "settings.json"


def cline() -> Path:
    """Return the file of Cline's command line."""
    if exact := os.environ.get("CLINE_MCP_SETTINGS_PATH"):
        return Path(exact).expanduser()
    if data := os.environ.get("CLINE_DATA_DIR"):
        return Path(data).expanduser() / "settings" / "cline_mcp_settings.json"
    return in_home(".cline", "data/settings/cline_mcp_settings.json", "CLINE_DIR")()


def opencode() -> Path:
    """Return opencode's configuration: the file with comments if there is one."""
    if exact := os.environ.get("OPENCODE_CONFIG"):
        return Path(exact).expanduser()
    moved = os.environ.get("OPENCODE_CONFIG_DIR")
    return _first_there(Path(moved).expanduser() if moved else dot_config() / "opencode", "opencode")


def amp() -> Path:
    """Return Amp's settings: the file with comments if there is one."""
    return _first_there(Path.home() / ".config" / "amp", "settings")


def lm_studio() -> Path:
    """Return LM Studio's file, in the folder that its pointer names."""
    pointer, home = Path.home() / ".lmstudio-home-pointer", Path.home() / ".lmstudio"
    if pointer.is_file() and (named := Path(pointer.read_text(encoding="utf-8").strip())).is_absolute():
        home = named
    return home / "mcp.json"


def antigravity() -> Path:
    """Return Antigravity's file: the one that IDE and command line share, unless there is only the older one."""
    shared, older = (Path.home() / ".gemini" / folder / "mcp_config.json" for folder in ("config", "antigravity"))
    return older if older.exists() and not shared.exists() else shared


def _first_there(folder: Path, name: str) -> Path:
    commented = folder / f"{name}.jsonc"
    return commented if commented.exists() else folder / f"{name}.json"
