"""Looking at what lies still: the machine, what is installed, settings, folders, models, logs."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE

from adapters import __version__
from adapters.errors import ServerError
from adapters.media.programs import find_program
from adapters.media.sound import GET_FFMPEG
from adapters.models.hub_cache import in_hub_cache
from adapters.models.installed_models import models_on_disk
from adapters.models.recommended import ABILITIES, default_model, machine_gb, suiting
from adapters.models.starters import STARTERS
from adapters.places import config_folder, log_file, state_folder
from adapters.settings import origins, read_settings
from mcp_server.doctor.finding import Finding
from mcp_server.http.service import service
from mcp_server.http.token import read_token, token_file
from mcp_server.sizes import size
from mcp_server.ways_out import for_person

# What the work needs, and what it would be without.
_PACKAGES = ("mcp", "mlx", "mlx-lm", "mlx-vlm", "mlx-audio", "llguidance", "huggingface-hub", "strands-agents")
_OPTIONAL = ("strands-agents",)
_LITTLE_DISK = 5_000_000_000
_RECENT_SECONDS = 86_400
_ERRORS_SHOWN = 3
_ERROR_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ (ERROR|CRITICAL) (.*)$")


def machine() -> Iterator[Finding]:
    """Yield the machine, its memory, and the models that suit it."""
    import psutil

    system = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else f"Linux {platform.release()}"
    memory = psutil.virtual_memory()
    yield Finding.ok(
        "machine",
        f"{system}, {platform.machine()}, {psutil.cpu_count(logical=False) or psutil.cpu_count()} cores, "
        f"{size(memory.total)} of memory, {size(memory.available)} of it free",
    )
    if sys.platform == "darwin" and platform.machine() != "arm64":
        yield Finding.problem(
            "machine", "this Python is not built for Apple Silicon", "install an arm64 Python: MLX needs one"
        )
    found = read_settings()
    best = [(ability, suiting(ability, found)) for ability in ABILITIES]
    if fitting := [f"{ability}: {models[0].name}" for ability, models in best if models]:
        yield Finding.ok("what fits", "; ".join(fitting))
    else:
        yield Finding.note(
            "what fits", f"no recommended model suits {machine_gb(found):.0f} GB", "name a smaller one with --model"
        )


def versions() -> Iterator[Finding]:
    """This project, Python, and the libraries that do the work."""
    found = {package: _version(package) for package in _PACKAGES}
    here = [f"{package} {version}" for package, version in found.items() if version]
    yield Finding.ok(
        "versions", ", ".join([f"mcp-server-mlx {__version__}", f"Python {platform.python_version()}", *here])
    )
    if missing := [package for package, version in found.items() if not version and package not in _OPTIONAL]:
        yield Finding.problem("versions", f"{', '.join(missing)} is not installed", "install this project again")
    if _version("adapters"):
        yield Finding.problem(
            "versions",
            "PyPI's package `adapters` is installed here too: its files and those of this project overwrite each other",
            "install this project in an environment of its own",
        )


def _version(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def settings() -> Iterator[Finding]:
    """Yield every setting: those that somebody made with where each is from, then those that are as they come."""
    try:
        found = origins()
    except ServerError as error:
        yield Finding.problem("settings", for_person(error), "correct it; nothing starts until then")
        return
    changed = [f"{name} = {value!r} ({origin})" for name, value, origin in found if origin != "default"]
    yield Finding.ok("settings", "; ".join(changed) or f"all {len(found)} are as they come")
    usual = [f"{name} = {value!r}" for name, value, origin in found if origin == "default"]
    yield Finding.ok("settings as they come", "; ".join(usual))


def folders() -> Iterator[Finding]:
    """Yield where things are kept, and whether there is room."""
    for about, folder in (
        ("configuration", config_folder()),
        ("state", state_folder()),
        ("logs", log_file("host").parent),
    ):
        if not os.access(folder, os.W_OK):
            yield Finding.problem(about, f"{folder} cannot be written", f"make it yours: chown -R $USER {folder}")
        else:
            yield Finding.ok(about, str(folder))
    hub = Path(HF_HUB_CACHE)
    there = next(path for path in (hub, *hub.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < _LITTLE_DISK:
        yield Finding.problem(
            "disk", f"{size(free)} are free for models in {hub}", "free some, or move it with HF_HOME"
        )
    else:
        yield Finding.ok("disk", f"{size(free)} free for models in {hub}")


def programs() -> Iterator[Finding]:
    """ffmpeg, which reads what miniaudio cannot."""
    path = find_program("ffmpeg")
    if path is None:
        yield Finding.note(
            "ffmpeg", "not found: m4a, opus, mp4 and other sound is refused; wav, mp3, flac, ogg work", GET_FFMPEG
        )
        return
    ran = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False)
    said = ran.stdout.partition(" Copyright")[0]
    if ran.returncode:
        yield Finding.problem("ffmpeg", f"{path} does not run", GET_FFMPEG)
    else:
        yield Finding.ok("ffmpeg", f"{said}, {path}")


def http_service() -> Iterator[Finding]:
    """Yield the service that serves HTTP from log-in on, and the token that its clients show."""
    here = service([])
    if not here.path.exists():
        yield Finding.ok("HTTP service", "none is installed; `mcp-server-mlx serve --install` would")
    elif sys.executable.encode() not in here.path.read_bytes():
        yield Finding.problem(
            "HTTP service",
            f"{here.path} starts another installation",
            "mcp-server-mlx serve --install, with its options",
        )
    else:
        yield Finding.ok("HTTP service", f"installed in {here.path}; it begins with `{here.begin}`")
    if token_file().exists():
        try:
            read_token()
        except ServerError as error:
            yield Finding.problem("HTTP token", for_person(error), "mcp-server-mlx token --new")


def models() -> Iterator[Finding]:
    """Yield the models that are here, what `default` stands for, and those that are refused."""
    found = read_settings()
    for ability in ABILITIES:
        name = default_model(ability, found)
        if name in STARTERS:
            job = "" if ability == "text" else f" --for {ability}"
            yield Finding.note(
                f"default for {ability}",
                f"{name}, a tiny demonstration model",
                f"mcp-server-mlx models pull recommended{job}",
            )
        elif "/" in name and not name.startswith(("/", "~")) and in_hub_cache(name) is None:
            yield Finding.note(
                f"default for {ability}", f"{name}, which is not here yet", f"mcp-server-mlx models pull {name}"
            )
        else:
            yield Finding.ok(f"default for {ability}", name)
    found = list(models_on_disk())
    usable = [entry.name for entry in found if entry.card is not None and entry.name not in STARTERS]
    yield Finding.ok(
        "models", f"{len(usable)} from the hub in {HF_HUB_CACHE}" + (f": {', '.join(usable[:8])}" if usable else "")
    )
    for entry in found:
        if entry.problem:
            yield Finding.note("models", f"{entry.name} cannot be used: {entry.problem}", "choose another model")


def recent_errors() -> Iterator[Finding]:
    """Yield the last errors of host and engine, of the last day."""
    for process in ("host", "engine"):
        path = log_file(process)
        logs = [log for log in (path.with_suffix(".old.log"), path) if log.exists()]
        lines = [line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - _RECENT_SECONDS))
        matches = [match for line in lines if (match := _ERROR_LINE.match(line)) and match[1] >= since]
        for match in matches[-_ERRORS_SHOWN:]:
            yield Finding.note(
                "last errors", f"{process}, {match[1]}: {match[3][:300]}", f"what led to it is in {path}"
            )
        if not matches:
            yield Finding.ok("last errors", f"none of the {process} in a day")
