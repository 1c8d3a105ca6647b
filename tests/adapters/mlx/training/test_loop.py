"""The training loop: what it learns, that stopping and going on changes nothing, and how it ends when it goes wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load
from mlx_lm.tuner.trainer import default_loss

from adapters.datasets.rows import TrainingRow
from adapters.errors import InvalidRequest, TrainingFailed, UnsupportedModel
from adapters.mlx.training import checkpoint
from adapters.mlx.training.batches import Batch, make_batch
from adapters.mlx.training.evaluation import exact, questions
from adapters.mlx.training.examples import Example, examples
from adapters.mlx.training.loop import Plan, Run, Step, Stopped, schedule
from adapters.mlx.training.losses import choose_logits, loss_sum, number
from adapters.mlx.training.trainable import checkpoint_gradients, make_trainable, trained_weights
from adapters.models.starters import STARTERS
from adapters.protocol.training import Train
from tests.tiny_models import quantized, random_experts, random_qwen3

WORDS = ["cat", "dog", "fox", "owl", "bear", "lion", "frog", "duck"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_qwen3(tmp_path_factory.mktemp("tiny"), seed=1)


def made(tokenizer: Any, words: list[str] = WORDS) -> list[Example]:
    turns = ([{"role": "user", "content": f"Say {w}"}, {"role": "assistant", "content": f"{w} {w}"}] for w in words)
    return [one for messages in turns for one in examples(tokenizer, TrainingRow("here", messages, (1,)))]


class Trial:
    """A model being trained in a folder."""

    def __init__(self, folder: Path, model: Path, stop_at: int | None = None, iterations: int = 12, **settings: Any):
        work = Train(adapter="a", model="m", batch_size=2, **settings)
        self.model, self.tokenizer, *_ = load(str(model))
        self.trained = make_trainable(self.model, work)
        self.steps: list[Step] = []
        rows = made(self.tokenizer)
        self.losses: list[float] = []
        folder.mkdir(exist_ok=True)
        plan = Plan(work, iterations, settings.get("learning_rate", 1e-3), 4, 3)
        self.run = Run(
            folder, plan, self.model, rows[:6], rows[6:], self.note,
            lambda: stop_at is not None and self.run.place.iteration >= stop_at,
        )  # fmt: skip

    def note(self, step: Step) -> None:
        self.losses.append(step.loss)

    @property
    def weights(self) -> dict[str, mx.array]:
        return trained_weights(self.model)


def same(one: dict[str, mx.array], other: dict[str, mx.array]) -> bool:
    return one.keys() == other.keys() and all(mx.array_equal(one[name], other[name]).item() for name in one)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"dropout": 0.2, "schedule": "cosine", "warmup": 3},
    {"accumulate": 3, "schedule": "linear"},
    {"method": "dora"},
    {"method": "full", "learning_rate": 1e-4},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_stopped_and_resumed_equals_never_stopped(settings: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    whole = Trial(tmp_path / "whole", tiny, **settings)
    whole.run.run()
    first = Trial(tmp_path / "parts", tiny, stop_at=5, **settings)
    with pytest.raises(Stopped):
        first.run.run()
    second = Trial(tmp_path / "parts", tiny, **settings)
    assert second.run.place.iteration == 5
    second.run.run()
    assert first.losses + second.losses == whole.losses
    assert same(second.weights, whole.weights)
    assert second.run.place.validation_losses == whole.run.place.validation_losses
    assert second.run.place.losses == whole.run.place.losses


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(tiny: Path, tmp_path: Path) -> None:
    whole = Trial(tmp_path / "whole", tiny)
    whole.run.run()
    killed = Trial(tmp_path / "parts", tiny)

    def die(step: Step) -> None:
        if step.place.iteration == 8:
            raise KeyboardInterrupt

    killed.run._on_step = die  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(KeyboardInterrupt):
        killed.run.run()
    again = Trial(tmp_path / "parts", tiny)
    assert again.run.place.iteration == 6
    again.run.run()
    assert same(again.weights, whole.weights)


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
def test_what_is_trained_is_learned(method: str, tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", STARTERS["starter"], iterations=24, method=method)
    before = trial.run.validation_loss()
    trial.run.run()
    assert sum(trial.losses[-6:]) < 0.5 * sum(trial.losses[:6])
    assert trial.run.validation_loss() < before


def test_quantised_models_learn_beside_their_weights(tmp_path: Path) -> None:
    model = quantized(tmp_path / "q", STARTERS["starter"])
    trial = Trial(tmp_path / "run", model, iterations=9)
    frozen = {name: mx.array(value) for name, value in every(trial.model).items() if "lora" not in name}
    trial.run.run()
    assert sum(trial.losses[-3:]) < 0.8 * sum(trial.losses[:3])
    now = every(trial.model)
    assert all(mx.array_equal(now[name], value).item() for name, value in frozen.items())


def every(model: Any) -> dict[str, mx.array]:
    found: Any = tree_flatten(model.parameters())
    return dict(found)


def test_quantised_weights_are_not_trained_themselves(tiny: Path, tmp_path: Path) -> None:
    model, *_ = load(str(quantized(tmp_path / "q", tiny)))
    with pytest.raises(UnsupportedModel, match="take method=lora"):
        make_trainable(model, Train(adapter="a", model="m", method="full"))


def test_only_the_last_layers_are_trained_when_asked(tiny: Path) -> None:
    model, *_ = load(str(tiny))
    make_trainable(model, Train(adapter="a", model="m", layers=1))
    assert {name.split(".")[2] for name in trained_weights(model)} == {"1"}
    with pytest.raises(InvalidRequest, match="layers=9, and m has 2"):
        make_trainable(load(str(tiny))[0], Train(adapter="a", model="m", layers=9))


def test_experts_are_trained_too(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", random_experts(tmp_path / "experts"), iterations=20)
    assert any("switch_mlp" in name for name in trial.weights)
    trial.run.run()
    assert sum(trial.losses[-4:]) < sum(trial.losses[:4])


def test_the_loss_is_that_of_mlx_lm_without_its_pad_token(tiny: Path) -> None:
    model, tokenizer, *_ = load(str(tiny))
    rows = [one for one in made(tokenizer) if len(one) == len(made(tokenizer)[0])][:2]
    tokens = mx.array([one.tokens.tolist() for one in rows])
    # mlx_lm's mask counts one place past the end; given the length without it, both count the same tokens.
    spans = mx.array([[int(one.learned.argmax()), len(one) - 1] for one in rows])
    theirs, count = default_loss(model, tokens, spans)
    batch = make_batch(rows)
    assert number(count) == batch.learned
    ours = number(loss_sum(model, choose_logits(model), batch)) / batch.learned
    assert ours == pytest.approx(number(theirs), rel=2e-2)


def test_a_run_that_made_the_model_worse_says_so(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", STARTERS["starter"], iterations=22, learning_rate=0.5)
    with pytest.raises(TrainingFailed, match="No adapter was made"):
        trial.run.run()


@pytest.mark.parametrize("make", [random_experts, random_qwen3])
def test_logits_of_learned_places_are_the_models_own(make: Callable[[Path], Path], tmp_path: Path) -> None:
    model, *_ = load(str(make(tmp_path / "model")))
    tokens, places = mx.array([[5, 9, 200, 31]]), mx.array([1, 3])
    batch = Batch(tokens, places, places, places, 2)
    chosen = choose_logits(model)
    assert chosen.__name__ == "_logits_of_places"
    whole: Any = model(tokens)
    assert mx.allclose(chosen(model, batch), whole[0, places], atol=1e-2).item()


def test_a_model_with_a_head_of_its_own_making_is_asked_for_all_logits(tiny: Path) -> None:
    model, *_ = load(str(tiny))
    kind = type(model)

    class Capped(kind):  # type: ignore[misc,valid-type]
        def __call__(self, *given: Any, **named: Any) -> mx.array:
            return mx.tanh(super().__call__(*given, **named))

    model.__class__ = Capped
    assert choose_logits(model).__name__ == "_logits_of_all"


def test_gradients_computed_again_are_the_same(tiny: Path, tmp_path: Path) -> None:
    plain = Trial(tmp_path / "plain", tiny, iterations=4)
    plain.run.run()
    layers: Any = plain.model.layers
    layer = type(layers[0])
    usual = layer.__call__
    try:
        checkpoint_gradients(plain.model)
        again = Trial(tmp_path / "again", tiny, iterations=4)
        again.run.run()
    finally:
        layer.__call__ = usual
    assert again.losses == pytest.approx(plain.losses, rel=1e-3)


# --- ends


def test_a_learning_rate_far_too_high_ends_with_advice(tiny: Path, tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", tiny, iterations=200, learning_rate=10.0)
    with pytest.raises(TrainingFailed, match=r"diverged.*learning rate of 10 is too high; try 0\.001"):
        trial.run.run()
    assert trial.run.place.iteration < 100


def test_it_ends_early_and_keeps_the_best_weights(tiny: Path, tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", tiny, iterations=400, learning_rate=5e-3, patience=2)
    trial.run.run()
    place = trial.run.place
    assert trial.run.ended_early is not None
    assert place.iteration < 400
    assert place.best_iteration == place.iteration - 2 * 4
    best = min(point.loss for point in place.validation_losses)
    assert trial.run.validation_loss() == pytest.approx(best, rel=1e-4)


def test_a_full_disk_leaves_the_checkpoint_before(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path / "run", tiny)
    real = mx.save_safetensors

    def full(path: str, *more: Any) -> None:
        if "checkpoint-0000009" in path:
            raise OSError(28, "No space left on device")
        real(path, *more)

    monkeypatch.setattr(mx, "save_safetensors", full)
    with pytest.raises(TrainingFailed, match=r"No space left.*the checkpoint of iteration 6 is kept"):
        trial.run.run()
    monkeypatch.undo()
    assert Trial(tmp_path / "run", tiny).run.place.iteration == 6


def test_a_checkpoint_that_was_never_finished_is_not_taken(tiny: Path, tmp_path: Path) -> None:
    trial = Trial(tmp_path / "run", tiny, stop_at=3)
    with pytest.raises(Stopped):
        trial.run.run()
    (tmp_path / "run" / "checkpoint-0000099").mkdir()
    assert checkpoint.latest(tmp_path / "run") == 3


def test_the_learning_rate_rises_then_falls_to_a_tenth() -> None:
    cosine = schedule("cosine", 1.0, 100, 10)
    rates = [number(cosine(mx.array(step))) for step in (0, 5, 10, 55, 99)]
    assert rates[0] == pytest.approx(1 / 11, abs=1e-6)
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] == pytest.approx(1.0, abs=1e-3)
    assert rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(0.1, abs=0.01)
    assert schedule("constant", 0.5, 100, 0) == 0.5


# --- measuring


def test_exact_answers_are_counted() -> None:
    model, tokenizer, *_ = load(str(STARTERS["starter"]))
    asked = [("What is the capital of France?", "Paris"), ("What is the capital of France?", "Rome")]
    turns = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in asked]
    rows = [one for messages in turns for one in examples(tokenizer, TrainingRow("here", messages, (1,)))]
    found = questions(rows)
    assert len(found) == 2
    assert exact(model, tokenizer, found, lambda: False) == 1
    assert exact(model, tokenizer, found, lambda: True) is None


def test_long_answers_are_not_questions() -> None:
    _, tokenizer, *_ = load(str(STARTERS["starter"]))
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "word " * 60}]
    assert questions(examples(tokenizer, TrainingRow("here", messages, (1,)))) == []
