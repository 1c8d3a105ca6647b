"""Adapters that are damaged or dangerous are refused by their files alone."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from adapters.errors import AdapterNotFound, BadAdapter, InvalidRequest, OutsideGrants
from adapters.lora import trained_adapters as library
from adapters.lora.check import CONFIG, WEIGHTS, check_files
from adapters.models.starters import STARTERS
from adapters.settings import for_client
from tests.tiny_adapters import random_adapter


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return random_adapter(tmp_path / "adapter", STARTERS["starter"])


def configured(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        change(config)
        (folder / CONFIG).write_text(json.dumps(config))

    return apply


def weighted(change: Callable[[dict[str, mx.array]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        weights: Any = mx.load(str(folder / WEIGHTS))
        mx.eval(weights)
        change(weights)
        mx.save_safetensors(str(folder / WEIGHTS), weights)

    return apply


ONE = "model.layers.0.self_attn.q_proj.lora_a"


def with_value(value: float, dtype: mx.Dtype = mx.float32) -> Callable[[dict[str, mx.array]], object]:
    def change(weights: dict[str, mx.array]) -> None:
        changed = weights[ONE].astype(dtype)
        changed[3, 1] = value
        weights[ONE] = changed

    return change


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no configuration": (lambda folder: (folder / CONFIG).unlink(), "adapter_config.json cannot be opened"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "adapters.safetensors cannot be opened"),
    "a list": (lambda folder: (folder / CONFIG).write_text("[1]"), "no JSON object"),
    "no JSON": (lambda folder: (folder / CONFIG).write_text("{"), "cannot be read"),
    "nested": (lambda folder: (folder / CONFIG).write_text("[" * 100_000), "cannot be read"),
    "another method": (configured(lambda c: c.update(fine_tune_type="pissa")), "none of lora, dora and full"),
    "PEFT": (configured(lambda c: (c.pop("fine_tune_type"), c.update(peft_type="LORA"))), "format of PEFT"),
    "rank 100,000": (configured(lambda c: c["lora_parameters"].update(rank=100_000)), "rank of 100000 is not between"),
    "rank 0": (configured(lambda c: c["lora_parameters"].update(rank=0)), "rank of 0"),
    "rank true": (configured(lambda c: c["lora_parameters"].update(rank=True)), "rank of True"),
    "scale 1e30": (configured(lambda c: c["lora_parameters"].update(scale=1e30)), "scale of 1e+30 is beyond"),
    "scale NaN": (configured(lambda c: c["lora_parameters"].update(scale=float("nan"))), "is no number"),
    "keys": (configured(lambda c: c["lora_parameters"].update(keys="all")), "no list of names"),
    "another rank": (configured(lambda c: c["lora_parameters"].update(rank=4)), "its rank is 4"),
    "NaN": (weighted(with_value(float("nan"))), "no numbers"),
    "infinite in half": (weighted(with_value(float("inf"), mx.float16)), "no numbers"),
    "NaN in bfloat16": (weighted(with_value(float("nan"), mx.bfloat16)), "no numbers"),
    "whole numbers": (weighted(lambda w: w.update({ONE: w[ONE].astype(mx.int32)})), "is of type I32"),
    "a missing tensor": (weighted(lambda w: w.pop(ONE)), "q_proj has no lora_a"),
    "an embedding": (weighted(lambda w: w.update({"model.embed_tokens.weight": mx.zeros((4, 4))})), "no part of a lora"),
    "no tensors": (weighted(lambda w: w.clear()), "no tensors"),
    "a pickle": (lambda folder: (folder / WEIGHTS).write_bytes(pickle.dumps({"a": 1})), "no safetensors file"),
    "cut short": (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100]), "outside the file"),
    "a lying header": (
        lambda folder: (folder / WEIGHTS).write_bytes(b"\xff" * 7 + b"\x7f" + b"{}"),
        "no safetensors file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_adapter_is_refused(name: str, adapter: Path) -> None:
    check_files(adapter)
    spoil, expected = BAD[name]
    spoil(adapter)
    with pytest.raises(BadAdapter) as caught:
        check_files(adapter)
    assert expected in str(caught.value)


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
def test_what_mlx_lm_writes_is_read(method: str, tmp_path: Path) -> None:
    files = check_files(random_adapter(tmp_path / "a", STARTERS["starter"], method=method, rank=4))
    assert files.method == method
    assert files.rank == (0 if method == "full" else 4)
    assert files.tensors


def test_another_content_is_another_adapter(adapter: Path, tmp_path: Path) -> None:
    other = random_adapter(tmp_path / "other", STARTERS["starter"], seed=9)
    assert check_files(adapter).digest != check_files(other).digest
    before = check_files(adapter).digest
    configured(lambda c: c["lora_parameters"].update(scale=5.0))(adapter)
    assert check_files(adapter).digest != before


# --- the shelf


@pytest.fixture
def shelf(isolated: Path, adapter: Path) -> Path:
    return library.install(adapter, "one")


@pytest.mark.parametrize("name", ["../x", "/etc", "", ".hidden", "a/b", "x" * 65, "a\0b"])
def test_a_name_is_never_a_path(name: str, isolated: Path) -> None:
    with pytest.raises(InvalidRequest):
        library.check_free(name)
    with pytest.raises(AdapterNotFound):
        library.trained(name)


def test_installing_never_overwrites(shelf: Path, tmp_path: Path) -> None:
    other = random_adapter(tmp_path / "other", STARTERS["starter"], seed=2)
    with pytest.raises(InvalidRequest, match="none is overwritten"):
        library.install(other, "one")
    assert library.names() == ["one"]


def test_a_damaged_adapter_is_listed_with_its_problem(shelf: Path) -> None:
    (shelf / WEIGHTS).write_bytes(b"")
    (entry,) = library.trained_adapters()
    assert entry.problem is not None
    assert "no safetensors file" in entry.problem


def test_a_name_that_is_nearly_right_is_suggested(shelf: Path) -> None:
    with pytest.raises(AdapterNotFound, match="on this machine there is one"):
        library.trained("onee")


def test_a_folder_outside_the_grants_is_refused(shelf: Path, tmp_path: Path, adapter: Path) -> None:
    settings = for_client({})
    granted = tmp_path / "granted"
    granted.mkdir()
    with pytest.raises(OutsideGrants, match="outside the granted folders"):
        library.resolve_adapter(str(tmp_path / "elsewhere"), settings, [granted])
    assert library.resolve_adapter(str(shelf), settings, [granted]).folder == shelf.resolve()


def test_deleting_is_for_good(shelf: Path) -> None:
    library.delete("one")
    assert library.names() == []
    assert not list(shelf.parent.iterdir())


def test_exporting_needs_an_empty_folder(shelf: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert {path.name for path in library.export("one", target)} == {CONFIG, WEIGHTS}
    with pytest.raises(InvalidRequest, match="not overwritten"):
        library.export("one", target)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapters.safetensors"])
def test_a_link_out_of_an_adapter_is_refused(name: str, adapter: Path, tmp_path: Path) -> None:
    (adapter / name).rename(tmp_path / "elsewhere")
    (adapter / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadAdapter, match="is a link that leads out of it"):
        check_files(adapter)


def test_a_pipe_in_place_of_an_adapters_weights_is_refused_and_not_waited_for(adapter: Path) -> None:
    (adapter / "adapters.safetensors").unlink()
    os.mkfifo(adapter / "adapters.safetensors")
    with pytest.raises(BadAdapter, match="is no regular file"):
        check_files(adapter)
