"""The tool `check-job`: what became of work that was not done when its tool answered."""

import time
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from mcp_server.connection import Connection
from mcp_server.tools.definition import Arguments, ToolDefinition, hints
from mcp_server.tools.following import EVERY, RESERVE, following
from mcp_server.tools.outcomes import ALL_PHASES, AnyAnswer, answer_of_any, any_result

MOST_SECONDS = 50


class CheckJobArguments(Arguments):
    """Which job, and how long to wait for it."""

    job: str = Field(description="The id that another tool's answer gave, such as gen-7f3k2q9x4m1p.")
    wait_seconds: float = Field(
        default=0, ge=0, le=MOST_SECONDS, description="Wait up to this long for the job to end."
    )


async def check_job(arguments: CheckJobArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    connection: Connection = ctx.request_context.lifespan_context
    deadline = time.monotonic() + connection.settings.reply_within - RESERVE
    events = connection.engine.attach(arguments.job, EVERY)
    async with following(events, arguments.job, ALL_PHASES, ctx.report_progress) as followed:
        await followed.known(deadline - time.monotonic())
        await followed.ended(min(arguments.wait_seconds, deadline - time.monotonic()))
        view = followed.view()
    return any_result(answer_of_any(view, connection.settings), view)


CHECK_JOB = ToolDefinition(
    name="check-job",
    title="Check a job",
    description=(
        "What became of work that was not done when its tool answered: its state, what it is doing, the result once it is "
        "`done`, or what there is so far. Give `wait_seconds` (up to 50) to wait for the end instead of asking again and "
        "again. Results are kept for a day, also over restarts. Use it whenever an answer has a `state` other than `done`."
    ),
    arguments=CheckJobArguments,
    function=check_job,
    answer=AnyAnswer,
    annotations=hints(read_only=True, destructive=False, idempotent=True, open_world=False),
)
