"""What a model can do, from its configuration: write text, see pictures, hear speech."""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Literal

Ability = Literal["text", "vision", "speech"]

# What configurations call a family where that differs from the name of its code.
_SPEECH_NAMES = {
    "parakeet_tdt": "parakeet",
    "parakeet_tdt_five_value": "phonon2",
    "nemotron_asr_streaming": "nemotron_asr",
    "vibevoice": "vibevoice_asr",
    "granite_speech_plus": "granite_speech",
}
# Parts of others, and models that write down nothing.
_NOT_SPEECH = {"nemo", "wav2vec", "qwen3_forced_aligner"}


def abilities_of(config: dict[str, Any]) -> tuple[Ability, ...]:
    """What a model with this configuration can do. A vision model writes text too, a speech model does nothing else."""
    if speech_family(config):
        return ("speech",)
    return ("text", "vision") if _sees(config) else ("text",)


def speech_family(config: dict[str, Any]) -> str | None:
    """The family of mlx_audio that reads such a model, or None when it is no speech model."""
    # NeMo's own configurations name a class in place of a type.
    target = str(config.get("target", ""))
    if target.startswith("nemo.collections.asr"):
        return "canary" if "MultiTask" in target else "parakeet"
    kind = str(config.get("model_type", "")).lower()
    family = _SPEECH_NAMES.get(kind, kind)
    return family if family in _folders("mlx_audio", "stt/models") and family not in _NOT_SPEECH else None


def runs_remote_code(family: str) -> bool:
    """Whether the loader of a speech family trusts code that comes with a model: said in its own source."""
    folder = _folders("mlx_audio", "stt/models")[family]
    return any("trust_remote_code=True" in path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))


def _sees(config: dict[str, Any]) -> bool:
    kind = str(config.get("model_type", "")).lower().replace("-", "_")
    return bool(config.get("vision_config")) and kind in _folders("mlx_vlm", "models")


@cache
def _folders(package: str, inside: str) -> dict[str, Path]:
    """The sub-packages of a library, found without importing it."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    if not places:
        return {}
    return {
        path.name: path for path in (Path(next(iter(places))) / inside).iterdir() if (path / "__init__.py").exists()
    }
