"""What models are on this machine: the starter models and those in the hub's cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import ServerError, UnsupportedModel
from adapters.models.abilities import Ability
from adapters.models.card import ModelCard, read_card
from adapters.models.hub_cache import Repository, cached_repositories
from adapters.models.safety import check_folder
from adapters.models.starters import STARTERS


@dataclass(frozen=True)
class InstalledModel:
    """A model on disk: its card, or why it cannot be used."""

    name: str
    folder: Path
    card: ModelCard | None
    problem: str | None = None


def models_on_disk() -> Iterator[InstalledModel]:
    """Yield every model that can be named, the starter models first."""
    repositories = [Repository(name, folder) for name, folder in STARTERS.items()] + cached_repositories()
    for entry in repositories:
        if not (entry.folder / "config.json").exists():
            continue  # a data set, an adapter, or a download that was broken off
        try:
            check_folder(entry.folder)
            yield InstalledModel(entry.name, entry.folder, read_card(entry.folder))
        except ServerError as error:
            yield InstalledModel(entry.name, entry.folder, None, str(error))


_DOES: dict[Ability, str] = {"text": "write", "vision": "see", "speech": "hear"}
_KINDS: dict[Ability, str] = {"text": "a text model", "vision": "a vision model", "speech": "a speech model"}


def check_ability(name: str, folder: Path, wanted: Ability) -> None:
    """Raise UnsupportedModel, with models that can, when the model of that folder cannot do what is wanted."""
    abilities = read_card(folder).abilities
    if wanted in abilities:
        return
    able = [entry.name for entry in models_on_disk() if entry.card and wanted in entry.card.abilities]
    raise UnsupportedModel(
        f"{name} is {_KINDS[abilities[-1]]} and cannot {_DOES[wanted]}; choose {_KINDS[wanted]}, such as {', '.join(able[:3]) or 'one of mlx-community'}"
    )
