"""Every phase of a job has a name that is declared, and every name that is declared is some job's phase."""

import ast
from collections.abc import Iterator
from typing import get_args

from adapters.protocol.jobs import Phase
from mcp_server.tools.outcomes import ALL_PHASES
from tests.architecture.source import module_name, sources, tree

PHASES = set(get_args(Phase))


def calls() -> Iterator[tuple[str, ast.expr | None]]:
    """Yield each `Progress(...)` with a phase: where it stands, and the expression that is its phase."""
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Progress":
                phases = [word.value for word in node.keywords if word.arg == "phase"]
                if phases:
                    yield f"{module_name(path)}:{node.lineno}", phases[0]


def test_every_phase_is_written_out_and_declared() -> None:
    assert [where for where, phase in calls() if not isinstance(phase, ast.Constant) or phase.value not in PHASES] == []


def test_every_declared_phase_is_used() -> None:
    used = {phase.value for _, phase in calls() if isinstance(phase, ast.Constant)}
    assert used == PHASES


def test_every_phase_has_a_place_on_a_client_s_bar() -> None:
    assert set(ALL_PHASES) == PHASES
