"""Programs of others that tests run, from npm: installed once beside the repository's own environment.

Some need Node 22, which npm provides. Where there is no npm, or no registry can be reached, `installed` skips the test
and says so.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_INSTALL_SECONDS = 240
_MACHINES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Programs:
    """What npm installed: `modules` is its folder, `node` the Node 22 in it."""

    modules: Path
    node: Path

    def run(
        self, script: str, *arguments: str, timeout: float = 120, **options: object
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program by its path within the modules, or a script of the tests by its own, to its end."""
        path = Path(script) if Path(script).is_absolute() else self.modules / script
        return subprocess.run(
            [str(self.node), str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,  # pyright: ignore[reportArgumentType, reportCallIssue]
        )


def installed() -> Programs:
    """The programs, installed if they are not. Skips the test, with the reason, where they cannot be."""
    found = _installed()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@cache
def _installed() -> Programs | str:
    npm = shutil.which("npm")
    if npm is None:
        return "this machine has no npm, which provides the independent clients"
    manifest = (_HERE / "package.json").read_bytes()
    folder = _HERE.parent.parent / ".npm" / hashlib.sha256(manifest).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            (folder / "package.json").write_bytes(manifest)
            if problem := _install(npm, folder):
                return f"npm could not install the independent clients: {problem}"
            (folder / ".ready").touch()
    node = (
        folder
        / "node_modules"
        / f"node-{platform.system().lower()}-{_MACHINES.get(platform.machine(), '')}"
        / "bin/node"
    )
    if not node.exists():
        return f"npm provides no Node 22 for {platform.system()} on {platform.machine()}"
    return Programs(folder / "node_modules", node)


def _install(npm: str, folder: Path) -> str | None:
    quiet = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--fetch-retries=1",
        "--loglevel=error",
    ]
    try:
        ran = subprocess.run(
            [npm, "install", *quiet], cwd=folder, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False,
            env=os.environ | {"npm_config_fetch_timeout": "30000"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "it took too long"
    return ran.stderr.strip()[-300:] if ran.returncode else None
