"""Every command line and every tool's example of the README, run as a reader would."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.options import OPTIONS
from adapters.settings import Settings
from adapters.starter.recipes.text.words import NOUNS
from mcp_server.cli.demo import SAMPLES
from mcp_server.tools import ALL_TOOLS
from tests.mcp_server.http.served import free_port, served
from tests.running import Home, answer, text

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMAND = "mcp-server-mlx"


def fenced(kind: str) -> list[str]:
    """The blocks of code of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


LINES = [line for block in fenced("sh") for line in block.splitlines()]
# What other places run: the demo and its installation (`make bench`), the tests, and the fetching of the repository.
ELSEWHERE = ("git clone ", "cd ", "make ")


@pytest.fixture
def reader(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Somebody with a home folder, conversations, and the folders that the README speaks of."""
    (own_home.folder / "user" / "Documents").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(own_home.folder / "user"))
    monkeypatch.chdir(own_home.folder)
    rows = [
        {"messages": [{"role": "user", "content": f"Wobble {n}."}, {"role": "assistant", "content": f"{n}-{n}!"}]}
        for n in NOUNS[:12]
    ]
    Path("chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return own_home


def ran(home: Home, words: list[str]) -> "subprocess.CompletedProcess[str]":
    """The words as a shell would run them, with this environment's command."""
    words = [os.path.expanduser(word) if word.startswith("~") else word for word in words]
    return subprocess.run(
        [sys.executable, "-m", "mcp_server", *words[1:]], env=home.environment | {"COLUMNS": "200"}, cwd=home.folder,
        capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_there_are_commands_and_each_is_run_by_a_test() -> None:
    known = ("setup ", "doctor", "models ", "sessions ", "call ", "adapters ", "serve ", "token")
    ours = [line for line in LINES if not line.startswith(ELSEWHERE)]
    assert len(ours) >= 15
    for line in ours:
        assert shlex.split(line)[0].endswith(COMMAND), line
        assert line.partition(f"{COMMAND} ")[2].startswith(known), line


@pytest.mark.parametrize("line", [line for line in LINES if "mlx setup " in line])
def test_setting_up_a_client_shows_what_it_would_write(line: str, reader: Home) -> None:
    looked = ran(reader, [*shlex.split(line), "--dry-run"])
    assert looked.returncode == 0, looked.stderr
    assert COMMAND in looked.stdout
    done = ran(reader, [*shlex.split(line), "--yes"])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [line for line in LINES if re.search(r"mlx (doctor|models recommend|token)$", line)])
def test_what_only_looks_ends_well(line: str, reader: Home) -> None:
    done = ran(reader, shlex.split(line))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


@pytest.mark.parametrize("line", [line for line in LINES if "models pull" in line])
def test_a_download_without_a_network_says_so_in_a_line(line: str, reader: Home) -> None:
    done = ran(reader, shlex.split(line))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "mlx-community/" in done.stderr


def test_the_five_commands_of_the_loop_work_in_order(reader: Home) -> None:
    (loop,) = [block for block in fenced("sh") if "sessions import" in block]
    lines = loop.splitlines()
    assert len(lines) == 5
    said = list[str]()
    for line in lines:
        words = shlex.split(line)
        if "train-adapter" in words:
            words.append("iterations=4")  # the tests' patience
        done = ran(reader, words)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        said.append(done.stdout)
    assert "Wobble" in said[1]
    assert "support-style" in said[2]
    assert "adapter support-style" in said[3]
    assert (reader.folder / "exported" / "adapters.safetensors").exists()


def test_serving_over_http_and_installing_it_work(reader: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = [shlex.split(line) for line in LINES if "mlx serve " in line]
    assert len(serving) == 2
    for words in serving:
        if "--install" in words:
            done = ran(reader, [*words, "--port", str(free_port())])
            assert done.returncode == 0, done.stderr
            assert "begin it with" in done.stderr
        else:
            with served(reader, *words[words.index("--http") + 1 :]) as front:
                assert front.process.poll() is None


# --- the tools


def paths_of(home: Home) -> dict[str, str]:
    """Where the files are that the examples name."""
    folder = home.folder / "example"
    folder.mkdir(exist_ok=True)
    for name, sample in (("shapes.png", "before.png"), ("monday.ogg", "commands.ogg")):
        shutil.copyfile(SAMPLES / sample, folder / name)
    (folder / "monday.srt").unlink(missing_ok=True)
    return {"/Users/me/pictures": str(folder), "/Users/me/meetings": str(folder)}


async def test_every_example_of_a_tool_is_answered(own_home: Home) -> None:
    examples = re.findall(r"^```json ([a-z-]+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in examples if name != "answer"] == [
        "generate", "describe-image", "transcribe", "record-session", "train-adapter", "list-library", "check-job",
        "cancel-job",
    ]  # fmt: skip
    assert {tool.name for tool in ALL_TOOLS} == {name for name, _ in examples if name != "answer"}
    answers, paths = dict[str, dict[str, Any]](), paths_of(own_home)
    async with own_home.client("--allow", str(own_home.folder / "example")) as client:
        for name, content in examples:
            if name == "answer":
                _compare(json.loads(content), answers["generate"])
                continue
            for shown, real in paths.items():
                content = content.replace(shown, real)
            given = json.loads(content)
            if "job" in given:
                given["job"] = answers["generate"]["job"]
            if name == "train-adapter":
                await _enough(client)
            result = await client.call_tool(name, given)
            assert not result.is_error, f"{name}: {text(result)}"
            answers[name] = answer(result)
    assert answers["describe-image"]["json"] == {"color": "green", "shape": "star"}
    assert "-->" in (own_home.folder / "example" / "monday.srt").read_text()
    assert answers["train-adapter"]["job"].startswith("train-")


async def _enough(client: Any) -> None:
    """One conversation is none to learn from and to hold back: the example's reader has recorded more."""
    for word in NOUNS[:11]:
        messages = [{"role": "user", "content": f"Wobble {word}."}, {"role": "assistant", "content": f"{word}!"}]
        await client.call_tool("record-session", {"session": "support", "messages": messages})


def _compare(shown: dict[str, Any], given: dict[str, Any]) -> None:
    """The answer that is shown has the fields of a real one, and what does not change is the same."""
    assert shown.keys() <= given.keys()
    assert {name: shown[name] for name in ("state", "json", "model", "finish_reason")} == {
        name: given[name] for name in ("state", "json", "model", "finish_reason")
    }
    for inner in ("usage", "timing"):
        assert shown[inner].keys() == given[inner].keys()


# --- what else it promises


def test_every_setting_and_every_command_is_described(shared_home: Home) -> None:
    for name in Settings.model_fields:
        flag = f"--{name.replace('_', '-')}"
        assert f"`{name}`" in README or f"`{flag}" in README, name
    said = shared_home.command("--help").stdout
    commands = re.findall(r"^  ([a-z]+)  +\S", said.partition("Commands:")[2], re.MULTILINE)
    assert len(commands) >= 10
    for command in commands:
        assert f"`{COMMAND} {command}" in README, command


def test_the_flags_of_the_settings_are_the_options_of_a_client() -> None:
    assert set(re.findall(r"^\| `(--[a-z-]+)", README, re.MULTILINE)) == {option.flag for option in OPTIONS.values()}


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"])
def test_links_and_named_files_lead_somewhere(name: str) -> None:
    path = ROOT / name
    content = path.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", content):
        assert link.startswith("https://") or (path.parent / link).exists(), link
    for file in re.findall(r"`((?:tests|adapters|mcp_server|examples)/[\w/.-]+)`", content):
        assert (ROOT / file).exists(), file
