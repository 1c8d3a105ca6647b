"""The models that this project makes and ships. They are demonstration models, and the package holds their weights."""

from pathlib import Path

from adapters.models.abilities import Ability

STARTER = Path(__file__).parent.parent / "starter"
# By the name that stands for each.
STARTERS = {"starter": STARTER / "text", "starter-vision": STARTER / "vision", "starter-speech": STARTER / "speech"}
STARTER_NAMES: dict[Ability, str] = {"text": "starter", "vision": "starter-vision", "speech": "starter-speech"}
