"""Writing down a sound file: decoded, cut into windows, heard window by window, put together. On the event loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.engine.jobs import RunningJob
from adapters.engine.listening import Listening
from adapters.errors import FileRefused, ServerError
from adapters.files import write_new
from adapters.media.sound import SoundFile, probe, samples
from adapters.media.transcripts import plain_text, render
from adapters.media.windows import Window, windows
from adapters.mlx.backend import Backend
from adapters.mlx.speech.heard import Heard
from adapters.protocol.generation import Partial, Timing
from adapters.protocol.jobs import Progress
from adapters.protocol.transcription import Transcribe, Transcribed
from adapters.settings import Settings

if TYPE_CHECKING:
    from adapters.mlx.residency import Loaded


async def read_sound(work: Transcribe, settings: Settings) -> SoundFile:
    """Return the sound file, checked before any model is loaded. Raises FileRefused."""
    sound = await asyncio.to_thread(_open, work)
    if sound.seconds is not None:
        _check_length(sound, sound.seconds, settings)
    return sound


def _open(work: Transcribe) -> SoundFile:
    if work.save_to and not work.overwrite and Path(work.save_to).exists():
        raise FileRefused(f"{work.save_to} exists already and is not overwritten; give another name in `save_to`")
    return probe(Path(work.audio))


async def transcribe(
    job: RunningJob,
    work: Transcribe,
    name: str,
    backend: Backend,
    loaded: "Loaded",
    sound: SoundFile,
    load_s: float,
    settings: Settings,
) -> Transcribed:
    """Hear the whole sound. What is heard is told as it comes; cancelling the task ends the decoder too."""
    options = backend.speech_options(loaded, work)
    began, end = time.monotonic(), 0.0

    async def listen(window: Window) -> Heard:
        return await backend.listen(loaded, window, options)

    heard = Listening(listen)
    job.on_progress(Progress(phase="listening", done=0, total=sound.seconds, unit="seconds"))
    async with _windows(sound, backend.longest_window(loaded)) as next_window:
        until: float | None = None
        while (window := await next_window(until)) is not None:
            _check_length(sound, window.end, settings)
            until = None
            if not window.silent:
                space = " " if heard.segments else ""
                segments, until = await heard.hear(window)
                if heard.language and not work.language:
                    options |= backend.same_language(loaded, heard.language)
                job.on_written(0, Partial(text=(space if segments else "") + plain_text(segments)))
            end = until or window.end
            job.on_progress(Progress(phase="listening", done=end, total=max(sound.seconds or end, end), unit="seconds"))
    now = time.monotonic()
    segments, language = heard.segments, heard.language
    rendered = render(segments, work.format, round(end, 3), language, heard.told())
    file, file_error = await asyncio.to_thread(_saved, work, rendered)
    return Transcribed(
        model=name,
        text=plain_text(segments),
        rendered=rendered,
        format=work.format,
        language=language,
        duration_s=round(end, 3),
        said_s=sound.seconds,
        notes=[*sound.notes, *heard.notes],
        **heard.told(),
        segments=[] if work.timestamps == "none" else segments,
        audio_format=sound.container.name,
        timing=Timing(
            queued_s=round(max(0.0, began - job.asked - load_s), 4),
            load_s=round(load_s, 4),
            first_token_s=None,
            total_s=round(now - job.asked, 4),
            tokens_per_second=None,
        ),
        file=file,
        file_error=file_error,
    )


@asynccontextmanager
async def _windows(
    sound: SoundFile, longest: float
) -> AsyncIterator[Callable[[float | None], Awaitable[Window | None]]]:
    """Gives what cuts the next window, from where the last one was heard to; it decodes on a thread of its own."""
    loop, decoding = asyncio.get_running_loop(), ThreadPoolExecutor(1, thread_name_prefix="decode")
    pieces = samples(sound)
    cut = windows(pieces, longest)
    begun = False

    def take(until: float | None) -> Window | None:
        nonlocal begun
        try:
            window = cut.send(until if begun else None)
        except StopIteration:
            return None
        begun = True
        return window

    async def next_window(until: float | None) -> Window | None:
        return await asyncio.shield(loop.run_in_executor(decoding, take, until))

    try:
        yield next_window
    finally:
        # On the thread that runs the generators: it ends what it is at, then the decoder.
        decoding.submit(_close, cut, pieces)
        decoding.shutdown(wait=False)


def _close(*generators: object) -> None:
    for generator in generators:
        generator.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def _saved(work: Transcribe, rendered: str) -> tuple[str | None, str | None]:
    """Return where the transcript was written, or why it was not: an hour of listening is not lost for it."""
    if work.save_to is None:
        return None, None
    try:
        write_new(Path(work.save_to), rendered if rendered.endswith("\n") else f"{rendered}\n", work.overwrite)
    except ServerError as error:
        return None, str(error)
    return work.save_to, None


def _check_length(sound: SoundFile, seconds: float, settings: Settings) -> None:
    most = settings.longest_audio_hours
    if seconds > most * 3600:
        raise FileRefused(
            f"{sound.path} is {seconds / 3600:.1f} hours long and may be {most:g}; split it, or ask the user to raise longest_audio_hours in the settings"
        )
