"""The tool `describe-image`: questions about pictures and videos, answered by a local vision model."""

import asyncio
import time
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from adapters.errors import InvalidRequest, from_wire
from adapters.protocol.generation import MAX_IMAGES, Generate, Sampling
from mcp_server.connection import Connection
from mcp_server.grants import Grants, opened
from mcp_server.tools.answers import PictureAnswer, as_text, picture_answer_of, tool_result
from mcp_server.tools.definition import ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.models import named_adapter
from mcp_server.tools.sampling import (
    AdapterArgument,
    JsonSchema,
    MaxTokens,
    MinP,
    RepetitionPenalty,
    Seed,
    Stop,
    Temperature,
    Thinking,
    TopK,
    TopP,
)

# Checked again when the file is decoded; here so that what is far too large never reaches the engine.
MOST_BYTES, MOST_VIDEO_BYTES = 64 << 20, 16 << 30
# All data URIs of a call together: they travel in one message.
MOST_DATA = 24 << 20


async def describe_image(
    ctx: Context[Connection, Any],
    images: Annotated[
        list[str] | None,
        Field(
            description='Absolute paths of pictures, such as ["/home/me/photo.jpg"], or data URIs; their order is kept. Only within granted folders.',
            min_length=1,
            max_length=MAX_IMAGES,
        ),
    ] = None,
    video: Annotated[
        str | None,
        Field(
            description="Absolute path of a video, in place of `images`: frames over its length are shown with their times."
        ),
    ] = None,
    prompt: Annotated[str, Field(description="The question or instruction.", min_length=1)] = "Describe the image.",
    system: Annotated[str | None, Field(description="A system prompt: the model's role or rules.")] = None,
    model: Annotated[
        str,
        Field(
            description="`default`, `starter-vision`, a hub id such as mlx-community/Qwen3-VL-4B-Instruct-4bit, or an absolute folder."
        ),
    ] = "default",
    adapter: AdapterArgument = None,
    max_tokens: MaxTokens = 1024,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = None,
    stop: Stop = None,
    json_schema: JsonSchema = None,
    thinking: Thinking = False,
) -> Annotated[CallToolResult, PictureAnswer]:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    if not prompt.strip():
        raise InvalidRequest("prompt is empty; write a question or an instruction, or leave it out")
    shown = await asyncio.to_thread(_shown, images, video, connection.grants)
    user = {"role": "user", "content": [*shown, {"type": "text", "text": prompt}]}
    wanted, named = await named_adapter(connection, adapter, model, "vision")
    work = Generate(
        kind="describe",
        model=named,
        adapter=wanted,
        conversations=[[*([{"role": "system", "content": system}] if system else []), user]],
        max_tokens=max_tokens,
        stop=stop or [],
        json_schema=json_schema,
        thinking=thinking,
        sampling=Sampling(
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
        ),
        offline=connection.settings.offline,
    )
    view = await run(ctx, work, began)
    if view.state == "failed":
        raise from_wire(view.error or {})
    answer = picture_answer_of(view, connection.settings)
    return tool_result(answer, as_text(answer))


def _shown(images: list[str] | None, video: str | None, grants: Grants) -> list[dict[str, str]]:
    """The message's parts. Raises InvalidRequest unless exactly one way of showing was used, FileRefused for a file."""
    if (images is None) == (video is None):
        raise InvalidRequest(
            "exactly one of images and video is needed; " + ("both were given" if images else "none was given")
        )
    if video is not None:
        if ":" in video[:12] and not video.startswith("/"):
            raise InvalidRequest("a video is read from a file; save it, and give its absolute path")
        return [{"type": "video", "source": str(opened(video, grants, MOST_VIDEO_BYTES))}]
    given = images or []
    if sum(len(image) for image in given if image.startswith("data:")) > MOST_DATA:
        raise InvalidRequest(
            f"the data URIs have over {MOST_DATA} characters together; save the pictures to files and give their paths"
        )
    return [{"type": "image", "source": _source(image, grants)} for image in given]


def _source(image: str, grants: Grants) -> str:
    """A data URI or an address as it is, a path resolved: the engine opens that very path, and follows no link."""
    if image.startswith(("data:", "http://", "https://")):
        return image
    return str(opened(image, grants, MOST_BYTES))


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
    function=describe_image,
    annotations=hints(read_only=True, destructive=False, idempotent=False, open_world=True),
)
