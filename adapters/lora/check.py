"""Reading an adapter's files without trusting them, before anything of it touches a model.

The configuration is held to bounds, and every tensor to a name that an adapter has, a shape that its rank allows, a type
and values that are numbers. What only the model can say (which layers there are, and how large) is checked with it.
"""

import hashlib
import json
import math
import mmap
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapters.errors import BadAdapter
from adapters.models.own_files import foreign_file
from adapters.protocol.training import MAX_RANK, MAX_SCALE, Method

CONFIG, WEIGHTS = "adapter_config.json", "adapters.safetensors"
_LARGEST_CONFIG = 1 << 20
_LARGEST_HEADER = 64 << 20
_LARGEST_LORA = 8 << 30
_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
_QUANTIZED_WIDTHS = {"U32": 4, "U8": 1}
_PIECE = 1 << 24


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter that was checked as far as its files go. `tensors` are by name; `digest` is of all that it is."""

    folder: Path
    digest: str
    method: Method
    rank: int
    scale: float
    layers: int
    keys: tuple[str, ...] | None
    bytes: int
    config: dict[str, Any] = field(hash=False)
    tensors: dict[str, Tensor] = field(hash=False)


def check_files(folder: Path) -> AdapterFiles:
    """Read and check an adapter's files; remembered until they change. Raises BadAdapter with what is wrong."""
    stamp = tuple(_stamp(folder / name) for name in (CONFIG, WEIGHTS))
    for name in (CONFIG, WEIGHTS):
        if (wrong := foreign_file(folder / name)) is not None:
            raise _bad(folder, wrong)
    return _check_files(folder, stamp)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise BadAdapter(
            f"{path.parent} is no adapter: {path.name} cannot be opened ({error.strerror}). An adapter is a folder with {CONFIG} and {WEIGHTS}"
        ) from error
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=64)
def _check_files(folder: Path, stamp: tuple[tuple[int, int, int], ...]) -> AdapterFiles:
    config = _config(folder, stamp[0][1])
    method = config.get("fine_tune_type", "lora")
    if method not in ("lora", "dora", "full"):
        raise _bad(folder, f"fine_tune_type {method!r} is none of lora, dora and full")
    rank, scale, keys = _parameters(folder, config) if method != "full" else (0, 1.0, None)
    tensors, digest = _tensors(folder, method, rank)
    layers = config.get("num_layers", -1)
    if not isinstance(layers, int) or isinstance(layers, bool):
        raise _bad(folder, f"num_layers {layers!r} is no whole number")
    return AdapterFiles(folder, digest, method, rank, scale, layers, keys, stamp[1][1], config, tensors)


def _config(folder: Path, size: int) -> dict[str, Any]:
    if size > _LARGEST_CONFIG:
        raise _bad(folder, f"{CONFIG} has {size} bytes")
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(folder, f"{CONFIG} cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise _bad(folder, f"{CONFIG} is no JSON object")
    if "fine_tune_type" not in config and "peft_type" in config:
        raise _bad(folder, "it is in the format of PEFT, and this machine's models take that of mlx_lm")
    return config


def _parameters(folder: Path, config: dict[str, Any]) -> tuple[int, float, tuple[str, ...] | None]:
    given = config.get("lora_parameters")
    if not isinstance(given, dict):
        raise _bad(folder, "lora_parameters is missing")
    rank, scale, keys = given.get("rank"), given.get("scale"), given.get("keys")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= MAX_RANK:
        raise _bad(folder, f"its rank of {rank!r} is not between 1 and {MAX_RANK}")
    if not isinstance(scale, int | float) or isinstance(scale, bool) or not math.isfinite(scale):
        raise _bad(folder, f"its scale of {scale!r} is no number")
    if abs(scale) > MAX_SCALE:
        raise _bad(folder, f"its scale of {scale:g} is beyond {MAX_SCALE:g}")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise _bad(folder, "lora_parameters.keys is no list of names")
    return rank, float(scale), tuple(keys) if keys is not None else None


def _tensors(folder: Path, method: Method, rank: int) -> tuple[dict[str, Tensor], str]:
    """Return the tensors by name, every value looked at, and the digest of the adapter."""
    path = folder / WEIGHTS
    digest = hashlib.sha256((folder / CONFIG).read_bytes())
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > _LARGEST_LORA and method != "full":
            raise _bad(folder, f"{WEIGHTS} has {size / 1e9:.1f} GB")
        header, start = _header(folder, file.read(8), file, size)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for place in range(0, size, _PIECE):
                digest.update(content[place : place + _PIECE])
            tensors = {}
            for name, entry in header.items():
                tensors[name] = _tensor(folder, name, entry, content, start, method)
    if not tensors:
        raise _bad(folder, "it has no tensors")
    if method != "full":
        _check_pairs(folder, tensors, method, rank)
    return tensors, digest.hexdigest()


def _header(folder: Path, prefix: bytes, file: Any, size: int) -> tuple[dict[str, Any], int]:
    try:
        (length,) = struct.unpack("<Q", prefix)
        if length > min(_LARGEST_HEADER, size):
            raise ValueError(f"a header of {length} bytes")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return header, 8 + length
    except (ValueError, struct.error, AttributeError, RecursionError) as error:
        raise _bad(folder, f"{WEIGHTS} is no safetensors file ({error})") from error


def _tensor(folder: Path, name: str, entry: Any, content: mmap.mmap, start: int, method: Method) -> Tensor:
    widths = _WIDTHS | (_QUANTIZED_WIDTHS if method == "full" else {})
    try:
        dtype, shape = entry["dtype"], tuple(int(size) for size in entry["shape"])
        begin, end = (start + int(place) for place in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(folder, f"{name} has no readable description") from error
    if dtype not in widths:
        raise _bad(folder, f"{name} is of type {dtype}, and an adapter's are {', '.join(_WIDTHS)}")
    if any(size < 0 for size in shape) or not start <= begin <= end <= len(content):
        raise _bad(folder, f"{name} lies outside the file")
    if end - begin != math.prod(shape) * widths[dtype]:
        raise _bad(folder, f"{name} has {end - begin} bytes where its shape {list(shape)} needs another number")
    if dtype in _WIDTHS and not _finite(content, begin, end, dtype):
        raise _bad(folder, f"{name} has values that are no numbers (NaN or infinite)")
    return Tensor(shape, dtype)


def _finite(content: mmap.mmap, begin: int, end: int, dtype: str) -> bool:
    import numpy as np  # here: it takes as long to import as the rest of an engine without models

    for place in range(begin, end, _PIECE):
        piece = content[place : min(end, place + _PIECE)]
        if dtype == "BF16":  # all ones in the exponent
            finite = (np.frombuffer(piece, "<u2") & 0x7F80 != 0x7F80).all()
        else:
            finite = np.isfinite(np.frombuffer(piece, "<f4" if dtype == "F32" else "<f2")).all()
        if not finite:
            return False
    return True


def _check_pairs(folder: Path, tensors: dict[str, Tensor], method: Method, rank: int) -> None:
    """Every module has all its parts, and those agree with the rank."""
    parts = ("lora_a", "lora_b", "m") if method == "dora" else ("lora_a", "lora_b")
    modules = dict[str, set[str]]()
    for name in tensors:
        module, _, part = name.rpartition(".")
        if part not in parts or not module:
            raise _bad(folder, f"{name} is no part of a {method} adapter")
        modules.setdefault(module, set()).add(part)
    for module, found in modules.items():
        if missing := set(parts) - found:
            raise _bad(folder, f"{module} has no {', '.join(sorted(missing))}")
        a, b = tensors[f"{module}.lora_a"].shape, tensors[f"{module}.lora_b"].shape
        fits = (a[1], b[0]) == (rank, rank) if len(a) == len(b) == 2 else len(a) == len(b) == 3
        if len(a) == len(b) == 3:
            fits = (a[1], b[2]) == (rank, rank) and a[0] == b[0]
        if not fits:
            raise _bad(folder, f"{module} has shapes {list(a)} and {list(b)}, and its rank is {rank}")


def _bad(folder: Path, problem: str) -> BadAdapter:
    return BadAdapter(f"the adapter in {folder} is refused: {problem}. Train or download it again")
