"""One engine in this process for all tests of the agent, in a home of its own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def agent_home() -> Iterator[Path]:
    """Where the engine of this process keeps what it keeps; set for as long as a test of the agent runs."""
    with tempfile.TemporaryDirectory(prefix="mlx-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _home(agent_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_HOME", os.fspath(agent_home))
