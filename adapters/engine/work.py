"""What each kind of job does, from the model's name to the outcome. Runs on the engine's event loop."""

import asyncio
import dataclasses
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.engine.jobs import RunningJob
from adapters.engine.training import Trainings, resumed_work
from adapters.errors import ServerError, to_wire
from adapters.lora.check import AdapterFiles, check_files
from adapters.lora.trained_adapters import base_of, check_base, resolve_adapter
from adapters.mlx.backend import Backend
from adapters.mlx.generation.answer_job import AnswerJob
from adapters.models.card import tensor_bytes, weight_files
from adapters.models.download import download
from adapters.models.installed_models import check_ability
from adapters.models.names import ResolvedName, resolve
from adapters.protocol.content import media_of
from adapters.protocol.generation import Completion, Generate, Generated, ImageFacts, Timing, Usage
from adapters.protocol.jobs import Download, Downloaded, Outcome, Progress
from adapters.protocol.training import Train, Trained
from adapters.protocol.transcription import Transcribe, Transcribed
from adapters.settings import Settings

if TYPE_CHECKING:
    from adapters.mlx.residency import Leased
    from adapters.mlx.text.images import Media

logger = logging.getLogger(__name__)

# Of the memory that the machine has to spare, what a training may take.
_PART_TO_TRAIN = 0.8


async def carry_out(
    job: RunningJob, backend: Backend, settings: Settings, trainings: Trainings, goes_on: bool = False
) -> None:
    """Run the job to its end and settle it. Cancelling the task settles it as cancelled.

    One that `goes_on` is a training that an earlier engine started.
    """
    try:
        job.start()
        if isinstance(job.work, Train):
            training = trainings.go_on(job) if goes_on else _train(job, job.work, backend, settings, trainings)
            job.finish("done", outcome=await training)
        else:
            outcome = await _outcome(job, job.work, backend, settings)
            failure = _failure(outcome)
            job.finish("failed" if failure else "done", outcome=outcome, error=failure)
    except asyncio.CancelledError:
        job.finish("cancelled")
    except ServerError as error:
        job.finish("failed", error=to_wire(error))
    except Exception as error:
        logger.exception("job=<%s> | failed on an error nobody foresaw", job.id)
        job.finish("failed", error=to_wire(error))


async def _train(job: RunningJob, work: Train, backend: Backend, settings: Settings, trainings: Trainings) -> Trained:
    if work.resume:
        work = (await asyncio.to_thread(resumed_work, work.resume, work.adapter)).model_copy(
            update={"resume": work.resume}
        )
    name, folder = await _folder(job, work.model, work.offline, settings)

    async def free() -> int:
        import psutil  # here, as it takes a while to import

        memory = await backend.memory()
        spare = int(psutil.virtual_memory().available * _PART_TO_TRAIN)
        return min(spare, memory.limit - memory.used) if memory.limit else spare

    return await trainings.train(job, work, (name, folder), free, settings.keep_runs_days)


async def _outcome(
    job: RunningJob, work: Generate | Transcribe | Download, backend: Backend, settings: Settings
) -> Outcome:
    if isinstance(work, Download):
        return await _download(job, work, settings)
    if isinstance(work, Transcribe):
        return await _transcribe(job, work, backend, settings)
    return await _generate(job, work, backend, settings)


async def _folder(job: RunningJob, name: str, offline: bool, settings: Settings) -> tuple[str, Path]:
    """Return the name to show and the folder of a model, fetched from the hub if it is not here."""
    found: ResolvedName = await asyncio.to_thread(resolve, name, _offline(settings, offline))
    return found.display_name, found.folder or await _fetched(job, found.display_name)


def _offline(settings: Settings, offline: bool) -> Settings:
    return settings.model_copy(update={"offline": settings.offline or offline})


async def _fetched(job: RunningJob, hub_id: str) -> Path:
    """Return the folder of a model or adapter that was fetched from the hub."""
    loop, stop = asyncio.get_running_loop(), threading.Event()

    def on_bytes(done: float, total: float) -> None:
        loop.call_soon_threadsafe(
            job.on_progress, Progress(phase="downloading", done=done, total=total or None, unit="bytes")
        )

    job.on_progress(Progress(phase="downloading"))
    try:
        return await asyncio.to_thread(download, hub_id, on_bytes, stop)
    finally:
        stop.set()  # reaches the downloading threads when the task was cancelled


async def _download(job: RunningJob, work: Download, settings: Settings) -> Downloaded:
    name, folder = await _folder(job, work.model, work.offline, settings)
    size = sum(tensor_bytes(path) for path in weight_files(folder))
    return Downloaded(model=name, folder=str(folder), bytes=size)


async def _transcribe(job: RunningJob, work: Transcribe, backend: Backend, settings: Settings) -> Transcribed:
    # Decoders take a while to import, which an engine that only chats need not spend.
    from adapters.engine.transcription import read_sound, transcribe

    job.on_progress(Progress(phase="opening the file"))
    sound = await read_sound(work, settings)
    name, folder = await _folder(job, work.model, work.offline, settings)
    await asyncio.to_thread(check_ability, name, folder, "speech")
    loading = time.monotonic()
    async with backend.lease(name, folder, job.on_progress) as leased:
        load_s = time.monotonic() - loading
        return await transcribe(job, work, name, backend, leased.loaded, sound, load_s, settings)


async def _generate(job: RunningJob, work: Generate, backend: Backend, settings: Settings) -> Generated:
    shows = any(media_of(conversation) for conversation in work.conversations)
    media, facts = await _opened_media(job, work, settings) if shows else ({}, [])
    adapter, shown = await _adapter(job, work, settings)
    model = base_of(adapter.folder) if adapter and work.model in ("", "default") else work.model
    name, folder = await _folder(job, model, work.offline, settings)
    await asyncio.to_thread(check_ability, name, folder, "vision" if shows else "text")
    if adapter is not None:
        await asyncio.to_thread(check_base, adapter.folder, folder, name)
    loading = time.monotonic()
    async with backend.lease(name, folder, job.on_progress, adapter) as leased:
        answering = AnswerJob(work, job.asked, time.monotonic() - loading, job.on_progress, job.on_written, media)
        job.on_progress(Progress(phase="waiting for a place"))
        if len(work.conversations) == 1:
            completions = [await backend.answer(leased, answering, 0)]
        else:
            completions = await _several(job, backend, leased, answering)
        return Generated(kind=work.kind, model=name, adapter=shown, completions=completions, image_facts=facts)


async def _adapter(job: RunningJob, work: Generate, settings: Settings) -> tuple[AdapterFiles | None, str | None]:
    """Return the adapter that was asked for, its files checked, and its name; fetched from the hub if it is not here."""
    if work.adapter is None:
        return None, None
    found = await asyncio.to_thread(resolve_adapter, work.adapter, _offline(settings, work.offline))
    folder = found.folder or await _fetched(job, found.display_name)
    return await asyncio.to_thread(check_files, folder), found.display_name


async def _opened_media(job: RunningJob, work: Generate, settings: Settings) -> tuple["Media", list[ImageFacts]]:
    """Return the pictures and videos of the conversations, and what the model is shown of them, in order."""
    from adapters.engine.media import image_facts, read_media  # decoders, as in _transcribe

    job.on_progress(Progress(phase="opening the pictures"))
    media = await read_media(work, settings)
    return media, [one for conversation in work.conversations for one in image_facts(conversation, media)]


async def count_tokens(work: Generate, backend: Backend, settings: Settings) -> int:
    """Return the tokens of the first conversation as its model reads it.

    Raises ModelNotFound for one that is not here yet.
    """
    found = await asyncio.to_thread(resolve, work.model, _offline(settings, True))
    assert found.folder is not None  # offline, a name that is not here was refused
    shows = bool(media_of(work.conversations[0]))
    await asyncio.to_thread(check_ability, found.display_name, found.folder, "vision" if shows else "text")
    media: Media = {}
    if shows:
        from adapters.engine.media import read_media  # decoders, as in _transcribe

        media = await read_media(work, settings)
    async with backend.lease(found.display_name, found.folder, lambda _: None) as leased:
        return await backend.count(leased, work, media)


async def _several(job: RunningJob, backend: Backend, leased: "Leased", answering: AnswerJob) -> list[Completion]:
    """Return all answers, written side by side. One that fails is told in its place and costs the others nothing."""
    count, done = len(answering.work.conversations), 0
    # Of many answers it is how many are done that counts, not how far each of them is.
    quiet = dataclasses.replace(answering, on_progress=lambda _: None)

    async def one(index: int) -> Completion:
        nonlocal done
        try:
            return await backend.answer(leased, quiet, index)
        except ServerError as error:
            return _failed(error)
        finally:
            done += 1
            job.on_progress(Progress(phase="writing", done=done, total=count, unit="answers"))

    job.on_progress(Progress(phase="writing", done=0, total=count, unit="answers"))
    tasks = [asyncio.create_task(one(index)) for index in range(count)]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _failure(outcome: Outcome) -> dict[str, str] | None:
    """Return what a job failed for whose one answer breaks its promise. Of several answers each says so for itself."""
    answers = outcome.completions if isinstance(outcome, Generated) else []
    return answers[0].error if len(answers) == 1 else None


def _failed(error: ServerError) -> Completion:
    return Completion(
        text="",
        finish_reason="stop",
        usage=Usage(prompt_tokens=0, cached_tokens=0, completion_tokens=0),
        timing=Timing(queued_s=0, load_s=0, first_token_s=None, total_s=0, tokens_per_second=None),
        error=to_wire(error),
    )
