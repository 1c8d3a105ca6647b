"""A client of the real server, with SmolLM2 as its model; one engine for each process of the test run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client

from tests.real import smollm2 as converted
from tests.running import Home


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2's folder."""
    return converted.folder()


@pytest.fixture
async def client(shared_home: Home, smollm2: Path, tmp_path: Path) -> AsyncIterator[Client]:
    """A client that may read the test's folder and the models."""
    folders = ("--allow", str(tmp_path), "--allow", str(smollm2.parent))
    async with shared_home.client("--model", str(smollm2), *folders) as client:
        yield client
