"""Making one model of a model and its adapter: `python -m adapters.mlx.fusing ADAPTER TARGET [--dequantize]`.

A process of its own, as it holds the whole model; what it did goes to stdout as one line of JSON.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten
from mlx_lm.utils import dequantize_model, load_config, load_tokenizer, save

from adapters.errors import InvalidRequest, NotDownloaded, ServerError, UnsupportedModel, to_wire
from adapters.lora.check import check_files
from adapters.lora.trained_adapters import base_of, check_base, resolve_adapter
from adapters.mlx.loading import lazy_model
from adapters.mlx.lora.weights import check_against, lay_around
from adapters.models.card import read_card
from adapters.models.names import resolve
from adapters.models.safety import check_folder
from adapters.models.without_code import loadable
from adapters.settings import Settings, read_settings


def fuse(adapter: str, target: Path, settings: Settings, *, dequantize: bool = False) -> Path:
    """Write the model with the adapter's weights in its own, as `mlx_lm.load` reads it. Return the folder.

    Raises AdapterNotFound, BadAdapter, UnsupportedModel, and InvalidRequest when the folder is there already.
    """
    if target.exists():
        raise InvalidRequest(f"{target} exists already and is not overwritten; give another folder")
    folder = resolve_adapter(adapter, settings).folder
    if folder is None:
        raise InvalidRequest(f"{adapter} is not on this machine yet; use it once, then fuse it")
    files = check_files(folder)
    named = resolve(base_of(folder), settings)
    if named.folder is None:
        raise NotDownloaded(
            f"{named.display_name}, which the adapter belongs to, is not on this machine; download it first",
            subject=named.display_name,
        )
    check_folder(named.folder)
    check_base(folder, named.folder, named.display_name)
    card = read_card(named.folder)
    if "vision" in card.abilities:
        raise UnsupportedModel(
            f"{named.display_name} is a vision model, and only text models can be fused; use the adapter beside it"
        )
    model = lazy_model(named.display_name, card)
    check_against(model, files)
    lay_around(model, files)
    fused = [
        (name, module.fuse(dequantize=dequantize)) for name, module in model.named_modules() if hasattr(module, "fuse")
    ]
    if fused:
        model.update_modules(tree_unflatten(fused))
    source = loadable(named.folder)  # the model's own programs are not handed on
    config = dict(load_config(source))
    if dequantize:
        model = dequantize_model(model)
        for name in ("quantization", "quantization_config"):
            config.pop(name, None)
    _write(model, config, source, target)
    return target


def _write(model: Any, config: dict[str, Any], source: Path, target: Path) -> None:
    """The model whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        save(draft, source, model, load_tokenizer(source), config)
        draft.rename(target)
    except (OSError, RuntimeError) as error:
        raise InvalidRequest(
            f"{target} cannot be written ({error}); free some space, or choose another folder"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def main() -> int:
    adapter, target, *more = sys.argv[1:]
    try:
        folder = fuse(adapter, Path(target), read_settings(), dequantize="--dequantize" in more)
        told: dict[str, Any] = {"folder": str(folder)}
    except ServerError as error:
        told = {"error": to_wire(error)}
    finally:
        mx.synchronize()
        mx.clear_streams()
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
