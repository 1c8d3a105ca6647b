"""The service that starts HTTP at log-in: its command is whole and absolute, whatever is in it."""

import plistlib
import shlex
import sys
from pathlib import Path

import pytest

from adapters.errors import InvalidRequest
from mcp_server.http.service import service
from tests.running import Home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MCP_SERVER_MLX_HOME", str(tmp_path / 'my "100%" home'))
    monkeypatch.delenv("HF_HUB_CACHE")
    return tmp_path


def test_a_systemd_unit_runs_this_installation(home: Path) -> None:
    made = service(["serve", "--http", "--allow", "/data/my files", "--model", 'a"b%c$d'], "linux")
    made.install()
    assert made.path == home / ".config/systemd/user/mcp-server-mlx.service"
    (line,) = [line for line in made.path.read_text().splitlines() if line.startswith("ExecStart=")]
    words = shlex.split(line.removeprefix("ExecStart=").replace("%%", "%").replace("$$", "$"))
    assert words == [
        sys.executable, "-P", "-m", "mcp_server", "serve", "--http", "--allow", "/data/my files", "--model", 'a"b%c$d',
    ]  # fmt: skip
    (variable,) = [line for line in made.path.read_text().splitlines() if line.startswith("Environment=")]
    assert shlex.split(variable.removeprefix("Environment=").replace("%%", "%")) == [
        f'MCP_SERVER_MLX_HOME={home}/my "100%" home'
    ]
    assert "enable --now" in made.begin
    assert made.remove()
    assert not made.remove()


def test_a_launchd_agent_runs_this_installation(home: Path) -> None:
    made = service(["serve", "--http"], "darwin")
    made.install()
    assert made.path.parent == home / "Library/LaunchAgents"
    agent = plistlib.loads(made.path.read_bytes())
    assert agent["ProgramArguments"] == [sys.executable, "-P", "-m", "mcp_server", "serve", "--http"]
    assert agent["EnvironmentVariables"] == {"MCP_SERVER_MLX_HOME": f'{home}/my "100%" home'}
    assert agent["RunAtLoad"] is True


def test_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    (home / ".config").write_text("a file in its place")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        service([], "linux").install()


def test_other_systems_have_no_service() -> None:
    with pytest.raises(InvalidRequest, match="not for plan9"):
        service([], "plan9")


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of systemd is written on Linux")
def test_the_command_writes_and_removes_it_with_its_options(own_home: Home, home: Path) -> None:
    ran = own_home.command("serve", "--install", "--port", "9123", "--allow", str(home), "--read-only")
    assert ran.returncode == 0, ran.stderr
    unit = (home / ".config/systemd/user/mcp-server-mlx.service").read_text()
    assert f"serve --http --address 127.0.0.1 --port 9123 --allow {home} --read-only" in unit
    assert "systemctl --user" in ran.stderr
    assert own_home.command("serve", "--uninstall").returncode == 0
    assert not (home / ".config/systemd/user/mcp-server-mlx.service").exists()


def test_an_install_with_a_wrong_option_writes_nothing(own_home: Home, home: Path) -> None:
    ran = own_home.command("serve", "--install", "--reply-within", "0")
    assert ran.returncode == 1
    assert "reply_within" in ran.stderr
    assert not (home / ".config/systemd").exists()
