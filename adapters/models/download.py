"""Fetching a model from the hub, with bytes told as they come, and broken off when nobody wants it any more."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from adapters.errors import InvalidRequest, JobCancelled, ModelNotFound
from adapters.models.hub_cache import PATTERNS

OnBytes = Callable[[float, float], None]


def download(hub_id: str, on_bytes: OnBytes, stop: threading.Event) -> Path:
    """Fetch a model into the hub's cache and give its folder. What was fetched before is kept and gone on with.

    `on_bytes` is called with bytes so far and bytes in all, from the threads that download. When `stop` is set the
    next piece ends it with JobCancelled.

    Raises ModelNotFound when the hub has no such model or it is not open to this user, InvalidRequest when the hub
    cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        bars = _progress_bars(on_bytes, stop)
        return Path(snapshot_download(hub_id, allow_patterns=PATTERNS, tqdm_class=bars, max_workers=4))
    except GatedRepoError as error:
        raise ModelNotFound(
            f"{hub_id} asks its users to agree to terms first; do so on the hub, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"the hub has no model {hub_id}, or it is private; check the name, or log in with `hf auth login`"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = (
            str(error).strip().splitlines()[0].removeprefix("Got: ") if str(error).strip() else type(error).__name__
        )
        raise InvalidRequest(
            f"{hub_id} could not be downloaded ({reason}); check the network and ask again: what was fetched is kept"
        ) from error


def _progress_bars(on_bytes: OnBytes, stop: threading.Event) -> type[tqdm]:
    """Return a progress bar that shows nothing: it hands the bytes on, and is where a stop reaches the downloading
    threads.
    """

    class Bytes(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            self._in_bytes = options.get("unit") == "B" and "econstruct" in str(options.get("desc", ""))
            super().__init__(*args, **(options | {"disable": False, "file": _Nowhere()}))

        def update(self, n: float | None = 1) -> bool | None:
            if stop.is_set():
                raise JobCancelled(
                    f"the download was cancelled after {self.n} of {self.total} bytes; what was fetched is kept"
                )
            shown = super().update(n)
            if self._in_bytes:
                on_bytes(float(self.n), float(self.total or 0))
            return shown

    return Bytes


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
