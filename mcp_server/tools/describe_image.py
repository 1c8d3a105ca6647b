"""The tool `describe-image`: questions about pictures and videos, answered by a local vision model."""

import asyncio
import time
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import ConfigDict, Field

from adapters.errors import InvalidRequest, from_wire
from adapters.protocol.content import is_address, is_data_uri
from adapters.protocol.generation import MAX_IMAGES, Generate, Generated, GenerationOptions, ImageFacts
from adapters.protocol.jobs import JobView
from adapters.settings import Settings
from mcp_server.connection import Connection
from mcp_server.grants import Grants, opened
from mcp_server.tools.adapter_argument import AdapterArgument
from mcp_server.tools.answer import JobAnswer, answer_of, job_result
from mcp_server.tools.definition import COMMON_PHASES, Arguments, JobTool, ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.names import named_adapter

# Checked again when the file is decoded; here so that what is far too large never reaches the engine.
MOST_BYTES, MOST_VIDEO_BYTES = 64 << 20, 16 << 30
# All data URIs of a call together: they travel in one message.
MOST_DATA = 24 << 20


class _Asked(Arguments):
    """What is shown, what is asked about it, and of which model."""

    images: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_IMAGES,
        description='Absolute paths of pictures, such as ["/home/me/photo.jpg"], or data URIs; their order is kept. Only within granted folders.',
    )
    video: str | None = Field(
        default=None,
        description="Absolute path of a video, in place of `images`: frames over its length are shown with their times.",
    )
    prompt: str = Field(default="Describe the image.", min_length=1, description="The question or instruction.")
    system: str | None = Field(default=None, description="A system prompt: the model's role or rules.")
    model: str = Field(
        default="default",
        description="`default`, `starter-vision`, a hub id such as mlx-community/Qwen3-VL-4B-Instruct-4bit, or an absolute folder.",
    )


# pydantic lists the fields of the last base first: clients show what is asked before how it is answered.
class DescribeImageArguments(GenerationOptions, AdapterArgument, _Asked):
    """What is shown and asked, and how it is answered."""


class ShownImage(ImageFacts):
    """A picture or video as the model was shown it."""

    model_config = ConfigDict(extra="ignore")


class PictureAnswer(JobAnswer):
    """An answer about pictures."""

    images: list[ShownImage] | None = Field(default=None, description="What was shown, in order")


async def describe_image(arguments: DescribeImageArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    if not arguments.prompt.strip():
        raise InvalidRequest("prompt is empty; write a question or an instruction, or leave it out")
    shown = await asyncio.to_thread(_parts, arguments.images, arguments.video, connection.grants)
    user = {"role": "user", "content": [*shown, {"type": "text", "text": arguments.prompt}]}
    system = [{"role": "system", "content": arguments.system}] if arguments.system else []
    adapter, model = await named_adapter(connection, arguments.adapter, arguments.model, _JOBS.ability)
    work = Generate(
        kind="describe",
        model=model,
        adapter=adapter,
        conversations=[[*system, user]],
        offline=connection.settings.offline,
        **arguments.model_dump(include=set(GenerationOptions.model_fields)),
    )
    view = await run(ctx, work, began, _JOBS.phases)
    if view.state == "failed":
        raise from_wire(view.error or {})
    return job_result(picture_answer_of(view, connection.settings))


def _parts(images: list[str] | None, video: str | None, grants: Grants) -> list[dict[str, str]]:
    """Return the message's parts.

    Raises InvalidRequest unless exactly one way of showing was used, FileRefused for a file.
    """
    if (images is None) == (video is None):
        raise InvalidRequest(
            "exactly one of images and video is needed; " + ("both were given" if images else "none was given")
        )
    if video is not None:
        if ":" in video[:12] and not video.startswith("/"):
            raise InvalidRequest("a video is read from a file; save it, and give its absolute path")
        return [{"type": "video", "source": str(opened(video, grants, MOST_VIDEO_BYTES))}]
    given = images or []
    if sum(len(image) for image in given if is_data_uri(image)) > MOST_DATA:
        raise InvalidRequest(
            f"the data URIs have over {MOST_DATA} characters together; save the pictures to files and give their paths"
        )
    return [{"type": "image", "source": _source(image, grants)} for image in given]


def _source(image: str, grants: Grants) -> str:
    """Return a data URI or an address as it is, a path resolved: the engine opens that very path, and follows no link."""
    if is_data_uri(image) or is_address(image):
        return image
    return str(opened(image, grants, MOST_BYTES))


def picture_answer_of(view: JobView, settings: Settings) -> PictureAnswer:
    """Return the answer about pictures that a job's view holds, like `answer_of`."""
    facts = view.outcome.image_facts if isinstance(view.outcome, Generated) else []
    images = [ShownImage(**one.model_dump()) for one in facts]
    return PictureAnswer(**answer_of(view, settings).model_dump(), images=images or None)


_JOBS = JobTool(
    kinds=("describe",),
    ability="vision",
    phases={**COMMON_PHASES, "opening the pictures": (0, 1), "reading prompt": (60, 70), "writing": (70, 99)},
    answer_of=picture_answer_of,
    result_of=job_result,
)

DESCRIBE_IMAGE = ToolDefinition(
    name="describe-image",
    title="Look at pictures locally",
    description=(
        "Answer questions about pictures or a video with a vision model that runs on the user's own machine; nothing "
        "leaves it. Use it for private material: photos, scans, receipts, screenshots (`json_schema` reads them into "
        "fields, and is enforced). Several pictures keep their order, so `What changed between them?` works. PNG, JPEG, "
        "WebP, GIF, BMP, TIFF and HEIC; mp4, mov, webm, mkv and gif as `video`. A second question about the same picture "
        "is quick. Not for making or changing pictures. Small models see the main things and misread fine print: ask one "
        "clear question at a time. Answers within the client's deadline: if `state` is not `done`, call check-job with `job`."
    ),
    arguments=DescribeImageArguments,
    function=describe_image,
    answer=PictureAnswer,
    annotations=hints(read_only=True, destructive=False, idempotent=False, open_world=True),
    jobs=_JOBS,
)
