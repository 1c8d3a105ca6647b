"""The one way to reach the engine, for the host, the command line and agents alike."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from adapters.engine.launch import connect_engine
from adapters.errors import EngineStopped, EngineUnavailable, OtherEngine, from_wire
from adapters.protocol.generation import Generate, Partial
from adapters.protocol.jobs import FINISHED, JobState, JobView, Phase, Progress, Work, new_job_id
from adapters.protocol.messages import (
    PROTOCOL,
    AskStatus,
    Attach,
    Cancel,
    Count,
    Counted,
    EngineStatus,
    Event,
    Hello,
    JobIds,
    KeepRunning,
    ListJobs,
    ReadJob,
    ReadTraining,
    ReadWork,
    Refused,
    Snapshot,
    StatusReply,
    Stop,
    Submit,
    Unfollow,
    Unload,
    Unloaded,
    Update,
    WorkReply,
    line,
    read_event,
)
from adapters.protocol.training import Train, TrainingState
from adapters.protocol.wire import Wire
from adapters.sockets import LINE_LIMIT

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
# What takes memory that a machine may not have.
_MEMORY_PHASES: frozenset[Phase] = frozenset({"loading", "reading prompt"})
# From the number that a request goes by to the request.
MakeRequest = Callable[[int], Wire]


@dataclass
class Job:
    """A job as this client follows it. `partial` grows as events are read.

    `last_snapshot` is the last whole view that the engine sent, `view` the one that ended the job.
    """

    id: str
    progress: Progress = Progress(phase="waiting")
    state: JobState = "queued"
    partial: list[Partial] = field(default_factory=list)
    training: TrainingState | None = None
    last_snapshot: JobView | None = None
    view: JobView | None = None

    def take(self, event: Event) -> None:
        """Bring this up to date with an event. Raises the error of a request that was refused."""
        if isinstance(event, Refused):
            raise from_wire(event.error)
        if isinstance(event, Snapshot):
            view = event.view
            self.state, self.progress, self.partial = view.state, view.progress, list(view.partial)
            self.training = view.training
            self.last_snapshot, self.view = view, view if view.state in FINISHED else None
        elif isinstance(event, Update):
            self.state, self.progress, self.training = event.state, event.progress, event.training
            for i, piece in event.added.items():
                self.partial += [Partial()] * (i + 1 - len(self.partial))
                self.partial[i] += piece


class EngineClient:
    """A connection to the engine, made when it is first needed and again after the engine has gone.

    Belongs to one event loop. Any number of requests may be under way at once.
    """

    def __init__(self, path: str | None = None) -> None:
        """`path` is the socket of an engine in this process; by default the user's engine, started on demand."""
        self._path = path
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[Event | None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self.engine: Hello | None = None

    # --- requests

    async def submit(self, work: Work, job_id: str | None = None, every: float = 0.03) -> AsyncGenerator[Job, None]:
        """Start a job and follow it. Return the job at once, then after each event, the last time when it has ended.

        Events come `every` so many seconds at the most often, and at once at the end.

        Closing the iterator early leaves the job; unless it is to keep running, the engine then cancels it.
        Raises EngineUnavailable, EngineStopped when the engine dies, and what the engine refuses.
        """
        job = Job(job_id or new_job_id(work.kind))
        async with contextlib.aclosing(
            self._follow(job, lambda n: Submit(id=n, job=job.id, work=work, every=every))
        ) as following:
            async for followed in following:
                yield followed

    async def attach(self, job_id: str, every: float = 0.03) -> AsyncGenerator[Job, None]:
        """Follow a job that was started before, from its state now to its end. Raises JobNotFound."""
        job = Job(job_id)
        async with contextlib.aclosing(self._follow(job, lambda n: Attach(id=n, job=job_id, every=every))) as following:
            async for followed in following:
                yield followed

    async def keep_running(self, job_id: str) -> JobView:
        """Have a job go on although nobody follows it, and return it as it is now. Raises JobNotFound."""
        event = await self._ask(lambda n: KeepRunning(id=n, job=job_id))
        assert isinstance(event, Snapshot)
        return event.view

    async def job(self, job_id: str) -> JobView:
        """Return a job as it is now, and change nothing about it. Raises JobNotFound."""
        event = await self._ask(lambda n: ReadJob(id=n, job=job_id))
        assert isinstance(event, Snapshot)
        return event.view

    async def work(self, job_id: str) -> Generate:
        """Return what a job was asked that answers. Raises JobNotFound when that is not known, or not any more."""
        event = await self._ask(lambda n: ReadWork(id=n, job=job_id))
        assert isinstance(event, WorkReply)
        assert isinstance(event.work, Generate)
        return event.work

    async def resumable(self, job_id: str, adapter: str) -> Train:
        """Return what a training was asked that another one is to go on with. Raises InvalidRequest when none can."""
        event = await self._ask(lambda n: ReadTraining(id=n, job=job_id, adapter=adapter))
        assert isinstance(event, WorkReply)
        assert isinstance(event.work, Train)
        return event.work

    async def job_ids(self) -> list[str]:
        """Return the ids of all jobs that are running or whose results are kept, newest first."""
        event = await self._ask(lambda n: ListJobs(id=n))
        assert isinstance(event, JobIds)
        return event.jobs

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job. Return it as it is once it has ended. Raises JobNotFound."""
        event = await self._ask(lambda n: Cancel(id=n, job=job_id))
        assert isinstance(event, Snapshot)
        return event.view

    async def status(self, start: bool = True) -> EngineStatus:
        """Return what runs and what is in memory.

        Raises EngineUnavailable when there is no engine and `start` is off.
        """
        event = await self._ask(lambda n: AskStatus(id=n), start)
        assert isinstance(event, StatusReply)
        return event.status

    async def status_if_running(self) -> EngineStatus | None:
        """Return the status, or None when there is no engine; starts none."""
        try:
            return await self.status(start=False)
        except (EngineUnavailable, EngineStopped):
            return None

    async def count(self, work: Generate) -> int:
        """Return the tokens of a prompt. Raises what is wrong with it."""
        event = await self._ask(lambda n: Count(id=n, work=work))
        assert isinstance(event, Counted)
        return event.tokens

    async def unload(self, model: str | None = None) -> list[str]:
        """Drop an idle model, or all. Return the names of those dropped."""
        event = await self._ask(lambda n: Unload(id=n, model=model))
        assert isinstance(event, Unloaded)
        return event.models

    async def stop(self) -> bool:
        """End the engine if there is one; True when there was."""
        try:
            await self._ask(lambda n: Stop(id=n), start=False)
        except (EngineUnavailable, EngineStopped):
            return False
        return True

    async def close(self) -> None:
        if self._listening:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self._disconnect()

    # --- the connection

    async def _follow(self, job: Job, request: MakeRequest) -> AsyncGenerator[Job, None]:
        number, events = await self._begin(request)
        heard = False
        try:
            yield job
            while job.view is None:
                event = await events.get()
                if event is not None:
                    heard = True
                    job.take(event)
                    yield job
                elif heard:
                    raise self._stopped(job)
                else:
                    # The engine was gone already when this was sent to it: nothing was begun.
                    self._waiting.pop(number, None)
                    heard, (number, events) = True, await self._begin(request)
        finally:
            self._waiting.pop(number, None)
            if job.view is None and self._writer is not None:
                self._write(Unfollow(id=next(self._ids), job=job.id))

    async def _ask(self, request: MakeRequest, start: bool = True) -> Event:
        """Return the answer to a request that may be sent twice."""
        for _ in range(2):
            number, events = await self._begin(request, start)
            try:
                event = await events.get()
            finally:
                self._waiting.pop(number, None)
            if isinstance(event, Refused):
                raise from_wire(event.error)
            if event is not None:
                return event
        raise EngineStopped("the engine stopped before it answered; ask again: it starts anew")

    async def _begin(self, request: MakeRequest, start: bool = True) -> tuple[int, asyncio.Queue[Event | None]]:
        await self._connect(start)
        number = next(self._ids)
        events = self._waiting[number] = asyncio.Queue()
        self._write(request(number))
        return number, events

    def _write(self, message: Wire) -> None:
        assert self._writer is not None
        self._writer.write(line(message))

    async def _connect(self, start: bool) -> None:
        async with self._connecting:
            if self._writer is not None:
                return
            for attempt in range(_ATTEMPTS):
                reader, writer = await self._open(start)
                try:
                    hello = read_event.validate_json(await reader.readline())
                except (ValidationError, ConnectionError):
                    # A process that is just ending may still be connected to.
                    writer.close()
                    await asyncio.sleep(0.05 * attempt)
                    continue
                if not isinstance(hello, Hello) or hello.protocol != PROTOCOL:
                    writer.close()
                    raise OtherEngine(
                        f"the engine speaks another protocol ({hello}); end it, and the next start is of this version"
                    )
                self.engine, self._writer = hello, writer
                self._listening = asyncio.create_task(self._listen(reader))
                return
            raise EngineUnavailable("the engine ended each time as it was reached; its log says why")

    async def _open(self, start: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._path is not None:
            return await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
        connection = await asyncio.to_thread(connect_engine, start)
        if connection is None:
            raise EngineUnavailable("no engine is running")
        connection.setblocking(False)
        return await asyncio.open_unix_connection(sock=connection, limit=LINE_LIMIT)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hand every event to who waits for it; at the end of the connection, the end to all."""
        try:
            while text := await reader.readline():
                event = read_event.validate_json(text)
                number = getattr(event, "id", None)
                if number in self._waiting:
                    self._waiting[number].put_nowait(event)
        except (ConnectionError, ValueError) as error:
            logger.warning("error=<%s> | the connection to the engine broke", error)
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for events in self._waiting.values():
            events.put_nowait(None)

    def _stopped(self, job: Job) -> EngineStopped:
        phase = job.progress.phase
        if phase in _MEMORY_PHASES:
            likely = "most likely out of memory; choose a smaller model or a shorter prompt"
        else:
            likely = "it was killed, or crashed; its log says more"
        return EngineStopped(f"the engine stopped while {phase}: {likely}. Ask again: it starts anew")
