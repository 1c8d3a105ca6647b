"""The MCP Inspector's command line: what a developer looks at a server with, and its lint of tool schemas."""

import json
import sys

import pytest

from tests.mcp_server.http.served import served
from tests.npm import installed
from tests.running import Home

INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
STDIO = (sys.executable, "-m", "mcp_server")


def inspected(home: Home, *arguments: str) -> tuple[int, str]:
    """Its exit code and all that it said. It hands hardly any of its environment on: a server has to be given its own."""
    given = ["-e", f"MCP_SERVER_MLX_HOME={home.folder}"] if "-m" in arguments else []
    environment = home.environment | {"HOME": str(home.folder)}
    ran = installed().run(INSPECTOR, "--cli", *arguments, *given, env=environment, cwd=home.folder)
    return ran.returncode, ran.stdout + ran.stderr


def test_the_schemas_of_all_tools_pass_its_lint(shared_home: Home) -> None:
    code, said = inspected(shared_home, *STDIO, "--method", "tools/list", "--strict")
    assert code == 0, said


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_it_calls_a_tool_over_stdio(era: str, shared_home: Home) -> None:
    jobs = len(shared_home.jobs())
    call = ["--method", "tools/call", "--tool-name", "generate", "--tool-arg", "prompt=Uppercase: small house"]
    code, said = inspected(shared_home, *STDIO, "--protocol-era", era, *call, "--format", "json")
    assert code == 0, said
    assert "SMALL HOUSE" in said
    assert len(shared_home.jobs()) > jobs, "the server ran in another home"


def test_it_calls_a_tool_over_http(shared_home: Home) -> None:
    with served(shared_home) as front:
        over = [front.url, "--transport", "http", "--method", "tools/call", "--tool-name", "generate"]
        given = ["--tool-args-json", json.dumps({"prompt": "Uppercase: small house"}), "--format", "json"]
        code, said = inspected(shared_home, *over, *given, "--header", f"Authorization: Bearer {front.token}")
        assert code == 0, said
        assert "SMALL HOUSE" in said
        code, said = inspected(shared_home, *over, *given, "--header", "Authorization: Bearer wrong")
        assert code != 0, said


def test_a_tool_error_is_an_error_to_it(shared_home: Home) -> None:
    call = ["--method", "tools/call", "--tool-name", "generate", "--tool-arg", "model=no-such-model"]
    code, said = inspected(shared_home, *STDIO, *call, "--tool-arg", "prompt=Hi", "--format", "json")
    assert code == 5, said
    assert "there is no model 'no-such-model'" in said
