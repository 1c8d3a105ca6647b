"""A LoRA adapter's matrices, read from its file and checked against the model that they are for."""

import re
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from adapters.errors import BadAdapter
from adapters.lora.check import WEIGHTS, AdapterFiles, check_files
from adapters.mlx.lora.layers import Kind, Weights, base_of, kind_of, language_of, put_layers

_PARTS = ("lora_a", "lora_b", "m")
_ONE_EXPERT = re.compile(r"\.experts\.\d+\.")


def fits_in_slots(model: Any, files: AdapterFiles) -> bool:
    """Return whether the adapter can be one of several within the model.

    DoRA and full ones change the layers themselves.

    Experts that are layers of their own are given single tokens, of which nobody knows whose they are.
    """
    if files.method != "lora" or any(_ONE_EXPERT.search(name) for name in files.tensors):
        return False
    modules = _modules(model)
    return all(not hasattr(base_of(modules[name]), "to_lora") for name in names_of(files) if name in modules)


def names_of(files: AdapterFiles) -> list[str]:
    """Return the layers that an adapter changes."""
    return sorted({name.rpartition(".")[0] for name in files.tensors})


def check_against(model: Any, files: AdapterFiles) -> None:
    """Raise BadAdapter when the adapter is not for this model: layers that it lacks, shapes that differ, parts missing."""
    modules = _modules(model)
    if files.method == "full":
        return _check_full(model, files)
    for name in names_of(files):
        if name in modules and hasattr(base_of(modules[name]), "to_lora"):
            continue  # a layer of the model's own, whose shapes its library checks
        if name not in modules or (kind := kind_of(modules[name])) is None:
            raise _other(files, f"it changes {name}, and this model has no such layer")
        wanted = _shapes(base_of(modules[name]), kind, files.rank)
        found = (files.tensors[f"{name}.lora_a"].shape, files.tensors[f"{name}.lora_b"].shape)
        if found != wanted:
            raise _other(
                files,
                f"{name} has shapes {found[0]} and {found[1]}, and this model's takes {wanted[0]} and {wanted[1]}",
            )
    expected, found = set(_expected(model, files)), set(names_of(files))
    if missing := expected - found:
        raise _other(files, f"it says that it changes {min(missing)}, and has nothing for it")
    if beyond := found - expected:
        raise BadAdapter(
            f"the adapter in {files.folder} is refused: its file changes {min(beyond)}, which its configuration leaves out (num_layers {files.layers}, keys {_as_text(files.keys)}). Train or download it again"
        )
    return None


def lay_around(model: Any, files: AdapterFiles) -> None:
    """Change the model's own layers into those of the adapter: for one that cannot be in slots. Raises BadAdapter."""
    parameters = dict(files.config.get("lora_parameters") or {}) | {"dropout": 0.0}
    try:
        if files.method != "full":
            put_layers(model, files.layers, parameters, dora=files.method == "dora")
        arrays: Any = mx.load(str(files.folder / WEIGHTS))
        _check_places(model, files, arrays)
        model.load_weights(list(arrays.items()), strict=False)
        mx.eval(model.state)
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise _other(files, str(error)[:300]) from error
    if check_files(files.folder).digest != files.digest:
        raise BadAdapter(f"the adapter in {files.folder} changed while it was read; ask again")
    model.eval()


def _check_places(model: Any, files: AdapterFiles, arrays: dict[str, mx.array]) -> None:
    """Raise BadAdapter when a tensor has no place in a model around whose layers those of the adapter were put, or when
    one of these has no tensor."""
    own: Any = tree_flatten(model.parameters())
    places = {name: value.shape for name, value in own if files.method == "full" or name.rpartition(".")[2] in _PARTS}
    for name, array in arrays.items():
        if places.get(name) != array.shape:
            there = f"of shape {places[name]}" if name in places else "not there"
            raise _other(files, f"it has {name} of shape {array.shape}, and this model's is {there}")
    if files.method != "full" and (missing := set(places) - set(arrays)):
        raise _other(files, f"it says that it changes {min(missing)}, and has nothing for it")


def _as_text(keys: tuple[str, ...] | None) -> str:
    return "of all layers" if keys is None else ", ".join(keys[:8]) or "none"


def _check_full(model: Any, files: AdapterFiles) -> None:
    own: Any = tree_flatten(model.parameters())
    parameters = {name.replace(".base.", "."): value.shape for name, value in own}
    for name, tensor in files.tensors.items():
        if name not in parameters:
            raise _other(files, f"it replaces {name}, and this model has no such weights")
        if tuple(parameters[name]) != tensor.shape:
            raise _other(files, f"{name} has shape {tensor.shape}, and this model's has {tuple(parameters[name])}")


def read_weights(files: AdapterFiles) -> dict[str, Weights]:
    """Return the matrices of an adapter whose files were checked, by layer.

    Raises BadAdapter when they changed since.
    """
    arrays: Any = mx.load(str(files.folder / WEIGHTS))
    mx.eval(list(arrays.values()))
    if check_files(files.folder).digest != files.digest:
        raise BadAdapter(f"the adapter in {files.folder} changed while it was read; ask again")
    pairs = {name: (arrays[f"{name}.lora_a"], arrays[f"{name}.lora_b"]) for name in names_of(files)}
    return {name: Weights("experts" if a.ndim == 3 else "linear", a, b) for name, (a, b) in pairs.items()}


def _expected(model: Any, files: AdapterFiles) -> Iterator[str]:
    """Yield the layers that mlx_lm would put this adapter's matrices into, by its configuration
    (mlx_lm/tuner/utils.py).
    """
    language = language_of(model)
    for layer in language.layers[-max(files.layers, 0) :]:
        prefix = _name_of(model, layer)
        for name, module in layer.named_modules():
            chosen = _takes_adapters(module) if files.keys is None else name in files.keys
            if name and chosen and not name.endswith(".base"):
                yield f"{prefix}.{name}"
    above = f"{_name_of(model, language)}.".lstrip(".")
    for name, _ in language.named_modules():
        if name in (files.keys or ()):
            yield f"{above}{name}"


def _takes_adapters(module: Any) -> bool:
    return kind_of(module) is not None or hasattr(base_of(module), "to_lora")


def _name_of(model: Any, wanted: Any) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)


def _modules(model: Any) -> dict[str, Any]:
    """Return the model's layers by the names that they have without slots."""
    return {name: module for name, module in model.named_modules() if not name.endswith(".base")}


def _shapes(base: Any, kind: Kind, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if kind == "experts":
        return (base.num_experts, rank, base.input_dims), (base.num_experts, base.output_dims, rank)
    out, width = base.weight.shape
    if isinstance(base, nn.QuantizedLinear | nn.QuantizedEmbedding):
        width = width * 32 // base.bits
    # A linear layer is [out, in], an embedding [vocabulary, out].
    return ((width, rank), (rank, out)) if kind == "linear" else ((out, rank), (rank, width))


def _other(files: AdapterFiles, problem: str) -> BadAdapter:
    return BadAdapter(
        f"the adapter in {files.folder} does not belong to this model: {problem}. Name the model that it was trained on with `model`"
    )
