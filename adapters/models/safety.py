"""Which model folders are refused: those that cannot be loaded without somebody's code.

Loaders execute Python files that a configuration names (`auto_map`, `model_file`), unpickle weights, and open libraries.
`model_file` is the model itself as code, and pickles are never needed for MLX models: a folder with either is refused
before any loader sees it, and there is no switch for it. A link that leads out of the folder is refused, too: it would have
another file read as part of the model. Python files that were only carried along are not shown to
loaders (adapters/models/without_code.py).
"""

import json
from pathlib import Path

from adapters.errors import UnsafeModel
from adapters.models.own_files import foreign_entry

_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npz", ".npy", ".msgpack", ".h5")
_COMPILED = (".pyc", ".so", ".dylib", ".dll")
# What is not shown to loaders: programs, and the entries that name them.
CODE = (".py",)
NAMES_OF_CODE = ("auto_map", "custom_pipelines")
# By this a loader would take the model itself from a program.
_MODEL_IS_CODE = "model_file"
_LARGEST_JSON = 256 << 20


def check_folder(folder: Path) -> None:
    """Raise UnsafeModel when loading from this folder could run code; names the file and what is wrong with it."""
    if (wrong := foreign_entry(folder)) is not None:
        raise UnsafeModel(f"the model in {folder} is refused: {wrong}; put the file itself into the folder")
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _COMPILED:
            raise UnsafeModel(_message(folder, f"it holds the compiled program {path.name}"))
        if path.suffix.lower() in _PICKLED:
            raise UnsafeModel(
                _message(folder, f"{path.name} may hold pickled objects, which run code when they are read")
            )
        if path.suffix.lower() == ".json":
            _check_json(folder, path)


def _check_json(folder: Path, path: Path) -> None:
    if path.stat().st_size > _LARGEST_JSON:
        raise UnsafeModel(_message(folder, f"{path.name} is larger than {_LARGEST_JSON >> 20} MiB"))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnsafeModel(_message(folder, f"{path.name} is not JSON ({error})")) from error
    if _is_code(content):
        raise UnsafeModel(_message(folder, f"{path.name} says that the model is code of its own ({_MODEL_IS_CODE})"))


def _is_code(content: object) -> bool:
    """Return whether the model's code is named, at any depth. A vocabulary may hold such a word as a token."""
    if isinstance(content, dict):
        return any(
            (key == _MODEL_IS_CODE and isinstance(value, (dict, str))) or (key != "vocab" and _is_code(value))
            for key, value in content.items()
        )
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return any(map(_is_code, content))
    return False


def _message(folder: Path, why: str) -> str:
    return f"the model in {folder} is refused: {why}. Only safetensors weights without code are loaded; choose a conversion such as those of mlx-community"
