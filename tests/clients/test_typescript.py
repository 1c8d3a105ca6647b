"""The TypeScript SDK's client, which most desktop clients are made with."""

import json
import sys
from pathlib import Path

import pytest

from tests.mcp_server.http.served import served
from tests.npm import installed
from tests.running import ERAS, Era, Home

pytestmark = pytest.mark.anyio
CALLS = str(Path(__file__).with_name("calls.mjs"))


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_it_lists_calls_hears_progress_and_cancels(transport: str, era: Era, shared_home: Home) -> None:
    programs = installed()
    sdk = str(programs.modules / "@modelcontextprotocol" / "client")
    if transport == "http":
        with served(shared_home) as front:
            ran = programs.run(CALLS, sdk, era, "http", front.url, front.token, env=shared_home.environment)
    else:
        command = (sys.executable, "-m", "mcp_server", "--model", "starter")
        ran = programs.run(CALLS, sdk, era, "stdio", *command, env=shared_home.environment)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert {"generate", "describe-image", "transcribe", "record-session", "train-adapter"} <= set(seen["tools"])
    assert "teach-local-model" in seen["prompts"]
    assert "library://models" in seen["resources"]
    assert (seen["answer"]["text"], seen["answer"]["state"]) == ("blue green red", "done")
    assert seen["refused"]["isError"]
    assert "colour is not an argument of this tool" in seen["refused"]["text"]
    assert seen["progress"] == sorted(seen["progress"])
    assert len(seen["progress"]) >= 2
    assert "abort" in seen["cancelled"].lower()
    assert seen["again"]["text"] == "still here"
    async with shared_home.engine() as engine:
        assert not [view.job for view in (await engine.status()).jobs if view.state in ("queued", "running")]
