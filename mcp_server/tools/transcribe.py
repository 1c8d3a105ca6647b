"""The tool `transcribe`: what is said in a recording, as text or subtitles, by a local speech model."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from adapters.errors import FileRefused, InvalidRequest, from_wire
from adapters.places import outputs_folder
from adapters.protocol.transcription import MAX_HINT, Timestamps, Transcribe, TranscriptFormat
from adapters.settings import Settings
from mcp_server.connection import Connection
from mcp_server.grants import Grants, opened
from mcp_server.tools.answers import tool_result
from mcp_server.tools.definition import ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.models import named_model
from mcp_server.tools.transcripts import Transcript, transcript_of, transcript_text

MOST_BYTES = 64 << 30
_EXTENSIONS: dict[TranscriptFormat, str] = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "json": ".json"}


async def transcribe(
    ctx: Context[Connection, Any],
    audio: Annotated[
        str,
        Field(
            description="Absolute path of a sound or video file (wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov and more). Only within granted folders.",
            min_length=1,
        ),
    ],
    language: Annotated[
        str | None,
        Field(description="The language spoken, such as `en` or `german`; left out, it is recognised.", max_length=64),
    ] = None,
    task: Annotated[
        Literal["transcribe", "translate"],
        Field(description="`transcribe` keeps the language; `translate` gives English, where the model can."),
    ] = "transcribe",
    timestamps: Annotated[
        Timestamps, Field(description="What `segments` have times for: `none` leaves them out, `word` adds every word.")
    ] = "segment",
    format: Annotated[  # noqa: A002 - the name that clients use
        TranscriptFormat, Field(description="`text`, subtitles as `srt` or `vtt`, or `json` with all times.")
    ] = "text",
    save_to: Annotated[
        str | None,
        Field(
            description="Where to write the transcript: an absolute path in a granted folder, or a file name for the output folder. Never overwrites."
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        Field(description="Names and terms that are spoken, to help with their spelling.", max_length=MAX_HINT),
    ] = None,
    model: Annotated[
        str,
        Field(
            description="`default`, `starter-speech`, a hub id such as mlx-community/parakeet-tdt-0.6b-v3, or an absolute folder."
        ),
    ] = "default",
) -> Annotated[CallToolResult, Transcript]:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    if audio.startswith(("http://", "https://", "data:")):
        raise InvalidRequest("sound is read from a file; save it, and give its absolute path")
    path = await asyncio.to_thread(opened, audio, connection.grants, MOST_BYTES)
    target = None
    if save_to is not None and connection.settings.read_only:
        raise InvalidRequest("this server was started with --read-only and writes no files; leave `save_to` out")
    if save_to is not None:
        target = await asyncio.to_thread(_target, save_to, format, connection.grants, connection.settings)
    work = Transcribe(
        model=await named_model(connection, model, "speech"),
        audio=str(path),
        language=language,
        task=task,
        timestamps=timestamps,
        format=format,
        save_to=target,
        prompt=prompt,
        offline=connection.settings.offline,
    )
    view = await run(ctx, work, began)
    if view.state == "failed":
        raise from_wire(view.error or {})
    transcript = transcript_of(view, connection.settings)
    return tool_result(transcript, transcript_text(transcript))


def _target(save_to: str, wanted: TranscriptFormat, grants: Grants, settings: Settings) -> str:
    """Where the transcript goes. Raises FileRefused when that is outside what is granted, or taken."""
    asked = Path(save_to).expanduser()
    if not asked.suffix:
        asked = asked.with_suffix(_EXTENSIONS[wanted])
    if asked.is_absolute():
        target = grants.check(str(asked))
    else:
        if asked.name != str(asked) or asked.name.startswith("."):
            raise FileRefused(
                f"save_to {save_to!r} is neither an absolute path nor a plain file name; give one of them"
            )
        folder = settings.output or outputs_folder()
        folder.mkdir(parents=True, exist_ok=True)
        target = folder.resolve() / asked.name
    if not target.parent.is_dir():
        raise FileRefused(f"there is no folder {target.parent} to save to; make it first, or choose another")
    if target.exists():
        raise FileRefused(f"{target} exists already and is not overwritten; give another name in save_to")
    return str(target)


TRANSCRIBE = ToolDefinition(
    name="transcribe",
    title="Write down speech locally",
    description=(
        "Write down what is said in a sound or video file, with a speech model that runs on the user's own machine; nothing "
        "leaves it. Use it for meetings, interviews, voice notes and films: as plain text, as subtitles (`srt`, `vtt`) that "
        "follow the usual rules, or as JSON with times. Takes files of hours; a long transcript comes with its beginning and "
        "the path of the file that has all of it. Silence gives an empty transcript. Not for telling speakers apart, nor for "
        "music. Answers within the client's deadline: if `state` is not `done`, call check-job with `job`."
    ),
    function=transcribe,
    annotations=hints(read_only=False, destructive=False, idempotent=False, open_world=True),
)
