"""Following a job for a client: with progress, and never past the deadline."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from mcp.server.mcpserver import Context

from adapters.engine import Job
from adapters.errors import EngineUnavailable
from adapters.protocol.jobs import JobView, Work, new_job_id
from mcp_server.connection import Connection
from mcp_server.sizes import progress_text
from mcp_server.tools.definition import Phases, percent

Report = Callable[[float, float | None, str | None], Awaitable[None]]

# What is left of the deadline when the answer is begun, in seconds: to hand the job over and to write the answer.
RESERVE = 0.5
_HAND_OVER_SECONDS = 0.5
# A machine so busy that the request is not sent by then gets this much longer, in seconds.
_SENT_SECONDS = 0.3
_SECONDS_BETWEEN_REPORTS = 0.25
# How often the engine tells of a job: no client is told more often.
EVERY = 0.25


@dataclass
class Following:
    """A job that is being followed while the block of `following` runs."""

    job: Job
    _reading: asyncio.Task[None]
    _known: asyncio.Event
    _sent: asyncio.Event

    async def ended(self, seconds: float) -> bool:
        """Wait so long at the most; True when the job has ended. Raises what the engine refuses."""
        return await self._first(None, seconds)

    async def sent(self, seconds: float) -> bool:
        """Wait until the engine was reached and asked for the job; False when that took longer."""
        await self._first(asyncio.create_task(self._sent.wait()), seconds)
        return self._sent.is_set()

    async def known(self, seconds: float) -> None:
        """Wait until the engine has said what the job is. Raises what the engine refuses."""
        await self._first(asyncio.create_task(self._known.wait()), seconds)

    async def _first(self, other: asyncio.Task[object] | None, seconds: float) -> bool:
        waited = {self._reading} | ({other} if other else set())
        try:
            await asyncio.wait(waited, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if other:
                other.cancel()
        if self._reading.done():
            self._reading.result()
        return self._reading.done()

    def view(self, work: Work | None = None) -> JobView:
        """Return the job as its events have told it; `work` fills in what they have not."""
        job = self.job
        if job.view is not None:
            return job.view
        told = {"state": job.state, "progress": job.progress, "partial": job.partial, "training": job.training}
        if job.last_snapshot is not None:
            return job.last_snapshot.model_copy(update=told)
        if work is None:
            raise EngineUnavailable("the engine has not answered in time; ask again")
        return JobView(job=job.id, kind=work.kind, model=work.model, created=time.time(), **told)


@contextlib.asynccontextmanager
async def following(
    events: AsyncGenerator[Job, None], job_id: str, phases: Phases, report: Report | None = None
) -> AsyncIterator[Following]:
    """Read a job's events while the block runs, and report its progress.

    Leaving the block leaves the job: unless it was handed over or has ended, the engine then cancels it.
    """
    job, changed, known, sent = Job(job_id), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with contextlib.aclosing(events) as stream:
            async for told in stream:
                sent.set()
                for name in ("progress", "state", "partial", "training", "last_snapshot", "view"):
                    setattr(job, name, getattr(told, name))
                changed.set()
                if job.last_snapshot is not None:
                    known.set()

    reading = asyncio.create_task(read())
    tasks = [reading, *([asyncio.create_task(_report(report, job, phases, changed))] if report else [])]
    try:
        yield Following(job, reading, known, sent)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run(ctx: Context[Connection, object], work: Work, began: float, phases: Phases) -> JobView:
    """Run the work as a job and give it as it is when it ends or when the deadline comes, whichever is first.

    `began` is when the call came, on the monotonic clock: the deadline counts from there.

    A job that is not done then is handed over: it goes on, and its id is the client's to ask by. A call that is
    cancelled, or whose client goes away, takes its job along.
    """
    connection: Connection = ctx.request_context.lifespan_context
    job_id = new_job_id(work.kind)
    events = connection.engine.submit(work, job_id, EVERY)
    async with following(events, job_id, phases, ctx.report_progress) as followed:
        deadline = began + connection.settings.reply_within - RESERVE
        if await followed.ended(deadline - time.monotonic()):
            return followed.view(work)
        return await _handed_over(connection, followed) or followed.view(work)


async def _handed_over(connection: Connection, followed: Following) -> JobView | None:
    """Let the job go on without this call. Return it as it is, or None when the engine has not said so in time.

    The engine reads its requests in order: once this one is sent, what follows cannot cancel the job, whether or not
    an engine that is busy has answered. Raises EngineUnavailable when there is no job yet.
    """
    if not await followed.sent(_SENT_SECONDS):
        raise EngineUnavailable(
            "the engine was not up before the deadline, and nothing was begun; call again in a few seconds"
        )
    try:
        return await asyncio.wait_for(connection.engine.keep_running(followed.job.id), _HAND_OVER_SECONDS)
    except TimeoutError:
        return None


async def _report(report: Report, job: Job, phases: Phases, changed: asyncio.Event) -> None:
    """Tell the client, if it asked, what the job is at: a few times a second, upwards only."""
    shown = 0.0
    while True:
        await changed.wait()
        changed.clear()
        now = percent(job.progress, phases)
        if now > shown:
            shown = now
            await report(now, 100, progress_text(job.progress))
            await asyncio.sleep(_SECONDS_BETWEEN_REPORTS)
