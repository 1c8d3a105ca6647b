"""The adapters that were trained on this machine, by name; and which folder any name of an adapter means."""

import difflib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import (
    AdapterDownloadForbidden,
    AdapterExists,
    AdapterNotFound,
    BadAdapter,
    InvalidRequest,
    ModelNotFound,
    NoAdapterYet,
    NoSuchAdapter,
    ServerError,
)
from adapters.lora.check import CONFIG, WEIGHTS, AdapterFiles, check_files
from adapters.lora.manifest import Manifest, fingerprint, read_manifest
from adapters.models.hub_cache import in_hub_cache
from adapters.models.names import HUB_ID, ResolvedName, check_may_download, granted_folder
from adapters.places import lora_folder
from adapters.settings import Settings

PLOT = "loss.png"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class TrainedAdapter:
    """A LoRA adapter on disk: its files and what is known of its making, or why it cannot be used."""

    name: str
    folder: Path
    files: AdapterFiles | None
    manifest: Manifest | None
    problem: str | None = None


def check_name(name: str) -> str:
    """Return the name, if an adapter may have it.

    Raises InvalidRequest: a name never becomes a path in any other way.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"adapter {name[:80]!r} is no adapter's name: letters, digits, '.', '_' and '-', beginning with a letter or digit, 64 at most"
        )
    return name


def check_free(name: str) -> None:
    """Raise InvalidRequest when there is an adapter of that name: none is ever overwritten."""
    if (lora_folder() / check_name(name)).exists():
        raise AdapterExists(
            f"there is an adapter {name} already, and none is overwritten; choose another name",
            subject=name,
        )


def names() -> list[str]:
    """Return the adapters that were trained here, by name."""
    return sorted(path.name for path in lora_folder().iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def trained_adapters() -> list[TrainedAdapter]:
    """Return every adapter that was trained here, by name."""
    return [trained_adapter(name) for name in names()]


def trained_adapter(name: str) -> TrainedAdapter:
    """Return one trained adapter. Raises AdapterNotFound."""
    folder = trained(name)
    try:
        return TrainedAdapter(name, folder, check_files(folder), read_manifest(folder))
    except ServerError as error:
        return TrainedAdapter(name, folder, None, read_manifest(folder), str(error))


def trained(name: str) -> Path:
    """Return the folder of an adapter that was trained here. Raises AdapterNotFound with the nearest names."""
    folder = lora_folder() / name if _NAME.fullmatch(name) else None
    if folder is None or not folder.is_dir():
        raise _not_found(f"there is no adapter {name[:80]!r}", name)
    return folder


def resolve_adapter(name: str, settings: Settings, readable: Iterable[Path] | None = None) -> ResolvedName:
    """Return what `name` means: an adapter trained here, a folder, or a hub id.

    `readable` are the folders from which adapters may be named by path; None allows any (the user's own command line).
    Raises AdapterNotFound.
    """
    wanted = name.strip()
    if wanted.startswith(("/", "~", "./", "../")):
        return _by_path(wanted, settings, readable)
    if HUB_ID.fullmatch(wanted):
        if folder := in_hub_cache(wanted, needs=CONFIG):
            return ResolvedName(wanted, folder)
        if settings.offline:
            raise AdapterDownloadForbidden(
                f"the adapter {wanted} is not on this machine, and offline mode forbids to fetch it; {_nearest(wanted)}"
            )
        try:
            check_may_download(wanted, settings)
        except ModelNotFound as error:
            raise NoSuchAdapter(str(error)) from error
        return ResolvedName(wanted, None)
    return ResolvedName(wanted, trained(wanted))


def _by_path(wanted: str, settings: Settings, readable: Iterable[Path] | None) -> ResolvedName:
    always = [*settings.model_folders, lora_folder()]
    folder = granted_folder("adapter", wanted, always, readable, AdapterNotFound)
    if not folder.is_dir():
        raise _not_found(f"{wanted} is not a folder on this machine", Path(wanted).name)
    return ResolvedName(str(folder), folder)


def install(draft: Path, name: str) -> Path:
    """Store a finished adapter under its name, whole or not at all.

    Raises InvalidRequest when it is taken.
    """
    folder = lora_folder() / check_name(name)
    try:
        draft.rename(folder)  # fails where there is a folder with anything in it
    except OSError as error:
        check_free(name)
        raise InvalidRequest(f"the adapter {name} cannot be written ({error.strerror}); it is in {draft}") from error
    return folder


def delete(name: str) -> None:
    """Remove an adapter for good. A running answer that uses it goes on. Raises AdapterNotFound."""
    folder = trained(name)
    grave = folder.with_name(f".{name}.deleted")
    shutil.rmtree(grave, ignore_errors=True)
    folder.rename(grave)  # gone at once for whoever lists the adapters
    shutil.rmtree(grave)


def export(name: str, target: Path) -> list[Path]:
    """Copy an adapter to a new folder, as mlx_lm reads it. Raises InvalidRequest when the folder holds anything."""
    source = trained(name)
    files = check_files(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(f"{target} exists already and is not overwritten; give another folder")
    target.mkdir(parents=True, exist_ok=True)
    wanted = [CONFIG, WEIGHTS, "manifest.json", PLOT]
    return [Path(shutil.copy2(files.folder / one, target / one)) for one in wanted if (source / one).exists()]


def base_of(folder: Path) -> str:
    """Return the model that an adapter belongs to. Raises BadAdapter when it does not say."""
    if manifest := read_manifest(folder):
        return manifest.model
    model = check_files(folder).config.get("model")
    if isinstance(model, str) and model:
        return model
    raise BadAdapter(f"the adapter in {folder} does not say which model it belongs to; name it with `model`")


def check_base(adapter: Path, model: Path, shown: str) -> None:
    """Raise BadAdapter when the adapter says that it was trained on another model than the one in that folder."""
    manifest = read_manifest(adapter)
    if manifest is not None and manifest.fingerprint != fingerprint(model):
        raise BadAdapter(
            f"the adapter in {adapter} was trained on {manifest.model}, and {shown} is another model (or another version of it); name {manifest.model} with `model`, or leave `model` out"
        )


def _not_found(problem: str, wanted: str) -> AdapterNotFound:
    kind = NoSuchAdapter if names() else NoAdapterYet
    return kind(f"{problem}; {_nearest(wanted)}")


def _nearest(wanted: str) -> str:
    known = names()
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4) or known[:5]
    return f"on this machine there is {', '.join(close)}" if close else "none was trained on this machine yet"
