"""Which folder a model's name means: an alias, a folder, or a hub id in the hub's own cache."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from adapters.errors import DownloadForbidden, InvalidRequest, ModelNotFound, NoModelFolder, NoSuchModel, OutsideGrants
from adapters.models.abilities import Ability
from adapters.models.hub_cache import cached_repositories, in_hub_cache
from adapters.models.recommended import AUTO, RECOMMENDED, default_model, recommended
from adapters.models.starters import STARTERS
from adapters.settings import Settings

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_HUB_ID_HINT = "and a hub id such as mlx-community/Qwen3.5-4B-MLX-4bit is downloaded when it is asked for"


@dataclass(frozen=True)
class ResolvedName:
    """What a name of a model or an adapter stands for.

    `display_name` stands in answers. `folder` is None when it must be downloaded first.
    """

    display_name: str
    folder: Path | None


def resolve(
    name: str, settings: Settings, ability: Ability = "text", readable: Iterable[Path] | None = None
) -> ResolvedName:
    """Return what `name` means on this machine; `ability` is the job for which "default", "auto" and "recommended"
    stand.

    `readable` are the folders from which models may be named by path; None allows any (the user's own command line).
    Raises ModelNotFound with the nearest names, UnsupportedModel for a path that is no folder, DoesNotFit where no
    recommended model suits the machine.
    """
    wanted = default_model(ability, settings) if name in ("", "default", AUTO) else name.strip()
    if wanted == RECOMMENDED:
        wanted = recommended(ability, settings)
    if wanted in STARTERS:
        return ResolvedName(wanted, STARTERS[wanted])
    if wanted.startswith(("/", "~", "./", "../")):
        return _by_path(wanted, settings, readable)
    if HUB_ID.fullmatch(wanted):
        if folder := in_hub_cache(wanted):
            return ResolvedName(wanted, folder)
        check_may_download(wanted, settings)
        return ResolvedName(wanted, None)
    raise NoSuchModel(f"there is no model {name!r}; {_nearest(wanted)}, {_HUB_ID_HINT}")


def _by_path(wanted: str, settings: Settings, readable: Iterable[Path] | None) -> ResolvedName:
    folder = granted_folder("model", wanted, settings.model_folders, readable, ModelNotFound)
    if not folder.is_dir():
        raise NoModelFolder(f"{wanted} is not a folder on this machine; {_nearest(wanted)}, {_HUB_ID_HINT}")
    return ResolvedName(str(folder), folder)


def granted_folder(
    what: str, wanted: str, always: Iterable[Path], readable: Iterable[Path] | None, error: type[InvalidRequest]
) -> Path:
    """Return the resolved folder of a model or adapter that is named by its path, within `always` and `readable` if
    that is given.

    Raises OutsideGrants for one that is elsewhere, and the `error` for a relative path.
    """
    folder = Path(wanted).expanduser()
    if not folder.is_absolute():
        raise error(f"the {what} folder {wanted!r} is relative; give its absolute path")
    folder = folder.resolve()
    if readable is not None and not any(folder.is_relative_to(root.resolve()) for root in [*readable, *always]):
        raise OutsideGrants(
            f"the {what} folder {wanted} is outside the granted folders; put it in one of them, or in model_folders of the settings",
            subject=str(folder.parent),
        )
    return folder


def check_may_download(wanted: str, settings: Settings) -> None:
    """Raise ModelNotFound when the settings forbid to fetch this from the hub."""
    if settings.offline:
        raise DownloadForbidden(
            f"{wanted} is not on this machine, and offline mode forbids to fetch it; {_nearest(wanted)}"
        )
    if not any(fnmatchcase(wanted, pattern) for pattern in settings.allowed_models):
        raise NoSuchModel(
            f"{wanted} is not on this machine, and allowed_models in the settings ({', '.join(settings.allowed_models)}) leaves it out; {_nearest(wanted)}"
        )


def known_names() -> list[str]:
    """Return every name that works without a download."""
    return ["default", *STARTERS, *(repository.name for repository in cached_repositories())]


def _nearest(wanted: str) -> str:
    known = known_names()
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4) or known[:5]
    return f"on this machine there is {', '.join(close)}"
