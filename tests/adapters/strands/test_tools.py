"""The local tools in an agent, and the examples, as a builder runs them."""

import inspect
import secrets
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from strands import Agent

from adapters.errors import InvalidRequest
from adapters.models.starters import STARTER
from adapters.options import OPTIONS
from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage
from adapters.strands import MLXModel, local_tools
from tests.running import Home

SAMPLES = STARTER / "samples"
EXAMPLES = Path(__file__).parents[3] / "examples"
SAID = {
    "first_agent.py": "called: get_weather({'city': 'Rome'})\nanswer: It is sunny and 24 degrees in Rome.",
    "local_tools_agent.py": "seen: A red circle on the left and a blue square on the right.",
    "record_train_use.py": "after: lemon-lemon!",
    "delegate_to_local.py": "answered on this machine: In Oslo",
    "many_agents.py": "What is the capital of France?  Paris",
    "sees_and_hears.py": "saw: A red circle on the left and a blue square on the right.",
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_it_should(name: str, shared_home: Home) -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=180, check=False,
        env=shared_home.environment | {"PYTHONPATH": str(EXAMPLES.parent)}, cwd=shared_home.folder,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert SAID[name] in ran.stdout


def test_tools_work_by_name_with_time_outs_of_their_own(shared_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    monkeypatch.setenv("MCP_SERVER_MLX_HOME", str(shared_home.folder))
    with local_tools(
        allow=[SAMPLES], tools=["describe-image", "list-library"], progress=progress, offline=True
    ) as tools:
        listed = tools.list_tools_sync()
        assert {tool.tool_name for tool in listed} == {"describe-image", "list-library"}
        assert {tool.timeout for tool in listed} == {timedelta(seconds=65)}
        agent = Agent(model=MLXModel("starter"), tools=listed, callback_handler=None)
        seen = agent.tool.describe_image(images=[str(SAMPLES / "shapes.png")], prompt="What is in this photo?")
        assert "A red circle" in seen["content"][0]["text"]
        refused = agent.tool.describe_image(images=["/etc/passwd"])
        assert refused["status"] == "error"
        assert "outside the granted folders" in refused["content"][0]["text"]
    assert any("writing" in one for one in heard)


def test_the_plot_of_a_training_reaches_an_agent_as_a_picture(
    shared_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_HOME", str(shared_home.folder))
    name = f"plotted-{secrets.token_hex(4)}"
    rows = [
        Conversation(messages=[RecordedMessage(role="user", content=w), RecordedMessage(role="assistant", content=w)])
        for w in "apple ball banana basket bear bird boat book".split()  # noqa: SIM905
    ]
    store.append(name, rows)
    with local_tools(tools=["train-adapter", "check-job"], offline=True, model="starter") as tools:
        agent = Agent(model=MLXModel("starter"), tools=tools.list_tools_sync(), callback_handler=None)
        told = agent.tool.train_adapter(adapter=name, sessions=[name], iterations=2, batch_size=2)
        while told["structuredContent"]["state"] in ("queued", "running"):
            told = agent.tool.check_job(job=told["structuredContent"]["job"], wait_seconds=40)
    kinds = [next(iter(block)) for block in told["content"]]
    assert kinds == ["text", "image"]
    assert name in told["content"][0]["text"]
    assert told["content"][1]["image"]["format"] == "png"
    assert told["content"][1]["image"]["source"]["bytes"].startswith(b"\x89PNG")


def test_what_cannot_work_is_told_at_construction() -> None:
    for prefix in ("a.b", "x" * 60):
        with pytest.raises(InvalidRequest, match="cannot be called"):
            local_tools(prefix=prefix)
    with pytest.raises(InvalidRequest, match="reply_within"):
        local_tools(reply_within=0)
    with pytest.raises(InvalidRequest, match="no option 'alow'"):
        local_tools(alow=["/data"])
    with pytest.raises(InvalidRequest, match="a list of folders"):
        local_tools(allow="/data")


def test_every_option_of_a_client_is_taken_and_told() -> None:
    assert [*inspect.signature(local_tools).parameters] == [*OPTIONS, "prefix", "progress"]
    for option in OPTIONS.values():
        assert f"{option.name}: {option.help}." in (local_tools.__doc__ or "")


def test_a_time_out_fits_the_deadline_that_the_environment_sets(
    shared_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_HOME", str(shared_home.folder))
    monkeypatch.setenv("MCP_SERVER_MLX_REPLY_WITHIN", "90")
    with local_tools(tools=["list-library"], offline=True) as tools:
        assert {tool.timeout for tool in tools.list_tools_sync()} == {timedelta(seconds=110)}
