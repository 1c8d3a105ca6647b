"""The tool `train-adapter`: a local model learns from what was recorded."""

import asyncio
import inspect
import os
import time
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from adapters.engine.training import resumed_work
from adapters.errors import FileRefused, InvalidRequest, from_wire
from adapters.files import open_file
from adapters.lora.trained_adapters import check_free
from adapters.protocol.training import (
    MAX_ITERATIONS,
    MAX_RANK,
    MAX_SCALE,
    MAX_SEQUENCE,
    Method,
    Schedule,
    TooLong,
    Train,
)
from adapters.recordings.conversation import check_session
from mcp_server.connection import Connection
from mcp_server.grants import Grants, opened
from mcp_server.tools.definition import ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.models import named_model
from mcp_server.tools.trainings import TrainingAnswer, training_of, training_result

_LARGEST = 4 << 30
# What a resumed training may be told: all else is as it was.
_WITH_RESUME = {"ctx", "adapter", "resume"}


async def train_adapter(
    ctx: Context[Connection, Any],
    adapter: Annotated[
        str, Field(description="The adapter's name, such as `support-style`. None is ever overwritten.")
    ],
    sessions: Annotated[
        list[str] | None, Field(description="Recorded sessions to learn from, by id.", min_length=1, max_length=256)
    ] = None,
    dataset: Annotated[
        str | None,
        Field(
            description="Absolute path of a JSONL file (`messages`, or `prompt` and `completion`, or `text`), or of a folder with train.jsonl. Only within granted folders."
        ),
    ] = None,
    model: Annotated[
        str, Field(description="The model to train: `default`, `starter`, a hub id, or an absolute folder.")
    ] = "default",
    method: Annotated[
        Method,
        Field(description="`lora` is quick and small, and shares the model with others; `dora` and `full` take more."),
    ] = "lora",
    rank: Annotated[int, Field(description="How much the adapter can hold.", ge=1, le=MAX_RANK)] = 16,
    scale: Annotated[float, Field(description="How strongly the adapter counts.", gt=0, le=MAX_SCALE)] = 20.0,
    dropout: Annotated[float, Field(description="The part of the input that is left out at random.", ge=0, lt=1)] = 0.0,
    layers: Annotated[int | None, Field(description="Train only so many of the last layers.", ge=1)] = None,
    iterations: Annotated[
        int | None,
        Field(description="Updates of the weights; left out, about three epochs.", ge=1, le=MAX_ITERATIONS),
    ] = None,
    epochs: Annotated[
        float | None, Field(description="In place of iterations: how often to see each row.", gt=0, le=1000)
    ] = None,
    learning_rate: Annotated[
        float | None,
        Field(
            description="Left out, 1e-4 for adapters of large models, 5e-4 of tiny ones, and a tenth of it for `full`.",
            gt=0,
        ),
    ] = None,
    schedule: Annotated[Schedule, Field(description="How the learning rate falls, to a tenth.")] = "constant",
    warmup: Annotated[int, Field(description="Iterations over which the learning rate rises.", ge=0)] = 0,
    batch_size: Annotated[int, Field(description="Rows computed at once.", ge=1, le=1024)] = 4,
    accumulate: Annotated[int, Field(description="Batches to one update.", ge=1, le=1024)] = 1,
    max_sequence: Annotated[
        int, Field(description="Tokens that a row may have; see too_long.", ge=16, le=MAX_SEQUENCE)
    ] = 2048,
    too_long: Annotated[
        TooLong, Field(description="What becomes of longer rows: `split` by turns, `cut` at the end, or `drop`.")
    ] = "split",
    validation: Annotated[
        float, Field(description="The part of the conversations that is held back to measure.", ge=0, le=0.5)
    ] = 0.1,
    validate_every: Annotated[int | None, Field(description="Iterations between measurements.", ge=1)] = None,
    patience: Annotated[
        int | None, Field(description="End after so many measurements without a better one, and keep the best.", ge=1)
    ] = None,
    checkpoint_every: Annotated[int | None, Field(description="Iterations between checkpoints.", ge=1)] = None,
    gradient_checkpointing: Annotated[bool, Field(description="Less memory, more time.")] = False,
    seed: Annotated[int, Field(description="The same seed and rows give the same adapter.", ge=0, lt=1 << 31)] = 0,
    evaluate: Annotated[
        bool, Field(description="Compare the model with and without the adapter on the rows held back.")
    ] = True,
    resume: Annotated[
        str | None,
        Field(description="The job of a training that was cancelled or failed, to go on from its checkpoint."),
    ] = None,
) -> Annotated[CallToolResult, TrainingAnswer]:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    given = {name: value for name, value in locals().items() if name in _ARGUMENTS}
    await asyncio.to_thread(check_free, adapter)
    work = await (_resumed(connection, given) if resume else _anew(connection, given))
    view = await run(ctx, work, began)
    if view.state == "failed":
        answer = training_of(view, adapter)
        error = from_wire(view.error or {})
        told = error.subject is not None or "resume" in str(error)  # the way to go on is added for that class, or said
        raise type(error)(f"{error}. {answer.note}") if answer.note and not told else error
    return training_result(training_of(view, adapter))


_ARGUMENTS = inspect.signature(train_adapter).parameters


async def _anew(connection: Connection, given: dict[str, Any]) -> Train:
    if given["sessions"] is None and given["dataset"] is None:
        raise InvalidRequest("there is nothing to learn from; name sessions (list-library shows them) or a dataset")
    if given["iterations"] is not None and given["epochs"] is not None:
        raise InvalidRequest("iterations and epochs say the same in two ways; give one of them")
    sessions = [check_session(name) for name in given["sessions"] or []]
    path = await asyncio.to_thread(_dataset, given["dataset"], connection.grants) if given["dataset"] else None
    settings = {name: value for name, value in given.items() if name in Train.model_fields}
    model = await named_model(connection, given["model"])
    offline = connection.settings.offline
    readable = [str(folder) for folder in connection.grants.folders]
    chosen = {"sessions": sessions, "dataset": path, "model": model, "readable": readable, "offline": offline}
    return Train(**settings | chosen)


async def _resumed(connection: Connection, given: dict[str, Any]) -> Train:
    changed = [name for name, value in given.items() if name not in _WITH_RESUME and value != _ARGUMENTS[name].default]
    if changed:
        raise InvalidRequest(
            f"a resumed training goes on as it began, so {', '.join(sorted(changed))} cannot be given; leave all but adapter and resume out"
        )
    wanted = Train(adapter=given["adapter"], model="default", resume=given["resume"])
    earlier = await asyncio.to_thread(resumed_work, wanted)
    return wanted.model_copy(
        update={"model": await named_model(connection, earlier.model), "offline": connection.settings.offline}
    )


def _dataset(path: str, grants: Grants) -> str:
    """The resolved path of a dataset. Raises FileRefused for what is not granted, or is neither file nor folder."""
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
    function=train_adapter,
    annotations=hints(read_only=False, destructive=False, idempotent=False, open_world=True),
)
