"""The tool `train-adapter`: a local model learns from what was recorded."""

import asyncio
import base64
import os
import time
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent
from pydantic import BaseModel, ConfigDict, Field

from adapters.errors import FileRefused, InvalidRequest, NothingToLearn, from_wire
from adapters.files import open_file
from adapters.lora.trained_adapters import check_free
from adapters.protocol.jobs import FINISHED, JobView
from adapters.protocol.training import (
    Evaluation,
    ExactMatches,
    Preflight,
    Train,
    Trained,
    TrainingOptions,
    TrainingState,
)
from adapters.recordings.conversation import check_session
from adapters.settings import GB, Settings
from mcp_server.connection import Connection
from mcp_server.grants import Grants, opened
from mcp_server.sizes import progress_text, span
from mcp_server.tools.answer import JobAnswer, tool_result
from mcp_server.tools.definition import COMMON_PHASES, Arguments, JobTool, ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.names import named_model
from mcp_server.ways_out import error_text

_LARGEST = 4 << 30
_LARGEST_PLOT = 1 << 20
# What a resumed training may be told: all else is as it was.
_WITH_RESUME = {"adapter", "resume"}


class TrainAdapterArguments(TrainingOptions, Arguments):
    """What an adapter is trained from, and how."""


class PreflightAnswer(Preflight):
    """What the training takes, from its rows. Memory and time are estimates."""

    model_config = ConfigDict(extra="ignore")


class ExactAnswers(ExactMatches):
    model_config = ConfigDict(extra="ignore")


class EvaluationAnswer(Evaluation):
    """The model against the adapter on rows that it was not trained on."""

    model_config = ConfigDict(extra="ignore")

    # A message never changes, so a narrower type is safe here.
    exact: ExactAnswers | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, description="Exact answers, where answers are short"
    )


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


async def train_adapter(arguments: TrainAdapterArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    await asyncio.to_thread(check_free, arguments.adapter)
    work = await (_resumed(connection, arguments) if arguments.resume else _anew(connection, arguments))
    view = await run(ctx, work, began, _JOBS.phases)
    answer = training_of(view, connection.settings, arguments.adapter)
    if view.state == "failed":
        error = from_wire(view.error or {})
        # An error that has the job for its subject gets the way to go on where it is shown, by its class.
        raise type(error)(f"{error}. {answer.note}") if answer.note and error.subject is None else error
    return _result(answer)


async def _anew(connection: Connection, arguments: TrainAdapterArguments) -> Train:
    if arguments.sessions is None and arguments.dataset is None:
        raise NothingToLearn("there is nothing to learn from; name sessions or a dataset")
    if arguments.iterations is not None and arguments.epochs is not None:
        raise InvalidRequest("iterations and epochs say the same in two ways; give one of them")
    for name in arguments.sessions or []:
        check_session(name)
    dataset = arguments.dataset
    resolved = {
        "dataset": await asyncio.to_thread(_dataset, dataset, connection.grants) if dataset else None,
        "model": await named_model(connection, arguments.model, _JOBS.ability),
        "readable": [str(folder) for folder in connection.grants.folders],
        "offline": connection.settings.offline,
    }
    return Train(**arguments.model_dump() | resolved)


async def _resumed(connection: Connection, arguments: TrainAdapterArguments) -> Train:
    changed = arguments.model_dump(exclude_defaults=True).keys() - _WITH_RESUME
    if changed:
        raise InvalidRequest(
            f"a resumed training goes on as it began, so {', '.join(sorted(changed))} cannot be given; leave all but adapter and resume out"
        )
    assert arguments.resume is not None
    earlier = await connection.engine.resumable(arguments.resume, arguments.adapter)
    model = await named_model(connection, earlier.model, _JOBS.ability)
    return Train(adapter=arguments.adapter, resume=arguments.resume, model=model, offline=connection.settings.offline)


def _dataset(path: str, grants: Grants) -> str:
    """Return the resolved path of a dataset.

    Raises FileRefused for what is not granted, or is neither file nor folder.
    """
    resolved = grants.check(path)
    if not resolved.is_dir():
        return str(opened(path, grants, _LARGEST))
    for name in ("train.jsonl", "valid.jsonl"):
        if (resolved / name).exists() or name == "train.jsonl":
            try:
                os.close(open_file(resolved / name, _LARGEST))
            except FileRefused as error:
                raise FileRefused(
                    f"{error}; a dataset's folder holds train.jsonl, and valid.jsonl if you like"
                ) from error
    return str(resolved)


# --- the answer


def training_of(view: JobView, settings: Settings, adapter: str | None = None) -> TrainingAnswer:
    """Return the answer that a training's view holds."""
    del settings  # a training's answer is never too long
    done = view.outcome if isinstance(view.outcome, Trained) else None
    state = view.training or TrainingState()
    details = TrainingDetails(
        preflight=_preflight_answer(done.preflight if done else state.preflight),
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
        error=error_text(view.error),
        training=details,
    )
    if view.state in ("failed", "cancelled") and state.checkpoint is not None:
        answer.note = f"the checkpoint of iteration {state.checkpoint} is kept: call train-adapter with resume={view.job} to go on from there"
    answer.text = _text(answer)
    return answer


def _result(answer: TrainingAnswer) -> CallToolResult:
    """Return the answer with its plot, for clients that show pictures."""
    result = tool_result(answer, _as_text(answer))
    plot = answer.training.plot if answer.training else None
    if plot and (path := Path(plot)).is_file() and path.stat().st_size <= _LARGEST_PLOT:
        image = ImageContent(type="image", data=base64.b64encode(path.read_bytes()).decode(), mime_type="image/png")
        result.content.append(image)
    return result


def _as_text(answer: TrainingAnswer) -> str:
    """Return the same for a client that shows text only."""
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


def _preflight_answer(found: Preflight | None) -> PreflightAnswer | None:
    return PreflightAnswer(**found.model_dump()) if found else None


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
    rows = f"{found.examples} rows to train on, {found.held_back} held back; {found.tokens} tokens, {found.learned_tokens} of them to learn."
    takes = f"{found.iterations} iterations ({found.epochs:g} epochs) at a learning rate of {found.learning_rate:g}"
    memory = f"about {found.memory_bytes / GB:.2f} of {found.memory_free / GB:.2f} GB free, about {span(found.seconds)}"
    return [rows, f"{takes}; {memory}.", *(f"Note: {note}." for note in found.notes)]


def _evaluation_lines(found: EvaluationAnswer | None) -> list[str]:
    if found is None:
        return []
    lines = [f"On {found.rows} rows held back: loss {found.base_loss:.3f} before, {found.adapter_loss:.3f} after."]
    if found.exact:
        exact = found.exact
        lines.append(f"Exact answers: {exact.base} of {exact.rows} before, {exact.adapter} of {exact.rows} after.")
    return lines


_JOBS = JobTool(
    kinds=("train",),
    ability="text",
    phases={
        **COMMON_PHASES,
        "waiting for another training to end": (0, 0),
        "checking the rows": (1, 2),
        "evaluating the base": (60, 62),
        "training": (62, 95),
        "evaluating the adapter": (95, 98),
        "saving the adapter": (98, 99),
    },
    answer_of=training_of,
    result_of=_result,
)

TRAIN_ADAPTER = ToolDefinition(
    name="train-adapter",
    title="Train a local model",
    description=(
        "Train an adapter (LoRA, or DoRA, or the whole model) on the user's own machine, from sessions recorded with "
        "record-session or from a JSONL file; nothing leaves the machine. Use it when the user wants a local model to learn "
        "a behaviour, a style or a format, and at least some twenty good examples are recorded. It says first what it will "
        "take (rows, tokens, memory, time) and refuses what does not fit; it trains in the background, minutes to hours: "
        "call check-job with `job`. At the end it compares the model with and without the adapter on rows held back, and "
        "`generate` takes the adapter by its name at once. Cancelling keeps a checkpoint; `resume` goes on from it. Not for "
        "teaching facts that a prompt or a file can give: those belong into `files` of generate."
    ),
    arguments=TrainAdapterArguments,
    function=train_adapter,
    answer=TrainingAnswer,
    annotations=hints(read_only=False, destructive=False, idempotent=False, open_world=True),
    changes=True,
    jobs=_JOBS,
)
