"""Training on pictures: the same logits as the model's own forward pass, and gradients that reach the layers."""

import random
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten
from mlx_vlm.utils import load

from adapters.datasets.rows import TrainingRow
from adapters.mlx.loading import read_reader
from adapters.mlx.training.examples import Example
from adapters.mlx.training.losses import choose_logits, loss_sum
from adapters.mlx.training.pictures import Embeddings, fit_with_pictures
from adapters.mlx.training.trainable import make_trainable
from adapters.models.card import read_card
from adapters.protocol.training import Train
from adapters.starter.recipes.vision.scenes import draw_scene
from tests.picture_models import random_gemma4
from tests.tiny_models import random_vision


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_vision(tmp_path_factory.mktemp("deep"), width=64, layers=3)


def row(path: Path) -> TrainingRow:
    draw_scene(random.Random(3)).image.save(path)
    shown = [{"type": "image", "source": str(path)}, {"type": "text", "text": "What is it?"}]
    messages = [{"role": "user", "content": shown}, {"role": "assistant", "content": "a red circle"}]
    return TrainingRow("here", messages, (1,), images=(str(path),))


def example(folder: Path, model: Any, path: Path) -> Example:
    reader = read_reader("m", read_card(folder))
    (one,) = fit_with_pictures(model, reader, [row(path)], 4096, "split", "m").examples
    return one


def test_logits_are_those_of_the_models_own_pass(folder: Path, tmp_path: Path) -> None:
    model, _ = cast("tuple[Any, Any]", load(str(folder)))
    one = example(folder, model, tmp_path / "p.png")
    (batch,) = Embeddings(model).batches([one])
    ours = choose_logits(model)(model, batch)[: batch.learned]
    given = dict(one.inputs or {})
    pixels = given.pop("pixel_values")
    whole = model(mx.array([one.tokens.tolist()]), pixels, **given).logits[0]
    places = mx.array([i - 1 for i in range(len(one)) if one.learned[i]])
    assert mx.allclose(ours, whole[places], atol=1e-3).item()


def test_a_language_model_is_told_which_tokens_are_a_pictures(tmp_path: Path) -> None:
    model, _ = cast("tuple[Any, Any]", load(str(random_gemma4(tmp_path / "model"))))
    one = example(tmp_path / "model", model, tmp_path / "p.png")
    (batch,) = Embeddings(model).batches([one])
    ours = choose_logits(model)(model, batch)[: batch.learned]
    given = dict(one.inputs or {})
    pixels, kinds = given.pop("pixel_values"), given.pop("mm_token_type_ids")
    kinds = mx.pad(kinds, [(0, 0), (0, len(one) - kinds.shape[1])])
    tokens, places = mx.array([one.tokens.tolist()]), mx.array([i - 1 for i in range(len(one)) if one.learned[i]])
    whole = model(tokens, pixels, mm_token_type_ids=kinds, **given).logits[0]
    assert mx.allclose(ours, whole[places], atol=1e-3).item()
    untold = model(tokens, pixels, **given).logits[0]
    assert not mx.allclose(ours, untold[places], atol=1e-2).item()


def test_only_the_answer_is_learned(folder: Path, tmp_path: Path) -> None:
    model, _ = cast("tuple[Any, Any]", load(str(folder)))
    one = example(folder, model, tmp_path / "p.png")
    tokenizer = read_reader("m", read_card(folder)).tokenizer
    assert tokenizer.decode(one.tokens[one.learned].tolist()).startswith("a red circle<|im_end|>")


def test_gradients_reach_the_layers_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    model, _ = cast("tuple[Any, Any]", load(str(folder)))
    make_trainable(model, Train(adapter="a", model="m", rank=2))
    (batch,) = Embeddings(model).batches([example(folder, model, tmp_path / "p.png")])
    logits = choose_logits(model)
    _, gradients = nn.value_and_grad(model, lambda one: loss_sum(one, logits, batch))(model)
    found: Any = tree_flatten(gradients)
    names = {name for name, _ in found}
    assert names
    assert all(name.startswith("language_model.") and name.endswith(("lora_a", "lora_b")) for name in names)
    assert any(mx.abs(value).max().item() > 0 for name, value in found if name.endswith("lora_b"))  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
