"""The tools `check-job` and `cancel-job`."""

import time
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from adapters.protocol.jobs import JobView
from mcp_server.connection import Connection
from mcp_server.tools.answers import tool_result
from mcp_server.tools.definition import ToolDefinition, hints
from mcp_server.tools.following import EVERY, RESERVE, following
from mcp_server.tools.outcomes import AnyAnswer, any_answer, any_result, any_text

MOST_SECONDS = 50


async def check_job(
    ctx: Context[Connection, Any],
    job: Annotated[str, Field(description="The id that another tool's answer gave, such as gen-7f3k2q9x4m1p.")],
    wait_seconds: Annotated[
        float, Field(description="Wait up to this long for the job to end.", ge=0, le=MOST_SECONDS)
    ] = 0,
) -> Annotated[CallToolResult, AnyAnswer]:
    connection: Connection = ctx.request_context.lifespan_context
    deadline = time.monotonic() + connection.settings.reply_within - RESERVE
    async with following(connection.engine.attach(job, EVERY), job, ctx.report_progress) as followed:
        await followed.known(deadline - time.monotonic())
        await followed.ended(min(wait_seconds, deadline - time.monotonic()))
        view = followed.view()
    return any_result(any_answer(view, connection.settings), view)


async def cancel_job(
    ctx: Context[Connection, Any],
    job: Annotated[str, Field(description="The id that another tool's answer gave.")],
) -> Annotated[CallToolResult, AnyAnswer]:
    connection: Connection = ctx.request_context.lifespan_context
    view: JobView = await connection.engine.cancel(job)
    answer = any_answer(view, connection.settings)
    if view.state == "cancelled" and view.kind == "train":
        answer.note = answer.note or "cancelled before there was a checkpoint"
        return any_result(answer, view)
    if view.state == "cancelled":
        kept = sum(len(part.text) for part in view.partial)
        answer.note = (
            f"cancelled; {kept} characters had been written" if kept else "cancelled before anything was written"
        )
        return tool_result(answer, f"{answer.text}\n\n[job {job}: {answer.note}]".strip())
    answer.note = f"nothing was cancelled: the job was {view.state} already"
    return tool_result(answer, any_text(answer, view))


CHECK_JOB = ToolDefinition(
    name="check-job",
    title="Check a job",
    description=(
        "What became of work that was not done when its tool answered: its state, what it is doing, the result once it is "
        "`done`, or what there is so far. Give `wait_seconds` (up to 50) to wait for the end instead of asking again and "
        "again. Results are kept for a day, also over restarts. Use it whenever an answer has a `state` other than `done`."
    ),
    function=check_job,
    annotations=hints(read_only=True, destructive=False, idempotent=True, open_world=False),
)

CANCEL_JOB = ToolDefinition(
    name="cancel-job",
    title="Cancel a job",
    description=(
        "Stop a job that is waiting or running, and give what it had done so far. A job that has ended stays as it is. "
        "Use it when the user no longer wants the work; there is no need to cancel jobs that are done."
    ),
    function=cancel_job,
    annotations=hints(read_only=False, destructive=True, idempotent=True, open_world=False),
)
