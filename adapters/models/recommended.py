"""Which models suit this machine, by job: the table in recommended.toml, and what `default` and `recommended` stand for."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from adapters.errors import DoesNotFit
from adapters.models.abilities import Ability
from adapters.models.hub_cache import in_hub_cache
from adapters.models.starters import STARTER_NAMES
from adapters.settings import GB, Settings

ABILITIES: tuple[Ability, ...] = ("text", "vision", "speech")
# The names that choose from the table: what is here already, or what would be best.
AUTO = "auto"
RECOMMENDED = "recommended"
# The scale and offset that a quantised group of 64 weights carries, spread over them.
_BITS_BESIDE = 0.5


class Recommendation(BaseModel):
    """A model, what it does, and the machine that it suits.

    `parameters` in thousand millions, memory in GB. `family` is the row in docs/models.md.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: str
    abilities: tuple[Ability, ...]
    parameters: float = Field(gt=0)
    bits: int = Field(gt=0)
    memory_gb: int = Field(gt=0)

    @property
    def bytes(self) -> int:
        """About how large its weights are, from their number and their bits."""
        bits = self.bits + (_BITS_BESIDE if self.bits <= 8 else 0)
        return int(self.parameters * 1e9 * bits / 8)


@cache
def table() -> tuple[Recommendation, ...]:
    """Return every model of the table, best first."""
    content: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple(TypeAdapter(list[Recommendation]).validate_python(content["models"]))


def machine_gb(settings: Settings) -> float:
    """Return the memory to choose by, in GB: the machine's, or what makes `memory_limit_gb` two thirds of a machine."""
    import psutil  # here, as it takes a while to import

    total = psutil.virtual_memory().total / GB
    return total if settings.memory_limit_gb is None else min(total, settings.memory_limit_gb * 1.5)


def suiting(ability: Ability, settings: Settings) -> list[Recommendation]:
    """Return the models for this machine and job, best first."""
    memory = machine_gb(settings)
    # A machine sold with 16 GB tells of a little less.
    return [one for one in table() if ability in one.abilities and one.memory_gb <= memory * 1.08]


def recommended(ability: Ability, settings: Settings) -> str:
    """Return the hub id of the best model for this machine and job.

    Raises DoesNotFit when the machine is too small for any.
    """
    found = suiting(ability, settings)
    if not found:
        least = min(one.memory_gb for one in table() if ability in one.abilities)
        raise DoesNotFit(
            f"no recommended model suits this machine: it has {machine_gb(settings):.0f} GB to choose by, and the smallest "
            f"takes a machine of {least} GB; name a smaller model yourself"
        )
    return found[0].name


def default_model(ability: Ability, settings: Settings) -> str:
    """Return what `default` stands for in a job: the model of the settings, else the best recommended one that is here,
    else a starter.

    Nothing is downloaded for a name that nobody chose.
    """
    chosen = {"text": settings.model, "vision": settings.vision_model, "speech": settings.speech_model}[ability]
    if chosen != AUTO:
        return chosen
    here = (one.name for one in suiting(ability, settings) if in_hub_cache(one.name))
    return next(here, STARTER_NAMES[ability])
