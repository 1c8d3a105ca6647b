"""Fixtures for all tests: a home folder of their own, and one host and engine shared by those that do not break them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import adapters.mlx  # noqa: F401  sets the process up for MLX, before anything imports it
from tests.running import Home

os.environ["HF_HUB_OFFLINE"] = "1"
# Nobody's own models: what `default` stands for must not depend on who runs the tests.
os.environ["HF_HUB_CACHE"] = str(Path(tempfile.gettempdir()) / "no-models-here")
for name in [name for name in os.environ if name.startswith("MCP_SERVER_MLX_")]:
    del os.environ[name]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Home]:
    """A home whose host and engine serve the whole test run. Tests that use it neither kill nor fill anything."""
    with _home() as home:
        yield home


@pytest.fixture
def own_home() -> Iterator[Home]:
    """A home for one test, which may do to its processes what it likes."""
    with _home() as home:
        yield home


class _home:  # noqa: N801  used as a function
    """A short folder (socket paths are limited), removed with all that runs in it."""

    def __enter__(self) -> Home:
        self._home = Home(Path(tempfile.mkdtemp(prefix="mlx-", dir="/tmp")).resolve())
        return self._home

    def __exit__(self, *_: object) -> None:
        self._home.stop()
        shutil.rmtree(self._home.folder, ignore_errors=True)


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """This process's own configuration and state in a folder of the test."""
    monkeypatch.setenv("MCP_SERVER_MLX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
