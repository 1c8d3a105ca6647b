"""What the engine asks of MLX, from asyncio: lease a model, answer conversations, say what is in memory.

This module needs no MLX to be imported: the first lease imports it on the MLX thread, where it stays.
"""

import asyncio
import contextlib
import functools
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from adapters.errors import InvalidRequest
from adapters.lora.check import AdapterFiles
from adapters.mlx.generation.answer_job import AnswerJob, OnProgress
from adapters.mlx.thread.mlx_thread import MlxThread
from adapters.models.card import ModelCard, read_card
from adapters.models.safety import check_folder
from adapters.protocol.generation import Completion, Generate
from adapters.protocol.jobs import Progress
from adapters.protocol.messages import LoadedModel
from adapters.protocol.transcription import Transcribe
from adapters.settings import Settings

if TYPE_CHECKING:
    from adapters.media.windows import Window
    from adapters.mlx.generation.request import GenerationRequest, RequestEvent
    from adapters.mlx.generation.runner import RowRunner
    from adapters.mlx.residency import Leased, Loaded, Residency
    from adapters.mlx.speech.model import Heard, SpeechModel
    from adapters.mlx.text.images import Media

T = TypeVar("T")


@dataclass(frozen=True)
class Memory:
    """Bytes, as far as the engine's models and caches go."""

    device: str = "not in use yet"
    limit: int = 0
    used: int = 0
    prompt_cache: int = 0
    models: tuple[LoadedModel, ...] = ()


class Backend:
    """Owned by the engine's event loop; holds the MLX thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._thread = MlxThread()
        # Templates, tokenizers and grammars are worked on here, so that decoding does not wait for them.
        self._preparing = _preparing_thread()
        self._residency: Residency | None = None
        self._starting: asyncio.Future[Residency] | None = None
        self._loading: dict[Path, asyncio.Lock] = {}
        # Requests of each model on their way to its batch. Written by the event loop only, read by the MLX thread.
        self._expected_requests: Counter[Path] = Counter()

    # --- models

    @contextlib.asynccontextmanager
    async def lease(
        self, name: str, folder: Path, on_progress: OnProgress, adapter: AdapterFiles | None = None
    ) -> AsyncIterator["Leased"]:
        """The model of that folder, loaded if need be, kept in memory for the life of the block; so its adapter."""
        with self._expected(folder):
            residency = await self._start(on_progress)
            async with self._loading.setdefault(folder, asyncio.Lock()):
                card = await asyncio.to_thread(read_card, folder)
                loaded = await self._find(residency, card)
                if loaded is None:
                    loaded = await self._load(residency, name, card, on_progress)
        leased = _serving().Leased(loaded)
        try:
            if adapter is not None:
                leased = await self._adapt(residency, loaded, adapter)
            yield leased
        finally:
            self._thread.call(lambda: residency.release(leased))

    async def _adapt(self, residency: "Residency", loaded: "Loaded", adapter: AdapterFiles) -> "Leased":
        """Return the model with its adapter.

        If the requester cancelled before the model was ready, the lease is given back.
        """
        adapting = self._thread.call(lambda: residency.adapt(loaded, adapter))
        try:
            return await asyncio.shield(asyncio.wrap_future(adapting))
        except asyncio.CancelledError:

            def undo() -> None:
                if adapting.exception() is None:
                    residency.undo(adapting.result(), loaded)

            self._thread.call(undo)
            raise

    @contextlib.contextmanager
    def _expected(self, folder: Path) -> Iterator[None]:
        """Count a request as expected while the block runs."""
        self._expected_requests[folder] += 1
        try:
            yield
        finally:
            self._expected_requests[folder] -= 1

    async def _find(self, residency: "Residency", card: ModelCard) -> "Loaded | None":
        """Return the model with a lease on it, if it is in memory.

        If the requester cancelled before, the lease is given back.
        """
        finding = self._thread.call(lambda: residency.find(card))
        try:
            return await asyncio.shield(asyncio.wrap_future(finding))
        except asyncio.CancelledError:
            self._thread.call(lambda: (found := finding.result()) and residency.give_up(found))
            raise

    async def _start(self, on_progress: OnProgress) -> "Residency":
        """Import MLX on its thread, once, whichever of its askers give up meanwhile."""
        if self._residency is not None:
            return self._residency
        on_progress(Progress(phase="starting MLX"))
        if self._starting is None or (self._starting.done() and self._starting.exception()):
            self._starting = asyncio.wrap_future(self._thread.call(self._begin))
        residency = await asyncio.shield(self._starting)
        self._residency = residency
        return residency

    def _begin(self) -> "Residency":
        """On the MLX thread."""
        return _serving().Residency(self._thread, self._settings, self._post)

    async def _load(self, residency: "Residency", name: str, card: ModelCard, on_progress: OnProgress) -> "Loaded":
        await asyncio.to_thread(check_folder, card.folder)
        on_progress(Progress(phase="loading", done=0, total=card.weight_bytes, unit="bytes"))
        reader = await self._prepare(lambda: _serving().read_reader(name, card))

        def on_bytes(done: int, total: int) -> None:
            progress = Progress(phase="loading", done=done, total=total, unit="bytes")
            self._loop.call_soon_threadsafe(on_progress, progress)

        work = residency.load(name, card, reader, on_bytes, lambda: self._expected_requests[card.folder])
        loading = self._thread.run_stepwise(work, on_lost=residency.give_up)
        return await asyncio.wrap_future(loading)

    async def unload(self, name: str | None) -> list[str]:
        """Drop the idle model of that name, or every idle one. Return the names."""
        residency = self._residency
        return await self._on_thread(lambda: residency.unload(name)) if residency else []

    async def unload_unused(self) -> None:
        if residency := self._residency:
            await self._on_thread(residency.unload_unused)

    async def memory(self) -> Memory:
        """Return what is in memory. Waits for the step that the MLX thread is at."""
        residency = self._residency
        if residency is None:
            return Memory()
        return await self._on_thread(
            lambda: Memory(
                residency.device,
                residency.limit(),
                residency.used(),
                residency.prompt_cache.nbytes,
                tuple(residency.listed()),
            )
        )

    async def close(self) -> None:
        """End the MLX thread after the step it is at."""
        self._preparing.shutdown(wait=False, cancel_futures=True)
        try:
            await asyncio.to_thread(self._thread.close)
        except RuntimeError:  # the interpreter is ending, and lends no more threads: it waits itself
            self._thread.close()

    # --- answers

    async def answer(self, leased: "Leased", job: AnswerJob, index: int) -> Completion:
        """Answer one conversation of a job. Cancelling the task takes its request out of the batch.

        Raises what is wrong with this conversation.
        """
        serving, loaded = _serving(), leased.loaded
        with self._expected(loaded.card.folder):
            read_call = functools.partial(serving.read_call, tools=job.work.tools)
            pending = serving.PendingAnswer(job, index, read_call)
            request = await self._prepare(
                lambda: serving.make_request(
                    leased,
                    job.work,
                    index,
                    job.media,
                    random_seed=secrets.randbits(63),
                    asked=job.asked,
                    on_event=pending.on_event,
                )
            )
            self.submit(loaded, request)
        return await pending.completion(request, leave=lambda: self.cancel(loaded, request))

    async def count(self, leased: "Leased", work: Generate, media: "Media") -> int:
        """Return the tokens of a job's first conversation."""
        prompt, _ = await self._prepare(lambda: _serving().make_prompt(leased.loaded, work, 0, media))
        return len(prompt.tokens)

    async def _on_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._thread.call(function))

    async def _prepare(self, function: Callable[[], T]) -> T:
        """Run on the preparing thread. One that a hostile template keeps is left to itself, and another takes over."""
        preparing = self._preparing
        try:
            return await asyncio.wait_for(
                self._loop.run_in_executor(preparing, function), self._settings.prepare_within
            )
        except TimeoutError as error:
            if self._preparing is preparing:
                self._preparing = _preparing_thread()
                preparing.shutdown(wait=False, cancel_futures=True)
            raise InvalidRequest(
                f"making the prompt ready took over {self._settings.prepare_within:g} seconds: the model's chat template, "
                "or the prompt, is too much; choose another model, or shorten the prompt"
            ) from error

    def _post(self, events: list[tuple["GenerationRequest", "RequestEvent"]]) -> None:
        """From the MLX thread: hand a step's events to the loop, all at once."""

        def deliver() -> None:
            for request, event in events:
                request.on_event(request, event)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(deliver)

    def submit(self, loaded: "Loaded", request: "GenerationRequest") -> None:
        runner = cast("RowRunner", loaded.runner)
        self._thread.call(lambda: runner.submit(request))

    def cancel(self, loaded: "Loaded", request: "GenerationRequest") -> Future[None]:
        runner = cast("RowRunner", loaded.runner)
        return self._thread.call(lambda: runner.cancel(request))

    # --- listening

    def speech_options(self, loaded: "Loaded", work: Transcribe) -> dict[str, Any]:
        """Return what the model is told for this work. Raises when it cannot do what was asked."""
        return cast("SpeechModel", loaded.runner).options(work)

    def longest_window(self, loaded: "Loaded") -> float:
        """Return how many seconds of speech the model hears well at once."""
        return cast("SpeechModel", loaded.runner).longest

    async def listen(self, loaded: "Loaded", window: "Window", options: dict[str, Any]) -> "Heard":
        """Return what is said in a window. Cancelling this ends it at its next step."""
        speech = cast("SpeechModel", loaded.runner)
        work = self._thread.run_stepwise(speech.listen(window, options))
        return await asyncio.wrap_future(work)

    def same_language(self, loaded: "Loaded", language: str) -> dict[str, Any]:
        """Return what keeps the model to a language that it has recognised."""
        return cast("SpeechModel", loaded.runner).language_option(language)


def _serving():
    """Return the module of all that imports MLX: its type is the module's own.

    `_begin` calls this first, so that the MLX thread is the one that imports MLX. Later calls find the module imported.
    """
    from adapters.mlx import serving

    return serving


def _preparing_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="prepare")
