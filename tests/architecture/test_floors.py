"""How the house is built: every module stands above all that it imports, and every room can be seen at a glance."""

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, module_name, own_imports, sources, tree

# From the ground up. A module may import what stands on lower floors, and what is in its own unit; never its neighbours.
ADAPTERS = (
    ("adapters.errors", "adapters.options", "adapters.protocol", "adapters.sizes", "adapters.sockets"),
    ("adapters.command_line", "adapters.files", "adapters.places", "adapters.schemas"),
    ("adapters.settings",),
    ("adapters.media", "adapters.models", "adapters.recordings"),
    ("adapters.datasets", "adapters.lora"),
    ("adapters.training",),
    ("adapters.mlx",),
    ("adapters.engine",),
    ("adapters.strands",),
)
MLX = (
    ("adapters.mlx.allocation", "adapters.mlx.thread", "adapters.mlx.text", "adapters.mlx.lora"),
    ("adapters.mlx.loading", "adapters.mlx.generation", "adapters.mlx.speech"),
    ("adapters.mlx.fusing", "adapters.mlx.residency", "adapters.mlx.training"),
    ("adapters.mlx.prepare",),
    ("adapters.mlx.serving",),
    ("adapters.mlx.backend",),
)
SERVER = (
    ("mcp_server.envelope", "mcp_server.options", "mcp_server.request_id", "mcp_server.sizes", "mcp_server.ways_out"),
    ("mcp_server.clients", "mcp_server.grants", "mcp_server.notices"),
    ("mcp_server.connection",),
    ("mcp_server.tools",),
    ("mcp_server.completions", "mcp_server.prompts", "mcp_server.resources"),
    ("mcp_server.server",),
    ("mcp_server.http",),
    ("mcp_server.host",),
    ("mcp_server.shim",),
    ("mcp_server.doctor", "mcp_server.packaging"),
    ("mcp_server.cli",),
    ("mcp_server.__main__",),
)
MOST_LINES, MOST_FUNCTION_LINES = 400, 60


@pytest.mark.parametrize("floors", [ADAPTERS, MLX, SERVER], ids=["adapters", "mlx", "mcp_server"])
def test_no_import_leads_upward(floors: tuple[tuple[str, ...], ...]) -> None:
    level = {unit: height for height, units in enumerate(floors) for unit in units}

    def unit(module: str) -> str | None:
        return next((name for name in level if module == name or module.startswith(f"{name}.")), None)

    upward = [
        f"{module} -> {target}"
        for module, targets in own_imports().items()
        for target in targets
        if (above := unit(module)) and (below := unit(target)) and above != below and level[below] >= level[above]
    ]
    assert sorted(upward) == []


@pytest.mark.parametrize(("package", "floors"), [("adapters", ADAPTERS), ("adapters.mlx", MLX), ("mcp_server", SERVER)])
def test_every_module_stands_on_a_floor(package: str, floors: tuple[tuple[str, ...], ...]) -> None:
    units = {unit for level in floors for unit in level} | {"adapters.starter"}
    inside = [module for module in own_imports() if module.startswith(f"{package}.")]
    assert [m for m in inside if not any(m == unit or m.startswith(f"{unit}.") for unit in units)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    below = own_imports()

    def reached(start: str) -> set[str]:
        found, left = set[str](), [start]
        while left:
            for target in below[left.pop()] - found:
                found.add(target)
                left.append(target)
        return found

    # A package's `__init__` hands on the names of its own modules.
    circles = [
        f"{module} -> {target}"
        for module in below
        for target in below[module]
        if module in reached(target) and not module.startswith(f"{target}.") and not target.startswith(f"{module}.")
    ]
    assert sorted(circles) == []


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_a_file_can_be_read_at_a_glance(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > MOST_FUNCTION_LINES} == {}, path.relative_to(
        ROOT
    )
