"""The engine's front: connections, requests, jobs, and the end when nobody needs it. One event loop, one MLX thread."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from typing import Any

from pydantic import ValidationError

from adapters import __version__
from adapters.engine.jobs import JobStore, RunningJob, newest
from adapters.engine.training import Trainings, keep_running, may_go_on, resumed_work
from adapters.engine.work import carry_out, count_tokens
from adapters.errors import EngineStopped, InvalidRequest, JobNotFound, ServerError, TooManyJobs, to_wire
from adapters.mlx.backend import Backend
from adapters.places import jobs_folder
from adapters.protocol.jobs import JobView
from adapters.protocol.messages import (
    PROTOCOL,
    AskStatus,
    Attach,
    Cancel,
    Count,
    Counted,
    Done,
    EngineStatus,
    Hello,
    JobIds,
    KeepRunning,
    ListJobs,
    ReadJob,
    ReadTraining,
    ReadWork,
    Refused,
    Request,
    Snapshot,
    StatusReply,
    Stop,
    Submit,
    Unfollow,
    Unload,
    Unloaded,
    WorkReply,
    line,
    read_request,
)
from adapters.settings import Settings
from adapters.sockets import LINE_LIMIT, is_own_user
from adapters.training.run_folder import read_run, run_folder

logger = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 5.0
_RECENT_JOBS = 100
# What a client that does not read may have waiting for it before it is let go, in bytes.
_UNREAD_LIMIT = 64 << 20


class Engine:
    """Serves connections until told to stop, or until nobody has needed it for `engine_idle` seconds."""

    def __init__(self, settings: Settings, *, ends_when_idle: bool = True) -> None:
        self._settings, self._ends_when_idle = settings, ends_when_idle
        self._store = JobStore(jobs_folder(), settings.keep_jobs_hours, goes_on=may_go_on)
        self._trainings = Trainings()
        self._backend = Backend(settings)
        self._jobs: dict[str, RunningJob] = {}
        self._connections: set[_Connection] = set()
        self._started = self._used = time.monotonic()
        self._stopping = asyncio.Event()

    async def serve(self, listening: socket.socket) -> None:
        """Accept connections on this socket until the end. Ends the MLX thread cleanly."""
        self._go_on_with_trainings()
        server = await asyncio.start_unix_server(self._connected, sock=listening, limit=LINE_LIMIT)
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            async with server:
                await self._stopping.wait()
        finally:
            housekeeping.cancel()
            await self._end()

    def _go_on_with_trainings(self) -> None:
        """Follow the trainings that an earlier engine started, which go on or have ended since."""
        for view in self._store.unfinished:
            run = read_run(run_folder(view.job))
            if run is None:
                continue
            job = RunningJob(view.job, run.work, self._finished, created=view.created, keep_running=True)
            self._jobs[job.id] = job
            self._begin(job, goes_on=True)

    def _begin(self, job: RunningJob, goes_on: bool = False) -> None:
        working = carry_out(job, self._backend, self._settings, self._trainings, goes_on)
        job.task = asyncio.create_task(working, name=job.id)
        # A task that is cancelled before its first step runs none of its own code, and settles nothing.
        job.task.add_done_callback(lambda _: job.finish("cancelled"))

    def stop(self) -> None:
        """Have `serve` return."""
        self._stopping.set()

    async def _end(self) -> None:
        for job in self._jobs.values():
            job.cancel()
        await asyncio.gather(*(job.task for job in self._jobs.values() if job.task), return_exceptions=True)
        for connection in list(self._connections):
            connection.close()
        await self._backend.close()

    async def _keep_house(self) -> None:
        """Unload what is idle, forget what is old, and end when nobody needs this process."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            await self._backend.unload_unused()
            self._store.prune(self._jobs)
            if self._jobs:
                self._used = time.monotonic()
            if self._ends_when_idle and time.monotonic() - self._used > self._settings.engine_idle:
                logger.info("idle_s=<%s> | nobody needs the engine, ending", self._settings.engine_idle)
                self.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket")
        if not is_own_user(peer):
            logger.warning("another user's connection was refused")
            writer.close()
            return
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            for job in list(self._jobs.values()):
                job.leave(connection)
            connection.close()

    # --- requests

    async def answer(self, connection: "_Connection", request: Request) -> None:
        """Carry out one request. What is wrong with it is told, and costs nobody else anything."""
        self._used = time.monotonic()
        try:
            await self._answer(connection, request)
        except ServerError as error:
            connection.send(Refused(id=request.id, error=to_wire(error)))
        except Exception as error:
            logger.exception("op=<%s> | a request failed on an error nobody foresaw", request.op)
            connection.send(Refused(id=request.id, error=to_wire(error)))

    async def _answer(self, connection: "_Connection", request: Request) -> None:
        if isinstance(request, Submit):
            self._submit(connection, request)
        elif isinstance(request, Attach):
            self._attach(connection, request)
        elif isinstance(request, Unfollow):
            if job := self._jobs.get(request.job):
                job.leave(connection)
            connection.send(Done(id=request.id))
        elif isinstance(request, KeepRunning):
            self._keep_running(connection, request)
        elif isinstance(request, ReadJob):
            connection.send(Snapshot(id=request.id, view=self._view(request.job)))
        elif isinstance(request, ReadWork):
            work = await asyncio.to_thread(self._store.load_work, request.job)
            connection.send(WorkReply(id=request.id, work=work))
        elif isinstance(request, ReadTraining):
            work = await asyncio.to_thread(resumed_work, request.job, request.adapter)
            connection.send(WorkReply(id=request.id, work=work))
        elif isinstance(request, ListJobs):
            connection.send(JobIds(id=request.id, jobs=await asyncio.to_thread(self._store.ids)))
        elif isinstance(request, Cancel):
            await self._cancel(connection, request)
        elif isinstance(request, AskStatus):
            connection.send(StatusReply(id=request.id, status=await self._status()))
        elif isinstance(request, Count):
            tokens = await count_tokens(request.work, self._backend, self._settings)
            connection.send(Counted(id=request.id, tokens=tokens))
        elif isinstance(request, Unload):
            connection.send(Unloaded(id=request.id, models=await self._backend.unload(request.model)))
        elif isinstance(request, Stop):
            connection.send(Done(id=request.id))
            self.stop()

    def _submit(self, connection: "_Connection", request: Submit) -> None:
        if len(self._jobs) >= self._settings.waiting_jobs:
            raise TooManyJobs(f"{len(self._jobs)} jobs are running or waiting already; wait for some, or cancel some")
        if request.job in self._jobs or self._known(request.job):
            raise InvalidRequest(f"there is a job {request.job} already; make a new id")
        job = RunningJob(request.job, request.work, self._finished)
        self._jobs[job.id] = job
        job.follow(connection, request.id, request.every)
        self._store.save(job.view())
        self._store.save_work(job.id, request.work)
        self._begin(job)

    def _finished(self, job: RunningJob) -> None:
        self._store.save(job.view())
        self._jobs.pop(job.id, None)

    def _known(self, job: str) -> bool:
        """Return True for an id that is taken. One whose job died with an earlier engine may be tried again."""
        try:
            view = self._store.load(job)
        except JobNotFound:
            return False
        return not (view.error and view.error["type"] == EngineStopped.__name__)

    def _attach(self, connection: "_Connection", request: Attach) -> None:
        job = self._jobs.get(request.job)
        if job is None:
            connection.send(Snapshot(id=request.id, view=self._store.load(request.job)))
            return
        job.follow(connection, request.id, request.every)
        connection.send(Snapshot(id=request.id, view=job.view()))

    def _keep_running(self, connection: "_Connection", request: KeepRunning) -> None:
        if job := self._jobs.get(request.job):
            job.keep_running = True
            if job.work.kind == "train":
                keep_running(job.id)
        connection.send(Snapshot(id=request.id, view=self._view(request.job)))

    def _view(self, job_id: str) -> JobView:
        """Return the job as it is now. Raises JobNotFound."""
        job = self._jobs.get(job_id)
        return job.view() if job else self._store.load(job_id)

    async def _cancel(self, connection: "_Connection", request: Cancel) -> None:
        """Answers with the job as it is once it has ended; one that had ended before is given as it was."""
        job = self._jobs.get(request.job)
        if job is not None:
            job.cancel()
            await job.ended.wait()
        connection.send(Snapshot(id=request.id, view=self._store.load(request.job)))

    async def _status(self) -> EngineStatus:
        memory = await self._backend.memory()
        running = newest(self._jobs.values())
        # Results are sent to who asks for one job: those of all jobs would be megabytes.
        ended = (view for view in self._store.recent(_RECENT_JOBS) if view.job not in self._jobs)
        stored = [view.model_copy(update={"outcome": None, "partial": []}) for view in ended]
        return EngineStatus(
            version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started, 1),
            device=memory.device,
            memory_limit=memory.limit,
            memory_used=memory.used,
            prompt_cache_bytes=memory.prompt_cache,
            models=list(memory.models),
            jobs=running + stored,
            waiting=sum(job.state == "queued" for job in self._jobs.values()),
        )


class _Connection:
    """One client. Its requests run side by side; its messages go out in order."""

    def __init__(self, engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._engine, self._reader, self._writer = engine, reader, writer
        self._requests: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self.send(Hello(protocol=PROTOCOL, version=__version__, pid=os.getpid()))
        while text := await self._line():
            try:
                request = read_request.validate_json(text)
            except ValidationError as error:
                self.send(Refused(id=_id_of(text), error=to_wire(InvalidRequest(_first_problem(error)))))
                continue
            task = asyncio.create_task(self._engine.answer(self, request))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _line(self) -> bytes:
        try:
            return await self._reader.readline()
        except (ConnectionError, ValueError) as error:  # a line over the limit is a ValueError
            logger.warning("error=<%s> | a connection was ended", error)
            return b""

    def send(self, message: Any) -> None:
        """Queue a message; a client that does not read is let go before it fills memory."""
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > _UNREAD_LIMIT:
            logger.warning("a client that does not read was let go")
            self._writer.transport.abort()
            return
        self._writer.write(line(message))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.close()


def _id_of(text: bytes) -> int | None:
    """Return the id of a request that could not be read otherwise."""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return None
    number = found.get("id") if isinstance(found, dict) else None
    return number if isinstance(number, int) else None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"] if part not in ("submit", "generate", "download", "work"))
    return f"{where or 'the request'}: {problem['msg']}"
