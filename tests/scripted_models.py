"""Models that say given pieces of text, under any chat template: real checkpoints, made on the spot, with no training."""

import itertools
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models import qwen3
from tokenizers import AddedToken, Tokenizer, decoders, models, processors
from tokenizers.pre_tokenizers import ByteLevel

END, START = "<|im_end|>", "<|say|>"
MARKS = ("<|endoftext|>", "<|im_start|>", END, START)


def scripted_model(
    folder: Path, template: str | None, says: list[str] | None = None, *, bos: bool = False, **named: Any
) -> Path:
    """A Qwen3 that says these pieces, each once, after any prompt that ends with `<|say|>`.

    `named` goes into tokenizer_config.json, such as `tool_parser_type`. With `bos` the tokenizer begins texts with
    `<|endoftext|>`.
    """
    says = says or ["Yes."]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE(vocab={one: i for i, one in enumerate(sorted(ByteLevel.alphabet()))}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS])
    tokenizer.add_tokens([AddedToken(piece, special=False, normalized=False) for piece in says])
    if bos:
        first = (MARKS[0], _id(tokenizer, MARKS[0]))
        tokenizer.post_processor = processors.TemplateProcessing(f"{MARKS[0]} $A", None, [first])  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": MARKS[0], "bos_token": MARKS[0],
        "model_max_length": 8192, "clean_up_tokenization_spaces": False,
    } | named  # fmt: skip
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    _save(folder, tokenizer, says)
    return folder


def _save(folder: Path, tokenizer: Tokenizer, says: list[str]) -> None:
    size, end = tokenizer.get_vocab_size(), _id(tokenizer, END)
    config: dict[str, Any] = {
        "model_type": "qwen3", "vocab_size": size, "hidden_size": size, "num_hidden_layers": 1, "intermediate_size": 8,
        "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 8, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
        "max_position_embeddings": 8192, "tie_word_embeddings": False, "eos_token_id": end,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    model = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    # Each token is followed by the next of the script: embeddings and head are a permutation, the layer adds nothing.
    follow, script = [end] * size, [_id(tokenizer, one) for one in (START, *says, END)]
    for one, after in itertools.pairwise(script):
        follow[one] = after
    head = mx.zeros((size, size))
    head[mx.array(follow), mx.arange(size)] = 8.0
    flat: Any = tree_flatten(model.parameters())
    weights = {name: mx.zeros_like(one) if one.ndim == 2 else mx.ones_like(one) for name, one in flat}
    weights["model.embed_tokens.weight"], weights["lm_head.weight"] = mx.eye(size), head
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    assert found is not None
    return found
