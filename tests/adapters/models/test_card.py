"""What a folder says about its model, without loading it."""

import json
import struct
from pathlib import Path

import pytest

from adapters.errors import UnsupportedModel
from adapters.models.card import read_card
from adapters.models.starters import STARTERS
from tests.tiny_models import copy_of_starter, random_hybrid, random_qwen3


def test_the_size_is_that_of_the_tensors() -> None:
    card = read_card(STARTERS["starter"])
    assert card.weight_bytes == 1_181_376 * 2
    assert (card.architecture, card.context, card.vocabulary) == ("qwen3", 2048, 1536)


def test_the_kv_cache_grows_by_two_values_a_layer_and_head_dimension(tmp_path: Path) -> None:
    assert read_card(random_qwen3(tmp_path)).kv_bytes_per_token == 2 * 2 * 2 * 32 * 2


def test_layers_of_linear_attention_have_no_kv_cache(tmp_path: Path) -> None:
    assert read_card(random_hybrid(tmp_path)).kv_bytes_per_token == 2 * 1 * 2 * 32 * 2


def test_the_text_part_of_a_vision_models_configuration_counts(tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "m")
    text = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3_vl", "text_config": text}))
    card = read_card(folder)
    assert (card.architecture, card.context) == ("qwen3_vl", 2048)


def test_quantization_is_told(tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text()) | {"quantization": {"group_size": 64, "bits": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    assert read_card(folder).quantization == "4-bit"


def test_a_card_is_read_again_when_the_folder_changes(tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "m")
    assert read_card(folder).context == 2048
    config = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 4096}
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    assert read_card(folder).context == 4096


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"abc"), "is damaged"),
        (lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60)), "is damaged"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
            "ends too early",
        ),
    ],
)
def test_a_damaged_folder_is_named(tmp_path: Path, damage: object, message: str) -> None:
    folder = copy_of_starter(tmp_path / "m")
    damage(folder)  # pyright: ignore[reportCallIssue]
    with pytest.raises(UnsupportedModel, match=message):
        read_card(folder)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"num_hidden_layers": 20_000_000}, "num_hidden_layers 20000000"),
        ({"text_config": {"n_layer": 10**9}}, "n_layer 1000000000"),
        ({"vision_config": {"depth": 10**12}}, "depth 1000000000000"),
        ({"num_local_experts": 10**8}, "num_local_experts 100000000"),
    ],
)
def test_a_configuration_that_asks_for_more_than_the_weights_hold_is_refused(
    entries: dict[str, object], named: str, tmp_path: Path
) -> None:
    folder = copy_of_starter(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text()) | entries
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModel, match=named):
        read_card(folder)


def test_a_configuration_nested_without_end_is_refused(tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "m")
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        read_card(folder)
