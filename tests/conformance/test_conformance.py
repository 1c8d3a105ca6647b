"""Every server scenario that a revision of the protocol requires passes, against our own server factory and HTTP front."""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.mcp_server.http.served import free_port
from tests.npm import installed
from tests.running import Home

SUITE = "@modelcontextprotocol/conformance/dist/index.js"
# How many server scenarios each revision requires: a suite that ran none would pass as well.
REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}

# (revision) -> the required scenarios that passed, each with how many of its checks, and all that the suite said.
Suite = Callable[[str], tuple[dict[str, int], str]]


@contextlib.contextmanager
def conformance_server(home: Home) -> Iterator[Suite]:
    """The server with the suite's fixtures, and the suite to run against it."""
    programs, port = installed(), free_port()
    command = [sys.executable, "-m", "tests.conformance.server", str(port)]

    def run(revision: str) -> tuple[dict[str, int], str]:
        url, results = f"http://127.0.0.1:{port}/mcp", str(home.folder / "results")
        ran = programs.run(SUITE, "server", "--url", url, "--requirements", revision, "-o", results, timeout=200)
        said = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout + ran.stderr)
        assert ran.returncode == 0, said[-6000:]
        ended, _, beside = said.partition("=== SUMMARY ===")[2].partition("Not scored")
        passed = re.findall(r"✓ ([\w-]+): ([1-9]\d*) passed, 0 failed", ended)
        more = set(re.findall(r"[✓✗] ([\w-]+)", beside))
        return {name: int(checks) for name, checks in passed if name not in more}, said

    with subprocess.Popen(command, env=home.environment, stderr=subprocess.DEVNULL) as process:
        try:
            _await(process, port)
            yield run
        finally:
            process.kill()


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError("the server was not up in a minute")


@pytest.mark.parametrize("revision", REQUIRED)
def test_every_required_scenario_of_a_revision_passes(revision: str, own_home: Home) -> None:
    with conformance_server(own_home) as suite:
        passed, said = suite(revision)
    assert len(passed) == REQUIRED[revision], said[-3000:]
