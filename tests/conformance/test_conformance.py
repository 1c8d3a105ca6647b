"""Every server scenario that a revision of the protocol requires passes, against our own server factory and HTTP front."""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.mcp_server.http.served import free_port
from tests.npm import installed
from tests.running import Home

SUITE = "@modelcontextprotocol/conformance/dist/index.js"
# How many server scenarios each revision requires: a suite that ran none would pass as well.
REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}


@pytest.fixture
def url(own_home: Home) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.conformance.server", str(port)]
    with subprocess.Popen(command, env=own_home.environment) as process:
        try:
            for _ in range(600):
                assert process.poll() is None
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


@pytest.mark.parametrize("revision", REQUIRED)
def test_every_required_scenario_of_a_revision_passes(revision: str, url: str, own_home: Home) -> None:
    programs, results = installed(), own_home.folder / "results"
    ran = programs.run(SUITE, "server", "--url", url, "--requirements", revision, "-o", str(results), timeout=300)
    said = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout + ran.stderr)
    assert ran.returncode == 0, said[-6000:]
    scored = said.partition("=== SUMMARY ===")[2].partition("Not scored")[0]
    passed = set(re.findall(r"✓ ([\w-]+): [1-9]\d* passed, 0 failed", scored))
    assert len(passed) >= REQUIRED[revision], scored
