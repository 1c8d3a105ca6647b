"""What a model can do, from its configuration: write text, see pictures, hear speech.

Which families there are is read from the sources of the libraries that load them, none of which is imported here.
"""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

Ability = Literal["text", "vision", "speech"]

# What configurations call a speech family where neither its code nor the library's table does.
_SPEECH_NAMES = {"nemotron_asr_streaming": "nemotron_asr", "vibevoice": "vibevoice_asr"}
# Parts of others, and models that write down nothing.
_NOT_SPEECH = {"nemo", "wav2vec", "qwen3_forced_aligner"}

# Families that see, and give numbers in place of words.
_NOT_WRITING = {
    "clef", "colidefics3", "colqwen2_5", "embedding_gemma2", "llama_nemotron_vl_embedding", "qwen3_vl_embedding",
}  # fmt: skip


def abilities_of(config: dict[str, Any]) -> tuple[Ability, ...]:
    """Return what a model with this configuration can do.

    A vision model writes text too, a speech model does nothing else.
    """
    if speech_family(config):
        return ("speech",)
    return ("text", "vision") if _sees(config) else ("text",)


def speech_family(config: dict[str, Any]) -> str | None:
    """Return the family of mlx_audio that reads such a model, or None when it is no speech model."""
    # NeMo's own configurations name a class in place of a type, OpenAI's name neither.
    target = str(config.get("target", ""))
    if target.startswith("nemo.collections.asr"):
        return "canary" if "MultiTask" in target else "parakeet"
    kind = str(config.get("model_type") or "").lower()
    if not kind and "n_mels" in config and "n_text_layer" in config:
        return "whisper"
    if "Wav2Vec2ForCTC" in str(config.get("architectures")):
        return "mms"
    if _is_text_family(config):
        return None  # some tables call a speech family as a text family is called
    family = _SPEECH_NAMES.get(kind) or _renamed("mlx_audio", "stt/utils.py").get(kind, kind)
    return family if family in _folders("mlx_audio", "stt/models") and family not in _NOT_SPEECH else None


def is_known(config: dict[str, Any]) -> bool:
    """Return whether one of the libraries has code for a model of this kind that does something here."""
    return bool(speech_family(config) or vision_family(config) or _sees(config) or _is_text_family(config))


_TRUSTS = re.compile(r"trust_remote_code[\"']?\s*[,:=]\s*True")


@cache
def runs_remote_code(family: str) -> bool:
    """Return whether the loader of a speech family may run code from elsewhere than the model's folder: by its own
    source.

    Loaders that trust what is in the folder are shown one without code (adapters/models/without_code.py).
    """
    sources = [path.read_text(encoding="utf-8") for path in _folders("mlx_audio", "stt/models")[family].rglob("*.py")]
    return any(len(_TRUSTS.findall(source)) > _trusting_the_folder(source) for source in sources)


def _trusting_the_folder(source: str) -> int:
    """Return how many calls in a program trust code, and name the model's own folder as the place that it is from."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    return sum(
        ast.unparse(call.args[0]) in ("model_path", "str(model_path)")
        and any(given.arg == "trust_remote_code" for given in call.keywords)
        for call in calls
    )


def vision_family(config: dict[str, Any]) -> str | None:
    """Return the family of mlx_vlm that reads a model of this `model_type`, or None when it has none that sees and
    writes.
    """
    kind = str(config.get("model_type", "")).lower()
    kind = _renamed("mlx_vlm").get(kind, kind).replace("-", "_")
    return kind if kind in _seeing_families() else None


def _sees(config: dict[str, Any]) -> bool:
    """Return a text model made of a vision model has no `vision_config` any more; some vision models never had one."""
    if vision_family(config) is None:
        return False
    return bool(config.get("vision_config")) or not _is_text_family(config)


def _is_text_family(config: dict[str, Any]) -> bool:
    folder, kind = _place("mlx_lm"), str(config.get("model_type") or "")
    return (
        bool(kind) and folder is not None and (folder / "models" / f"{_renamed('mlx_lm').get(kind, kind)}.py").exists()
    )


@cache
def _seeing_families() -> frozenset[str]:
    """Return the families whose sources take pictures and write: not those that only find things in pictures, or make
    them.
    """
    folders = _folders("mlx_vlm", "models")
    sources = {
        name: "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
        for name, folder in folders.items()
    }
    found = set[str]()
    for name, source in sources.items():
        # Some families are another one with a few changes.
        with_others = source + "".join(sources.get(other, "") for other in re.findall(r"from \.\.(\w+)", source))
        if "VisionConfig" in source and "language_model" in with_others:
            found.add(name)
    return frozenset(found - _NOT_WRITING)


@cache
def _renamed(package: str, file: str = "utils.py") -> dict[str, str]:
    """Return what a library's loader calls a family whose configurations call it otherwise: its own table."""
    folder = _place(package)
    if folder is None:
        return {}
    for statement in ast.parse((folder / file).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "MODEL_REMAPPING":
            return ast.literal_eval(statement.value)
    return {}


@cache
def _place(package: str) -> Path | None:
    """Return a library's folder, found without importing it."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


@cache
def _folders(package: str, inside: str) -> dict[str, Path]:
    """Return the sub-packages of a library."""
    place = _place(package)
    if place is None:
        return {}
    return {path.name: path for path in (place / inside).iterdir() if (path / "__init__.py").exists()}
