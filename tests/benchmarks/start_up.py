"""From a client's spawn of the command to the answer of tools/list, against a bare interpreter."""

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measure import Measured, median, ms, seconds
from tests.running import Home

_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": _META}}).encode() + b"\n"
_ROUNDS = 15
# The command itself, as clients start it.
COMMAND = [str(Path(sys.executable).with_name("mcp-server-mlx"))]


def list_tools(home: Home) -> None:
    process = home.spawn(command=COMMAND)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_LIST)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["result"]["tools"]
    process.kill()
    process.communicate()


def bare() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True)


async def measure(home: Home) -> list[Measured]:
    home.stop()
    cold = seconds(lambda: list_tools(home))
    pairs = [(seconds(bare), seconds(lambda: list_tools(home))) for _ in range(_ROUNDS)]
    plain, ours = median([a for a, _ in pairs]), median([b for _, b in pairs])
    return [
        Measured(
            "spawn to tools/list, host running",
            f"{ms(ours)}, {ours / plain:.2f} x `python -c pass` ({ms(plain)})",
            "at most 3 x",
            ours <= 3 * plain,
        ),
        Measured("spawn to tools/list, host not running", ms(cold)),
    ]
