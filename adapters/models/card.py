"""What a model's folder says about it, read from its configuration and the headers of its weights, never by loading it."""

import contextlib
import json
import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapters.errors import UnsafeModel, UnsupportedModel
from adapters.models.abilities import Ability, abilities_of, speech_family
from adapters.models.counts import check_counts
from adapters.models.own_files import foreign_file

# Safetensors: eight bytes of length, then that much JSON (https://huggingface.co/docs/safetensors).
_LONGEST_HEADER = 100 << 20
_BYTES_PER_VALUE = {"float32": 4, "float16": 2, "bfloat16": 2}
_DEFAULT_CONTEXT = 4096
# Of the files that loaders, tokenizers and processors read.
_READ_SUFFIXES = frozenset(
    {".jinja", ".json", ".model", ".npz", ".safetensors", ".tiktoken", ".txt", ".vocab", ".yaml"}
)
Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class ModelCard:
    """Sizes in bytes, context in tokens (0 for a speech model). `kv_bytes_per_token` is the growth of the KV cache.

    `stamp` is that of the folder's files when the card was read.
    """

    folder: Path
    architecture: str
    weight_bytes: int
    context: int
    vocabulary: int
    kv_bytes_per_token: int
    quantization: str | None
    abilities: tuple[Ability, ...] = ("text",)
    stamp: Stamp = ()


def read_card(folder: Path) -> ModelCard:
    """Return the card of the model in that folder; remembered until one of its files changes.

    Raises UnsupportedModel when the folder has no readable configuration or weights.
    """
    return _read_card(folder, stamp_of(folder))


def stamp_of(folder: Path) -> Stamp:
    """Return what tells the files of a model from those that are put in their place: configuration, weights, tokenizer
    and template, each by name, inode, size and time of change."""
    stamps = list[tuple[str, int, int, int]]()
    for path in sorted([*folder.glob("*"), *folder.glob("additional_chat_templates/*")]):
        if path.suffix in _READ_SUFFIXES:
            with contextlib.suppress(FileNotFoundError):  # it is being replaced just now
                status = path.stat()
                stamps.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(stamps)


@lru_cache(maxsize=256)
def _read_card(folder: Path, stamp: Stamp) -> ModelCard:
    config = read_config(folder)
    weights = weight_files(folder)
    for path in weights:
        if (wrong := foreign_file(path)) is not None:
            raise UnsafeModel(f"the model in {folder} is refused: {wrong}; put the file itself into the folder")
    if not weights:
        example = "parakeet-tdt-0.6b-v3" if speech_family(config) else "Qwen3.5-4B-MLX-4bit"
        raise UnsupportedModel(
            f"{folder} has no weights (no model*.safetensors); give the folder of a model in MLX format, or a hub id such as mlx-community/{example}"
        )
    headers = [_header(path) for path in weights]
    check_counts(folder, config, sum(map(len, headers)))
    text = _text_part(config)
    abilities = abilities_of(config)
    return ModelCard(
        folder=folder,
        architecture=str(
            config.get("model_type")
            or config.get("target", "").rpartition(".")[2]
            or speech_family(config)
            or "unknown"
        ),
        weight_bytes=sum(map(_bytes_of, headers)),
        context=0 if "speech" in abilities else _context(text),
        vocabulary=int(text.get("vocab_size") or config.get("vocab_size") or 0),
        kv_bytes_per_token=_kv_bytes_per_token(text),
        quantization=_quantization(config),
        abilities=abilities,
        stamp=stamp,
    )


def _text_part(config: dict[str, Any]) -> dict[str, Any]:
    """Return what a configuration says of the part that writes."""
    inner = config.get("thinker_config") or config
    found = next((inner[name] for name in ("text_config", "llm_config", "language_config") if inner.get(name)), inner)
    return found if isinstance(found, dict) else config


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises UnsupportedModel when it is missing or no JSON object."""
    path = folder / "config.json"
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise UnsupportedModel(f"{path} is no regular file; download the model again")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnsupportedModel(
            f"{folder} is not a model: it has no config.json. Give the folder that holds config.json and model.safetensors"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(f"{path} cannot be read ({error}); download the model again") from error
    if not isinstance(config, dict):
        raise UnsupportedModel(f"{path} is not a JSON object; download the model again")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the files that the loaders read weights from.

    Older conversions of Whisper call theirs weights.safetensors.
    """
    return sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("weights*.safetensors"))


def tensor_bytes(path: Path) -> int:
    """Return the bytes of all tensors in a safetensors file, from its header.

    Raises UnsupportedModel when it is damaged.
    """
    return _bytes_of(_header(path))


def _bytes_of(header: dict[str, Any]) -> int:
    return max((entry["data_offsets"][1] for entry in header.values()), default=0)


def _header(path: Path) -> dict[str, Any]:
    """Return what a safetensors file says of each tensor, by name. Raises UnsupportedModel when the file is damaged."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            if path.stat().st_size < 8 + length + _bytes_of(header):
                raise ValueError("the file ends too early")
            return header
    except (
        OSError,
        ValueError,
        RecursionError,
        struct.error,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        raise UnsupportedModel(f"{path} is damaged ({error}); download the model again") from error


def _context(text: dict[str, Any]) -> int:
    for name in ("max_position_embeddings", "max_sequence_length", "n_positions", "n_ctx", "seq_length"):
        if isinstance(text.get(name), int) and text[name] > 0:
            return text[name]
    return _DEFAULT_CONTEXT


def _kv_bytes_per_token(text: dict[str, Any]) -> int:
    """Two values per layer, KV head and head dimension; layers without attention (hybrid models) keep none."""
    layers = int(text.get("num_hidden_layers") or text.get("n_layers") or text.get("n_layer") or 0)
    heads = int(text.get("num_attention_heads") or text.get("n_heads") or text.get("n_head") or 0)
    hidden = int(text.get("hidden_size") or text.get("d_model") or text.get("n_embd") or 0)
    kv_heads = int(text.get("num_key_value_heads") or heads)
    head_size = int(text.get("head_dim") or (hidden // heads if heads else 0))
    if interval := text.get("full_attention_interval"):
        layers = math.ceil(layers / int(interval))
    elif isinstance(kinds := text.get("layer_types"), list):
        layers = sum("attention" in str(kind) and "linear" not in str(kind) for kind in kinds)
    dtype = str(text.get("torch_dtype") or text.get("dtype") or "bfloat16")
    return 2 * layers * kv_heads * head_size * _BYTES_PER_VALUE.get(dtype, 2)


def _quantization(config: dict[str, Any]) -> str | None:
    settings = config.get("quantization") or config.get("quantization_config")
    if not isinstance(settings, dict):
        return None
    bits = settings.get("bits")
    return f"{bits}-bit" if bits else str(settings.get("quant_method") or "quantized")
