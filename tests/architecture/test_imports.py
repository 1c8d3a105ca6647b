"""Who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, imported, sources, tree

AGENT = ROOT / "adapters" / "strands"


def is_mlx(module: str) -> bool:
    return module.split(".")[0] in ("mlx", "mlx_lm", "mlx_vlm", "mlx_audio")


@pytest.mark.parametrize("path", sources("adapters"), ids=lambda path: str(path.relative_to(ROOT)))
def test_adapters_know_nothing_of_the_server(path: Path) -> None:
    """What serves an agent is a client of the server like any other: it may speak the protocol, and no more."""
    forbidden = {"mcp_server"} if AGENT in path.parents else {"mcp_server", "mcp", "mcp_types"}
    assert not [name for name in imported(path) if name.split(".")[0] in forbidden]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_what_serves_an_agent_needs_strands(path: Path) -> None:
    if AGENT not in path.parents:
        assert not [
            name for name in imported(path) if name.split(".")[0] == "strands" or name.startswith("adapters.strands")
        ]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_adapters_mlx_imports_mlx(path: Path) -> None:
    if (ROOT / "adapters" / "mlx") not in path.parents:
        assert not [name for name in imported(path) if is_mlx(name)]


def test_the_shim_imports_only_the_standard_library_and_this_project() -> None:
    code = "import sys; before = set(sys.modules); import mcp_server.__main__, mcp_server.shim, mcp_server.host.launch; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    roots = {name.split(".")[0] for name in ran.stdout.split()}
    assert roots - {"mcp_server", "adapters"} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "module", ["adapters.engine.server", "mcp_server.host.__main__", "mcp_server.host.listen", "mcp_server.cli.app"]
)
def test_engine_host_and_command_line_start_without_mlx(module: str) -> None:
    code = f"import sys, {module}; print([name for name in sys.modules if name.split('.')[0] in ('mlx', 'mlx_lm', 'mlx_vlm', 'mlx_audio', 'transformers')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


def test_no_file_prints() -> None:
    """Standard output is the wire: in a server nothing but protocol goes there."""
    servers = [path for path in sources() if not {"cli", "recipes"} & set(path.parts)]
    calls = [
        f"{path}:{node.lineno}"
        for path in servers
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls
