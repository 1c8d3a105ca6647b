"""Setting up clients: each file keeps what is in it, and each entry starts."""

import contextlib
import json
import os
import pty
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp import Client, StdioServerParameters

from mcp_server.clients.configuration import configuration
from mcp_server.clients.entry import is_ours
from mcp_server.clients.entry_shapes import start_of
from mcp_server.clients.known import CLIENTS, known_client
from tests.running import Home

pytestmark = pytest.mark.anyio


@pytest.fixture
def user(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A user whose home folder is empty; this process sees it, too."""
    (own_home.folder / "user").mkdir()
    monkeypatch.setenv("HOME", str(own_home.folder / "user"))
    for variable in (
        "CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME", "CLINE_DIR", "CLINE_DATA_DIR", "CLINE_MCP_SETTINGS_PATH",
        "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "QWEN_HOME", "GEMINI_CLI_HOME", "XDG_CONFIG_HOME", "CONTINUE_GLOBAL_DIR",
    ):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    return own_home


def setup(user: Home, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return user.command("setup", *arguments)


def path_of(client: str) -> Path:
    return known_client(client).path()


def entry_of(client: str, name: str = "mlx") -> dict[str, Any]:
    return configuration(known_client(client)).servers()[name]


WRITTEN = [client.name for client in CLIENTS if client.form != "yaml"]


@pytest.mark.parametrize("client", WRITTEN)
async def test_the_entry_of_every_client_starts_and_offers_its_tools(client: str, user: Home) -> None:
    ran = setup(user, client, "--yes", "--allow", str(user.folder), "--model", "starter")
    assert ran.returncode == 0, ran.stderr
    start = start_of(entry_of(client))
    assert start
    command, *arguments = start.words
    assert os.path.isabs(command)
    parameters = StdioServerParameters(
        # What a desktop starts it with: hardly any PATH, and its own working directory.
        command=command, args=arguments, env={"PATH": "/usr/bin:/bin"} | start.env, cwd="/",
    )  # fmt: skip
    async with Client(parameters) as started:
        assert "generate" in [tool.name for tool in (await started.list_tools()).tools]


def test_without_a_name_it_shows_which_clients_are_here(user: Home) -> None:
    setup(user, "cursor", "--yes")
    for client, content in (("vscode", "{}"), ("windsurf", "{")):
        path_of(client).parent.mkdir(parents=True)
        path_of(client).write_text(content)
    shown = setup(user)
    assert shown.returncode == 0, shown.stderr
    states = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert set(states) >= {client.name for client in CLIENTS}
    assert states["cursor"].rstrip().endswith("has this server, as mlx")
    assert states["vscode"].rstrip().endswith("is here, without this server")
    assert "cannot be read" in states["windsurf"]
    assert states["codex"].rstrip().endswith("no configuration found")


def test_the_deadline_fits_the_client(user: Home) -> None:
    for client, seconds in (("claude-desktop", "45"), ("claude-code", "100"), ("codex", "100")):
        setup(user, client, "--yes")
        given = entry_of(client)["args"]
        assert given[given.index("--reply-within") + 1] == seconds
    assert entry_of("codex")["tool_timeout_sec"] > 100
    setup(user, "cursor", "--yes", "--reply-within", "20")
    assert entry_of("cursor")["args"] == ["--reply-within", "20"]


def test_an_entry_has_every_option_that_was_given(user: Home, tmp_path: Path) -> None:
    given = {
        "--allow": str(tmp_path), "--output": str(tmp_path), "--model": "a", "--vision-model": "b", "--speech-model": "c",
        "--reply-within": "9.5", "--tools": "generate,check-job",
    }  # fmt: skip
    words = [word for pair in given.items() for word in pair] + ["--read-only", "--offline"]
    ran = setup(user, "cursor", "--yes", *words)
    assert ran.returncode == 0, ran.stderr
    assert entry_of("cursor")["args"] == words


def test_an_entry_says_where_things_are_that_were_moved(user: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "~/models")
    setup(user, "claude-desktop", "--yes")
    told = entry_of("claude-desktop")["env"]
    assert told["MCP_SERVER_MLX_HOME"] == str(user.folder)
    assert told["HF_HOME"] == str(user.folder / "user" / "models")
    assert "HF_TOKEN" not in told


def test_what_else_is_in_the_file_stays_and_a_backup_is_kept(user: Home) -> None:
    path = path_of("vscode")
    path.parent.mkdir(parents=True)
    before = '{\n    // mine\n    "servers": {\n        "other": { "url": "http://x" }, // keep\n    },\n}\n'
    path.write_text(before)
    path.chmod(0o640)
    ran = setup(user, "vscode", "--yes")
    assert ran.returncode == 0, ran.stderr
    for line in before.splitlines():
        assert line in path.read_text().splitlines()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    (backup,) = path.parent.glob("*.bak")
    assert backup.read_text() == before
    assert '+    "mlx": {' in ran.stdout
    assert "http://x" not in ran.stdout
    assert setup(user, "vscode", "--yes", "--remove").returncode == 0
    assert path.read_text() == before


def test_toml_keeps_its_comments(user: Home) -> None:
    path = path_of("codex")
    path.parent.mkdir(parents=True)
    before = '# mine\nmodel = "x" # why\n\n[mcp_servers.other]\ncommand = "o"\n'
    path.write_text(before)
    assert setup(user, "codex", "--yes").returncode == 0
    assert path.read_text().startswith(before)
    servers = tomllib.loads(path.read_text())["mcp_servers"]
    assert list(servers) == ["other", "mlx"]
    assert setup(user, "codex", "--yes", "--remove").returncode == 0
    assert path.read_text().strip() == before.strip()


def test_a_dry_run_shows_and_writes_nothing(user: Home) -> None:
    ran = setup(user, "claude-desktop", "--dry-run")
    assert '"mlx": {' in ran.stdout
    assert not path_of("claude-desktop").exists()


def test_nothing_is_written_unasked(user: Home) -> None:
    ran = setup(user, "claude-desktop")
    assert ran.returncode == 1
    assert "add --yes" in ran.stderr
    assert not path_of("claude-desktop").exists()


@pytest.mark.parametrize(("answered", "written"), [("y", True), ("n", False)])
def test_a_person_is_asked_for_folders_and_before_anything_is_written(
    answered: str, written: bool, user: Home, tmp_path: Path
) -> None:
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "mcp_server", "setup", "cursor"]
    environment = user.environment | {"TERM": "dumb"}
    with subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal) as asking:
        os.close(terminal)
        # No such folder, then one, then no more; and at last whether to write.
        os.write(person, f"/no/such/folder\n{tmp_path}\n\n{answered}\n".encode())
        said = b""
        with contextlib.suppress(OSError):  # the terminal ends with the program
            while piece := os.read(person, 4096):
                said += piece
        assert asking.wait(60) == (0 if written else 130), said
    os.close(person)
    assert b"/no/such/folder is not a folder" in said
    assert path_of("cursor").exists() == written
    if written:
        assert entry_of("cursor")["args"][:2] == ["--allow", str(tmp_path)]


def test_setting_up_again_changes_nothing_and_new_options_change_only_theirs(user: Home) -> None:
    setup(user, "cursor", "--yes")
    path = path_of("cursor")
    content = json.loads(path.read_text())
    content["mcpServers"]["mlx"] |= {"disabled": True, "env": {"MINE": "1"}}
    path.write_text(json.dumps(content))
    again = setup(user, "cursor", "--yes", "--offline")
    assert again.returncode == 0
    entry = entry_of("cursor")
    assert entry["args"][0] == "--offline"
    assert entry["disabled"] is True
    assert entry["env"]["MINE"] == "1"
    assert "nothing was changed" in setup(user, "cursor", "--yes", "--offline").stdout


@pytest.mark.parametrize("content", ['{"mcpServers": {', "{'a': 1}", '{"mcpServers": []}', "\0\0", '{"a": 1} // c'])
def test_a_broken_file_is_left_as_it_is(content: str, user: Home) -> None:
    path = path_of("claude-desktop")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    ran = setup(user, "claude-desktop", "--yes")
    assert ran.returncode == 1
    assert str(path) in ran.stderr
    assert "orrect it first" in ran.stderr
    assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_read_only_file_is_left_as_it_is(user: Home) -> None:
    path = path_of("cursor")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    path.chmod(0o444)
    ran = setup(user, "cursor", "--yes")
    assert ran.returncode == 1
    assert "read-only" in ran.stderr
    assert path.read_text() == "{}"


def test_a_link_stays_and_what_it_leads_to_is_changed(user: Home, tmp_path: Path) -> None:
    kept, path = tmp_path / "dotfiles.json", path_of("cursor")
    kept.write_text("{}")
    path.parent.mkdir(parents=True)
    path.symlink_to(kept)
    assert setup(user, "cursor", "--yes").returncode == 0
    assert path.is_symlink()
    assert "mlx" in kept.read_text()


def test_another_servers_entry_is_never_touched(user: Home) -> None:
    path = path_of("cursor")
    path.parent.mkdir(parents=True)
    path.write_text('{"mcpServers": {"mlx": {"command": "/somebody/elses"}}}')
    for arguments in (["--yes"], ["--yes", "--remove"]):
        ran = setup(user, "cursor", *arguments)
        assert ran.returncode == 1
        assert "another server" in ran.stderr
    assert setup(user, "cursor", "--yes", "--name", "mlx-local").returncode == 0
    assert set(json.loads(path.read_text())["mcpServers"]) == {"mlx", "mlx-local"}
    assert "has no server 'gone'" in setup(user, "cursor", "--yes", "--remove", "--name", "gone").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "known are claude-desktop"),
        (["--offline"], "name the client that these options are for: claude-desktop"),
        (["cursor", "--allow", "/no/such/folder"], "is not a folder"),
        (["cursor", "--tools", "generat"], "there is no tool 'generat'"),
        (["cursor", "--reply-within", "0"], "reply_within"),
        (["windsurf", "--project", "/tmp"], "no configuration for a project"),
    ],
)
def test_an_entry_that_could_not_start_is_not_written(arguments: list[str], said: str, user: Home) -> None:
    ran = setup(user, *arguments, "--yes")
    assert ran.returncode == 1
    assert said in ran.stderr
    assert not list((user.folder / "user").iterdir())


def test_a_projects_own_file_is_written_in_its_folder(user: Home, tmp_path: Path) -> None:
    assert setup(user, "claude-code", "--yes", "--project", str(tmp_path)).returncode == 0
    assert json.loads((tmp_path / ".mcp.json").read_text())["mcpServers"]["mlx"]["type"] == "stdio"


def test_a_folder_that_cannot_be_made_is_told(user: Home) -> None:
    (user.folder / "user" / ".cursor").write_text("a file in its place")
    ran = setup(user, "cursor", "--yes")
    assert ran.returncode == 1
    assert "nothing was changed" in ran.stderr


def test_ours_is_known_in_every_form() -> None:
    assert is_ours({"command": "/v/bin/mcp-server-mlx"})
    assert is_ours({"command": sys.executable, "args": ["-m", "mcp_server"]})
    assert is_ours({"command": "/usr/bin/uvx", "args": ["mcp-server-mlx", "--offline"]})
    assert not is_ours({"command": "npx", "args": ["other"]})
    assert not is_ours("text")


@pytest.mark.parametrize(
    ("client", "before"),
    [
        ("cursor", '{"mcpServers":{"other":{"env":{"KEY":"s3cret"}}}}'),
        ("codex", '[mcp_servers.other]\nenv={K="s3cret"}\n'),
    ],
)
def test_the_keys_of_other_servers_are_never_shown(client: str, before: str, user: Home) -> None:
    path_of(client).parent.mkdir(parents=True)
    path_of(client).write_text(before)
    for more in ([], ["--remove"]):
        ran = setup(user, client, "--yes", *more)
        assert ran.returncode == 0, ran.stderr
        assert "mlx" in ran.stdout
        assert "s3cret" not in ran.stdout + ran.stderr
    assert "s3cret" in path_of(client).read_text()


@pytest.mark.parametrize("client", [None, "cursor", "opencode", "continue", "goose"])
def test_the_piece_to_paste_is_alone_on_stdout_and_nothing_is_written(client: str | None, user: Home) -> None:
    ran = setup(user, *([client] if client else []), "--print", "--allow", str(user.folder))
    assert ran.returncode == 0, ran.stderr
    found = yaml.safe_load(ran.stdout)  # JSON is YAML, too
    (servers,) = found.values()
    entry = servers[0] if client == "continue" else servers["mlx"]
    assert is_ours(entry)
    start = start_of(entry)
    assert start
    assert start.env["MCP_SERVER_MLX_HOME"] == str(user.folder)
    assert not list((user.folder / "user").iterdir())


def test_codex_is_told_to_run_its_tools_only_where_that_is_asked_for(user: Home) -> None:
    setup(user, "codex", "--yes")
    assert "default_tools_approval_mode" not in entry_of("codex")
    setup(user, "codex", "--yes", "--approve")
    assert entry_of("codex")["default_tools_approval_mode"] == "approve"
    ran = setup(user, "cursor", "--yes", "--approve")
    assert ran.returncode == 1
    assert "no word for --approve" in ran.stderr


def test_gemini_cli_follows_its_variable_and_an_untrusted_folder_is_told(
    user: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEMINI_CLI_HOME", str(tmp_path))
    assert "starts no server in a folder" in setup(user, "gemini-cli", "--yes").stdout
    assert (tmp_path / ".gemini/settings.json").exists()
    (tmp_path / ".gemini/trustedFolders.json").write_text(json.dumps({str(Path.cwd().parent): "TRUST_FOLDER"}))
    assert "does not trust" not in setup(user, "gemini-cli", "--yes").stdout


def test_two_entries_of_one_name_are_told(user: Home, tmp_path: Path) -> None:
    assert "too: within" not in setup(user, "claude-code", "--yes").stdout
    said = setup(user, "claude-code", "--yes", "--project", str(tmp_path)).stdout
    assert "Claude Code takes only one of the two" in said


def test_the_file_with_comments_is_taken_where_there_is_one(user: Home) -> None:
    folder = user.folder / "user/.config/opencode"
    folder.mkdir(parents=True)
    before = '{\n  // mine\n  "mcp": {}\n}\n'
    (folder / "opencode.jsonc").write_text(before)
    assert setup(user, "opencode", "--yes").returncode == 0
    assert "// mine" in (folder / "opencode.jsonc").read_text()
    assert not (folder / "opencode.json").exists()


def test_what_a_person_chose_in_a_nested_entry_stays(user: Home) -> None:
    setup(user, "cline", "--yes")
    path = path_of("cline")
    content = json.loads(path.read_text())
    content["mcpServers"]["mlx"]["transport"]["env"] = {"MINE": "1"}
    path.write_text(json.dumps(content))
    setup(user, "cline", "--yes", "--offline")
    transport = entry_of("cline")["transport"]
    assert transport["env"]["MINE"] == "1"
    assert transport["args"][0] == "--offline"
