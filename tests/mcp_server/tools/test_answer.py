"""What the tools answer, from a job as the engine tells it."""

import stat
from pathlib import Path
from typing import Any

import pytest

from adapters.protocol.generation import Completion, Generated, Partial, Timing, Usage
from adapters.protocol.jobs import JobView, Progress
from adapters.settings import Settings, for_client
from mcp_server.tools.answer import MOST_CHARACTERS, answer_of, as_text


@pytest.fixture
def settings(isolated: Path, tmp_path: Path) -> Settings:
    return for_client({"output": str(tmp_path / "out")})


def completion(text: str, **changes: Any) -> Completion:
    timing = Timing(queued_s=0, load_s=0, first_token_s=0.1, total_s=1, tokens_per_second=10)
    usage = Usage(prompt_tokens=5, cached_tokens=2, completion_tokens=9)
    base = Completion(text=text, finish_reason="stop", usage=usage, timing=timing)
    return base.model_copy(update=changes)


def view(*completions: Completion, **changes: Any) -> JobView:
    outcome = Generated(model="m", adapter=None, completions=list(completions)) if completions else None
    base = JobView(
        job="gen-000000000001",
        kind="generate",
        state="done",
        model="m",
        created=0.0,
        progress=Progress(phase="writing"),
        outcome=outcome,
    )
    return base.model_copy(update=changes)


def test_a_long_answer_is_bounded_and_the_whole_is_in_a_file(settings: Settings) -> None:
    text = "word " * MOST_CHARACTERS
    answer = answer_of(view(completion(text)), settings)
    assert (answer.truncated, answer.text) == (True, text[:MOST_CHARACTERS])
    assert answer.file is not None
    path = Path(answer.file)
    assert path.parent == settings.output
    assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert answer.file in as_text(answer)


def test_many_long_answers_are_bounded_together(settings: Settings) -> None:
    answer = answer_of(view(*[completion("x" * MOST_CHARACTERS)] * 10), settings)
    assert answer.results is not None
    assert sum(len(one.text) for one in answer.results) <= MOST_CHARACTERS
    assert answer.truncated
    assert len({one.file for one in answer.results}) == 10


def test_a_short_answer_is_whole(settings: Settings) -> None:
    answer = answer_of(view(completion("short")), settings)
    assert (answer.truncated, answer.file, answer.text) == (False, None, "short")
    assert settings.output is not None
    assert not settings.output.exists()


def test_a_job_that_runs_says_how_to_go_on(settings: Settings) -> None:
    running = view(
        state="running",
        partial=[Partial(text="one two")],
        progress=Progress(phase="writing", done=2, total=9, unit="tokens"),
    )
    answer = answer_of(running, settings)
    assert (answer.state, answer.text, answer.phase) == ("running", "one two", "writing 2 of 9 tokens")
    assert "Call check-job with job gen-000000000001" in as_text(answer)


def test_one_failed_answer_of_many_is_told_in_its_place(settings: Settings) -> None:
    failed = completion("", error={"type": "ContextOverflow", "message": "too long; shorten it"})
    answer = answer_of(view(completion("fine"), failed), settings)
    assert answer.results is not None
    assert [one.state for one in answer.results] == ["done", "failed"]
    assert "2. too long; shorten it" in as_text(answer)
    assert "1 FAILED" in as_text(answer)


def test_a_cut_answer_says_so(settings: Settings) -> None:
    assert "CUT" in as_text(answer_of(view(completion("a", finish_reason="length")), settings))
