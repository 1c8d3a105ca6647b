"""What a training answers: what it will take, how far it is, what was learned."""

import base64
from pathlib import Path
from typing import Any

from mcp.types import CallToolResult, ImageContent
from pydantic import BaseModel, Field

from adapters.protocol.jobs import FINISHED, JobView
from adapters.protocol.training import Evaluation as Measured
from adapters.protocol.training import Preflight, Trained, TrainingState
from adapters.settings import GB
from mcp_server.sizes import progress_text, span
from mcp_server.tools.answers import JobAnswer, tool_result

_LARGEST_PLOT = 1 << 20


class PreflightAnswer(BaseModel):
    """What the training takes, from its rows. Memory and time are estimates."""

    rows: int = Field(description="Rows that are trained on")
    held_back: int = Field(description="Rows that are held back to measure what was learned")
    duplicates: int = Field(description="Rows that say the same as others and were left out")
    too_long: int = Field(description="Rows over max_sequence; `notes` says what became of them")
    dropped: int = Field(description="Rows of which nothing was left to learn from")
    tokens: int = Field(description="Tokens of all rows that are trained on")
    learned_tokens: int = Field(description="Of these, the tokens to be learned: what assistants said")
    longest: int = Field(description="Tokens of the longest row")
    iterations: int = Field(description="Updates of the weights")
    epochs: float = Field(description="How often each row is seen")
    learning_rate: float = Field(description="The learning rate, chosen or given")
    trained_parameters: int = Field(description="Values that are learned")
    memory_bytes: int = Field(description="Memory that it takes, estimated")
    memory_free: int = Field(description="Memory that there is")
    seconds: float = Field(description="Time that it takes, estimated before the first iteration")
    notes: list[str] = Field(default=[], description="What the user should know before trusting the result")


class ExactAnswers(BaseModel):
    rows: int = Field(description="Held-back rows with a short answer")
    base: int = Field(description="Answered exactly by the model without the adapter")
    adapter: int = Field(description="Answered exactly with it")


class EvaluationAnswer(BaseModel):
    """The model against the adapter on rows that it was not trained on."""

    rows: int = Field(description="Rows that were measured")
    base_loss: float = Field(description="Loss a token without the adapter; lower is better")
    adapter_loss: float = Field(description="Loss a token with it")
    exact: ExactAnswers | None = Field(default=None, description="Exact answers, where answers are short")


class TrainingDetails(BaseModel):
    """A training, as far as it is."""

    method: str | None = Field(default=None, description="lora, dora or full")
    preflight: PreflightAnswer | None = Field(default=None, description="What it takes")
    iteration: int = Field(default=0, description="Updates that are done")
    iterations: int = Field(default=0, description="Updates in all")
    loss: float | None = Field(default=None, description="Loss a token on the rows trained on, at the last update")
    validation_loss: float | None = Field(default=None, description="Loss a token on the rows held back")
    tokens_per_second: float | None = Field(default=None, description="Learned tokens a second")
    seconds_left: float | None = Field(default=None, description="Seconds until the last update")
    checkpoint: int | None = Field(default=None, description="The update that a resumed training goes on from")
    ended_early: str | None = Field(default=None, description="Why it ended before the last update")
    best_iteration: int | None = Field(default=None, description="The update that the adapter's weights are from")
    evaluation: EvaluationAnswer | None = Field(default=None, description="What was learned")
    folder: str | None = Field(default=None, description="Where the adapter is")
    plot: str | None = Field(default=None, description="A picture of the losses")


class TrainingAnswer(JobAnswer):
    """A training and what became of it."""

    training: TrainingDetails | None = Field(default=None, description="What it takes, how far it is, what was learned")


def training_of(view: JobView, adapter: str | None = None) -> TrainingAnswer:
    """The answer that a training's view holds."""
    done = view.outcome if isinstance(view.outcome, Trained) else None
    state = view.training or TrainingState()
    details = TrainingDetails(
        preflight=_preflight(done.preflight if done else state.preflight),
        **state.model_dump(
            include={
                "iteration", "iterations", "loss", "validation_loss", "tokens_per_second", "seconds_left", "checkpoint",
            }
        ),
    )  # fmt: skip
    if done is not None:
        details = details.model_copy(update=_done(done))
    answer = TrainingAnswer(
        state=view.state,
        job=view.job,
        model=view.model,
        adapter=done.adapter if done else adapter,
        phase=None if view.state in FINISHED else progress_text(view.progress),
        error=view.error["message"] if view.error else None,
        training=details,
    )
    if view.state in ("failed", "cancelled") and state.checkpoint is not None:
        answer.note = f"the checkpoint of iteration {state.checkpoint} is kept: call train-adapter with resume={view.job} to go on from there"
    answer.text = _text(answer)
    return answer


def training_result(answer: TrainingAnswer, text: str | None = None) -> CallToolResult:
    """The answer with its plot, for clients that show pictures."""
    result = tool_result(answer, text or training_text(answer))
    plot = answer.training.plot if answer.training else None
    if plot and (path := Path(plot)).is_file() and path.stat().st_size <= _LARGEST_PLOT:
        shown = ImageContent(type="image", data=base64.b64encode(path.read_bytes()).decode(), mime_type="image/png")
        result.content.append(shown)
    return result


def training_text(answer: TrainingAnswer) -> str:
    """The same for a client that shows text only."""
    parts = [answer.error or answer.text]
    if answer.note:
        parts.append(answer.note)
    if answer.state not in FINISHED:
        parts.append(f"[call check-job with job {answer.job} and wait_seconds]")
    return "\n\n".join(parts) + (f"\n\n[job {answer.job}]" if answer.state in FINISHED else "")


def _done(done: Trained) -> dict[str, Any]:
    return {
        "method": done.method,
        "iteration": done.iterations,
        "iterations": done.preflight.iterations,
        "tokens_per_second": done.tokens_per_second,
        "seconds_left": None,
        "checkpoint": None,
        "ended_early": done.ended_early,
        "best_iteration": done.best_iteration,
        "evaluation": EvaluationAnswer(**done.evaluation.model_dump()) if done.evaluation else None,
        "folder": done.folder,
        "plot": done.plot,
    }


def _preflight(found: Preflight | None) -> PreflightAnswer | None:
    return PreflightAnswer(**found.model_dump(include=set(PreflightAnswer.model_fields))) if found else None


def _text(answer: TrainingAnswer) -> str:
    details = answer.training
    assert details is not None
    lines = [*_preflight_lines(details.preflight)] if details.preflight else []
    if answer.state == "done":
        ended = f" It ended early: {details.ended_early}." if details.ended_early else ""
        lines.append(f"Trained {details.iteration} iterations.{ended}")
        lines += _evaluation_lines(details.evaluation)
        lines.append(f"Use it: call generate with adapter={answer.adapter}.")
    elif details.iteration:
        left = f", about {span(details.seconds_left)} left" if details.seconds_left and not answer.error else ""
        loss = f", loss {details.loss:.3f}" if details.loss is not None else ""
        lines.append(f"At iteration {details.iteration} of {details.iterations}{loss}{left}.")
    elif answer.phase:
        lines.append(f"Now: {answer.phase}.")
    return "\n".join(lines)


def _preflight_lines(found: PreflightAnswer) -> list[str]:
    rows = f"{found.rows} rows to train on, {found.held_back} held back; {found.tokens} tokens, {found.learned_tokens} of them to learn."
    takes = f"{found.iterations} iterations ({found.epochs:g} epochs) at a learning rate of {found.learning_rate:g}"
    memory = f"about {found.memory_bytes / GB:.2f} of {found.memory_free / GB:.2f} GB free, about {span(found.seconds)}"
    return [rows, f"{takes}; {memory}.", *(f"Note: {note}." for note in found.notes)]


def _evaluation_lines(found: "EvaluationAnswer | Measured | None") -> list[str]:
    if found is None:
        return []
    lines = [f"On {found.rows} rows held back: loss {found.base_loss:.3f} before, {found.adapter_loss:.3f} after."]
    if found.exact:
        exact = found.exact
        lines.append(f"Exact answers: {exact.base} of {exact.rows} before, {exact.adapter} of {exact.rows} after.")
    return lines
