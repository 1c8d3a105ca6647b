"""What changed in the library, whoever changed it: another client, the command line, a training, a download."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE

from adapters.places import lora_folder, recordings_folder
from mcp_server.notices import NOTICES

logger = logging.getLogger(__name__)

MODELS = "library://models"
_SECONDS = 2.0


def stamps() -> dict[str, tuple[int, int]]:
    """Return every resource of the library that is on disk, and what changes when it does."""
    found = dict[str, tuple[int, int]]()
    for entry in _entries(recordings_folder()):
        if entry.name.endswith(".jsonl"):
            found[f"session://{entry.name.removesuffix('.jsonl')}"] = _stamp(entry)
    for entry in _entries(lora_folder()):
        if entry.is_dir() and not entry.name.startswith("."):
            found[f"adapter://{entry.name}"] = _stamp(entry)
    # A download that is complete adds a reference; half of one is no model yet.
    repositories = [entry for entry in _entries(Path(HF_HUB_CACHE)) if entry.name.startswith("models--")]
    references = [_stamp(entry) for one in repositories for entry in _entries(Path(one.path) / "refs")]
    found[MODELS] = (len(references), max((changed for changed, _ in references), default=0))
    return found


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _stamp(entry: "os.DirEntry[str]") -> tuple[int, int]:
    try:
        status = entry.stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def changes(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> tuple[set[str], bool]:
    """Return the resources that are not what they were, and whether others are there than before."""
    return {uri for uri in before.keys() | now.keys() if before.get(uri) != now.get(uri)}, before.keys() != now.keys()


async def watch_library() -> None:
    """Look every two seconds, and tell what changed. Runs until it is cancelled."""
    before: dict[str, tuple[int, int]] | None = None
    failing = False
    while True:
        try:
            now = await asyncio.to_thread(stamps)
        except OSError as error:
            if not failing:  # said once, not every two seconds
                logger.warning("error=<%s> | the library cannot be looked at", error)
            failing = True
        else:
            uris, list_changed = changes(now if before is None else before, now)
            before, failing = now, False
            if uris:
                await NOTICES.tell(uris, list_changed)
        await asyncio.sleep(_SECONDS)
