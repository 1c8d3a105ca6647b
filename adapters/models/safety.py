"""Which model folders are refused: those whose loading could run somebody's code.

Loaders execute Python files that a configuration names (`auto_map`, `model_file`), and unpickle weights. Neither is ever
needed for MLX models, so a folder with either is refused before any loader sees it, and there is no switch for it.
"""

import json
from pathlib import Path

from adapters.errors import UnsafeModel

_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npz", ".npy", ".msgpack", ".h5")
_CODE = (".py", ".pyc", ".so", ".dylib")
_CODE_KEYS = ("auto_map", "model_file", "custom_pipelines")
_LARGEST_JSON = 256 << 20


def check_folder(folder: Path) -> None:
    """Raise UnsafeModel when loading from this folder could run code; names the file and what is wrong with it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _CODE:
            raise UnsafeModel(_message(folder, f"it holds the program {path.name}"))
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
    if key := _named_code(content):
        raise UnsafeModel(_message(folder, f"{path.name} asks for code of its own ({key})"))


def _named_code(content: object) -> str | None:
    """The key, at any depth, by which a loader would find code to run. A vocabulary may hold such a word as a token."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in _CODE_KEYS and isinstance(value, (dict, str)):
                return key
            if key != "vocab" and (found := _named_code(value)):
                return found
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return next((found for entry in content if (found := _named_code(entry))), None)
    return None


def _message(folder: Path, why: str) -> str:
    return f"the model in {folder} is refused: {why}. Only safetensors weights without code are loaded; choose a conversion such as those of mlx-community"
