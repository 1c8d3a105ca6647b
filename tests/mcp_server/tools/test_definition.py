"""What the server knows of a tool comes from its definition alone."""

import itertools

import pytest

from adapters.models.recommended import ABILITIES
from adapters.protocol.jobs import Progress
from mcp_server.tools import ALL_TOOLS
from mcp_server.tools.definition import COMMON_PHASES, Phases, percent
from mcp_server.tools.outcomes import ALL_PHASES, JOB_TOOLS


def test_every_tool_that_starts_jobs_answers_for_them() -> None:
    assert {tool.name for tool in ALL_TOOLS if tool.jobs} == {tool.name for tool in JOB_TOOLS}
    kinds = [kind for tool in JOB_TOOLS if tool.jobs for kind in tool.jobs.kinds]
    assert sorted(kinds) == sorted(set(kinds))


def test_a_phase_lies_in_the_same_place_in_every_tool() -> None:
    phases: list[Phases] = [tool.jobs.phases for tool in JOB_TOOLS if tool.jobs]
    for one, other in itertools.combinations(phases, 2):
        assert {phase: one[phase] for phase in one.keys() & other.keys()} == {
            phase: other[phase] for phase in one.keys() & other.keys()
        }
    assert all(COMMON_PHASES.items() <= dict(one).items() for one in phases)


def test_the_default_model_of_every_job_is_one_that_can_be_recommended() -> None:
    assert {tool.jobs.ability for tool in JOB_TOOLS if tool.jobs} == set(ABILITIES)


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress(phase="waiting"), 0.0),
        (Progress(phase="loading", done=1, total=4, unit="bytes"), 45.0),
        (Progress(phase="writing", done=50, total=100, unit="tokens"), 84.5),
        (Progress(phase="writing", done=500, total=100, unit="tokens"), 99.0),
    ],
)
def test_a_phase_and_its_part_make_one_bar(progress: Progress, shown: float) -> None:
    assert percent(progress, ALL_PHASES) == shown
