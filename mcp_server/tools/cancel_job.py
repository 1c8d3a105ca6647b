"""The tool `cancel-job`: stop a job, and keep what it has done."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from adapters.protocol.jobs import JobView
from mcp_server.connection import Connection
from mcp_server.tools.answer import tool_result
from mcp_server.tools.definition import Arguments, ToolDefinition, hints
from mcp_server.tools.outcomes import AnyAnswer, answer_of_any, any_answer, any_result


class CancelJobArguments(Arguments):
    """Which job."""

    job: str = Field(description="The id that another tool's answer gave.")


async def cancel_job(arguments: CancelJobArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    connection: Connection = ctx.request_context.lifespan_context
    view: JobView = await connection.engine.cancel(arguments.job)
    told: Any = answer_of_any(view, connection.settings)
    if view.state != "cancelled":
        told.note = f"nothing was cancelled: the job was {view.state} already"
        return any_result(told, view)
    if view.kind == "train":
        told.note = told.note or "cancelled before there was a checkpoint"
        return any_result(told, view)
    kept = sum(len(part.text) for part in view.partial)
    answer = any_answer(view, connection.settings)
    answer.note = f"cancelled; {kept} characters had been written" if kept else "cancelled before anything was written"
    return tool_result(answer, f"{answer.text}\n\n[job {arguments.job}: {answer.note}]".strip())


CANCEL_JOB = ToolDefinition(
    name="cancel-job",
    title="Cancel a job",
    description=(
        "Stop a job that is waiting or running, and give what it had done so far. A job that has ended stays as it is. "
        "Use it when the user no longer wants the work; there is no need to cancel jobs that are done."
    ),
    arguments=CancelJobArguments,
    function=cancel_job,
    answer=AnyAnswer,
    annotations=hints(read_only=False, destructive=True, idempotent=True, open_world=False),
    changes=True,
)
