"""doctor finds what is wrong, says what to do about it, and starts what clients would start."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.settings import Settings
from mcp_server.clients.known import known_client
from mcp_server.doctor import checked
from mcp_server.doctor.finding import Finding
from mcp_server.doctor.installation import versions
from tests.running import Home


@pytest.fixture
def user(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A user whose home folder is empty."""
    (own_home.folder / "user").mkdir()
    monkeypatch.setenv("HOME", str(own_home.folder / "user"))
    monkeypatch.setenv("HF_HUB_CACHE", str(own_home.folder / "hub"))
    return own_home


def examined(home: Home) -> dict[str, list[dict[str, Any]]]:
    """What doctor says, by what it is about; its exit code agrees with it."""
    ran = home.command("doctor", "--json")
    told = json.loads(ran.stdout)
    problems = [finding for finding in told["findings"] if finding["state"] == "problem"]
    assert (told["problems"], ran.returncode) == (len(problems), 1 if problems else 0), ran.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in told["findings"]:
        assert finding["state"] == "ok" or finding.get("remedy") or finding["state"] == "note", finding
        found.setdefault(finding["about"], []).append(finding)
    return found


def test_a_fresh_installation_has_no_problems_and_its_engine_answers(user: Home) -> None:
    found = examined(user)
    assert "problem" not in [one["state"] for all_ in found.values() for one in all_]
    for about in ("machine", "what fits", "versions", "settings", "state", "disk", "sockets", "host", "engine"):
        assert about in found
    assert "answered in" in found["engine"][0]["says"]
    assert found["default for text"][0]["remedy"] == "mcp-server-mlx models pull recommended"
    assert user.engines()


def test_it_is_readable_on_a_terminal(user: Home) -> None:
    ran = user.command("doctor")
    assert "ok      machine: " in ran.stdout
    assert "        -> mcp-server-mlx models pull recommended" in ran.stdout
    assert ran.stdout.endswith("0 problems\n")


def test_entries_of_clients_are_started(user: Home) -> None:
    assert user.command("setup", "cursor", "--yes").returncode == 0
    broken, gone = known_client("claude-desktop").path(), known_client("windsurf").path()
    for path, content in (
        (broken, "{not json"),
        (gone, json.dumps({"mcpServers": {"mlx": {"command": "/gone/mcp-server-mlx"}, "other": {"command": "x"}}})),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    wrong = known_client("gemini-cli").path()
    wrong.parent.mkdir(parents=True)
    entry = {"command": sys.executable, "args": ["-m", "mcp_server", "--no-such-option"]}
    wrong.write_text(json.dumps({"mcpServers": {"local": entry}}))
    found = examined(user)
    assert found["Cursor"][0]["state"] == "ok"
    assert "8 tools" in found["Cursor"][0]["says"]
    assert "line 1, column 2" in found["Claude Desktop"][0]["says"]
    assert "no program /gone/mcp-server-mlx" in found["Windsurf"][0]["says"]
    assert found["Windsurf"][0]["remedy"] == "mcp-server-mlx setup windsurf"
    assert "local: does not start: mcp-server-mlx: unknown option '--no-such-option'" in found["Gemini CLI"][0]["says"]
    assert found["Gemini CLI"][0]["remedy"] == "mcp-server-mlx setup gemini-cli --name local"


def test_settings_are_told_with_where_they_are_from(user: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (user.folder / "config").mkdir()
    (user.folder / "config" / "settings.toml").write_text("batch_size = 4\nmodel = 'from-file'\n")
    monkeypatch.setenv("MCP_SERVER_MLX_MODEL", "starter")
    found = examined(user)
    (said,), (usual,) = found["settings"], found["settings as they come"]
    assert f"batch_size = 4 ({user.folder / 'config' / 'settings.toml'})" in said["says"]
    assert "model = 'starter' (MCP_SERVER_MLX_MODEL)" in said["says"]
    told = {part.partition(" = ")[0] for one in (said, usual) for part in one["says"].split("; ")}
    assert told == set(Settings.model_fields)


def test_a_broken_settings_file_is_a_problem_and_the_rest_is_still_looked_at(user: Home) -> None:
    (user.folder / "config").mkdir()
    (user.folder / "config" / "settings.toml").write_text("batch_size = many\n")
    found = examined(user)
    assert found["settings"][0]["state"] == "problem"
    assert "settings.toml" in found["settings"][0]["says"]
    assert found["versions"][0]["state"] == "ok"


def test_what_is_missing_or_refused_is_noted(user: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = user.folder / "hub" / "models--some--model" / "snapshots" / ("a" * 40)
    bad.mkdir(parents=True)
    (bad / "config.json").write_text("{}")
    (bad / "code.py").write_text("")
    (user.folder / "config").mkdir()
    (user.folder / "config" / "settings.toml").write_text("model = 'org/absent'\n")
    (user.folder / "logs").mkdir()
    (user.folder / "logs" / "engine.log").write_text(
        "2001-01-01 00:00:00,000 ERROR old | gone\n9999-01-01 00:00:00,000 ERROR adapters | the disk is full\nTraceback\n"
    )
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("adapters.media.programs.FOLDERS", ())
    found = examined(user)
    assert found["ffmpeg"][0]["remedy"].startswith("install it")
    assert "which is not here yet" in found["default for text"][0]["says"]
    assert any("some/model cannot be used" in one["says"] for one in found["models"])
    assert [one["says"] for one in found["last errors"] if "engine" in one["says"]] == [
        "engine, 9999-01-01 00:00:00: adapters | the disk is full"
    ]


def test_an_engine_that_does_not_start_is_a_problem(user: Home) -> None:
    (user.folder / "run").write_text("a file where the sockets' folder should be")
    found = examined(user)
    assert found["sockets"][0]["state"] == "problem"
    assert found["engine"][0]["state"] == "problem"


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of systemd is written on Linux")
def test_a_service_of_another_installation_and_a_token_for_all_are_problems(user: Home) -> None:
    assert "none is installed" in examined(user)["HTTP service"][0]["says"]
    assert user.command("serve", "--install").returncode == 0
    assert examined(user)["HTTP service"][0]["state"] == "ok"
    unit = user.folder / "user" / ".config/systemd/user/mcp-server-mlx.service"
    unit.write_text(unit.read_text().replace(sys.executable, "/gone/python"))
    (user.folder / "config" / "http-token").chmod(0o644)
    found = examined(user)
    assert "another installation" in found["HTTP service"][0]["says"]
    assert found["HTTP token"][0]["remedy"] == "mcp-server-mlx token --new"


def test_an_entry_that_looks_elsewhere_is_noted(user: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user.command("setup", "cursor", "--yes").returncode == 0
    monkeypatch.setenv("HF_HOME", str(user.folder / "models"))
    found = examined(user)["Cursor"][0]
    assert f"does not know of HF_HOME={user.folder / 'models'}" in found["says"]
    assert found["remedy"] == "mcp-server-mlx setup cursor"


def test_a_check_that_fails_is_a_finding_itself() -> None:
    def broken() -> list[Finding]:
        raise RuntimeError("no such thing")

    (finding,) = checked(broken)
    assert (finding.about, finding.state) == ("broken", "problem")
    assert "no such thing" in finding.says


def test_the_paths_of_clients_follow_their_own_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert known_client("codex").path() == tmp_path / "config.toml"


def test_the_other_package_of_the_name_adapters_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.state for finding in versions()] == ["ok"]
    described = tmp_path / "adapters-1.2.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: adapters\nVersion: 1.2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (problem,) = [finding for finding in versions() if finding.state == "problem"]
    assert "`adapters`" in problem.says
    assert "environment of its own" in (problem.remedy or "")
