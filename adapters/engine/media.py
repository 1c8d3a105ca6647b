"""The pictures and videos that a job's messages name, decoded beside the event loop, each once."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.errors import FileRefused
from adapters.media.fetch import fetch_image
from adapters.media.images import Picture, open_picture, read_image
from adapters.media.video import Video, read_video
from adapters.protocol.content import ImagePart, VideoPart, is_address, media_of
from adapters.protocol.generation import Generate, ImageFacts
from adapters.settings import Settings

# Decoding takes memory: only so many at once, whichever jobs they belong to.
_DECODING = asyncio.Semaphore(2)


async def read_media(work: Generate, settings: Settings) -> dict[str, Picture | Video]:
    """Return all that the conversations show, by source. Raises FileRefused for what cannot be read."""
    parts = {part.source: part for conversation in work.conversations for part in media_of(conversation)}

    async def one(part: ImagePart | VideoPart) -> Picture | Video:
        async with _DECODING:
            if isinstance(part, VideoPart):
                return await asyncio.to_thread(read_video, Path(part.source))
            return await asyncio.to_thread(_opened, part.source, settings.image_urls and not work.offline)

    found = await asyncio.gather(*(one(part) for part in parts.values()))
    return dict(zip(parts, found, strict=True))


def image_facts(conversation: list[dict[str, Any]], media: Mapping[str, Picture | Video]) -> list[ImageFacts]:
    """Return what the model is shown of each picture and video, in order."""
    return [_facts(media[part.source]) for part in media_of(conversation)]


def _facts(shown: Picture | Video) -> ImageFacts:
    first = shown.image if isinstance(shown, Picture) else shown.frames[0].image
    common = {"format": shown.format, "width": shown.width, "height": shown.height}
    common |= {"resized_width": first.width, "resized_height": first.height}
    if isinstance(shown, Picture):
        return ImageFacts(**common)
    return ImageFacts(**common, frames=len(shown.frames), seconds=shown.seconds)


def _opened(source: str, urls: bool) -> Picture:
    if not is_address(source):
        return open_picture(source)
    if not urls:
        raise FileRefused(
            f"{source[:200]} is not fetched: addresses are switched off. Save the picture to a file, or ask the user to set image_urls in the settings"
        )
    return read_image(fetch_image(source), source[:200])
