"""The training loop: one update after another, with validation, checkpoints, early stop, and an end when it diverges.

Nothing depends on when it was started: the order of the rows and all randomness come from the seed and the iteration.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optimizers
from mlx.utils import tree_map

from adapters.errors import TrainingFailed
from adapters.mlx.training import checkpoint
from adapters.mlx.training.batches import Batch, make_batch, place_of, plan
from adapters.mlx.training.checkpoint import Place
from adapters.mlx.training.examples import Example
from adapters.mlx.training.losses import choose_logits, loss_sum, number
from adapters.mlx.training.pictures import Embeddings
from adapters.mlx.training.trainable import trained_weights
from adapters.protocol.training import LossPoint, Schedule, Train

BEST = "best.safetensors"
# The most points that a curve is kept as.
_POINTS = 200
# A loss this many times the first, or that of a model for which all tokens are alike, will not come back when it stays
# for so many iterations.
_DIVERGED_BY, _DIVERGED_FOR = 3.0, 5
_ALIKE = 1e-3
# A run this long that ends so much above its beginning has made the model worse.
_LONG, _WORSE = 20, 0.5


@dataclass(frozen=True)
class Plan:
    """What a run does, all of it decided. `work` has the choices that were made by hand."""

    work: Train
    iterations: int
    learning_rate: float
    validate_every: int
    checkpoint_every: int


@dataclass(frozen=True)
class Step:
    """What is told after an iteration."""

    place: Place
    loss: float
    tokens_per_second: float
    seconds_left: float


class Stopped(Exception):
    """The run was told to stop; its checkpoint is written."""


class Run:
    """A run in its folder. `on_step` hears of every iteration, `stopping` is asked before each."""

    def __init__(
        self,
        folder: Path,
        plan_of_run: Plan,
        model: Any,
        train: Sequence[Example],
        held_back: Sequence[Example],
        on_step: Callable[[Step], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._folder, self._plan, self._model = folder, plan_of_run, model
        self._train, self._held_back = train, held_back
        self._on_step, self._stopping = on_step, stopping
        self._batches = plan(train, plan_of_run.work.batch_size)
        self._embeddings = Embeddings(model) if hasattr(model, "get_input_embeddings") else None
        self._logits = choose_logits(model)
        self._optimizer = make_optimizer(plan_of_run)
        self._report_every = max(1, plan_of_run.iterations // _POINTS)
        self._bad = 0
        few = self._made(train[:1])[0]
        self._uniform = math.log(self._logits(model, few).shape[-1])
        self.place = checkpoint.load(folder, model, self._optimizer) or Place()
        self.ended_early: str | None = None
        if not self.place.iteration:
            self._optimizer.init(model.trainable_parameters())
        self._gradients = self._compiled()

    @property
    def evaluates(self) -> bool:
        return bool(self._held_back)

    def run(self) -> None:
        """Go on to the last iteration. Raises Stopped when told to, TrainingFailed when it diverges or cannot write."""
        self._model.train()
        while self.place.iteration < self._plan.iterations and self.ended_early is None:
            if self._stopping():
                self.save()
                raise Stopped
            self._iterate()
            done = self.place.iteration
            last = done == self._plan.iterations
            if self.evaluates and (done % self._plan.validate_every == 0 or last):
                self._validate()
            if done % self._plan.checkpoint_every == 0 or last or self.ended_early:
                self.save()
        self._check_end()
        best = self._folder / BEST
        if self._plan.work.patience and best.exists():
            self._model.load_weights(str(best), strict=False)
        self._model.eval()

    def save(self) -> None:
        """Write a checkpoint of where the run is."""
        checkpoint.save(self._folder, self._model, self._optimizer, self.place)

    def validation_loss(self) -> float:
        """Return the mean loss of a learned token over the rows held back."""
        self._model.eval()
        total, count = 0.0, 0
        for batch in plan(self._held_back, self._plan.work.batch_size):
            for made in self._made([self._held_back[i] for i in batch]):
                total += number(loss_sum(self._model, self._logits, made))
                count += made.learned
        self._model.train()
        return total / max(count, 1)

    # --- one iteration

    def _iterate(self) -> None:
        began, work = time.perf_counter(), self._plan.work
        iteration = self.place.iteration + 1
        # The state of the random numbers cannot be saved; a seed of its own for each iteration needs no saving.
        mx.random.seed(work.seed * 1_000_003 + iteration)
        steps = range((iteration - 1) * work.accumulate, iteration * work.accumulate)
        batches = [batch for step in steps for batch in self._step(step)]
        learned = sum(batch.learned for batch in batches)
        loss, gradients = 0.0, None
        for batch in batches:
            part, gradients = self._gradients(
                batch.inputs, batch.places, batch.targets, batch.weights / learned, batch.embedded, gradients
            )
            mx.eval(part, gradients)
            loss += number(part)
        self._check(loss)
        self._optimizer.update(self._model, gradients)
        mx.eval(self._model.trainable_parameters(), self._optimizer.state)
        self._note(iteration, loss, learned, time.perf_counter() - began)

    def _step(self, step: int) -> list[Batch]:
        place = place_of(len(self._batches), step, self._plan.work.seed)
        return self._made([self._train[i] for i in self._batches[place]])

    def _made(self, examples: Sequence[Example]) -> list[Batch]:
        return self._embeddings.batches(examples) if self._embeddings else [make_batch(examples)]

    def _compiled(self) -> Callable[..., tuple[mx.array, Any]]:
        """Loss and gradients of a batch, added to what there is; compiled where MLX compiles."""
        state = [self._model.state, mx.random.state]

        def weighted(model: Any, batch: Batch) -> mx.array:
            return loss_sum(model, self._logits, batch)

        def gradients(
            inputs: Any, places: Any, targets: Any, weights: Any, embedded: Any, so_far: Any
        ) -> tuple[mx.array, Any]:
            batch = Batch(inputs, places, targets, weights, 0, embedded)
            loss, found = nn.value_and_grad(self._model, weighted)(self._model, batch)
            return loss, found if so_far is None else tree_map(lambda a, b: a + b, found, so_far)

        # Models that see look at their inputs' values on the way, which nothing compiled can.
        return gradients if self._embeddings else mx.compile(gradients, inputs=state, outputs=state)

    def _note(self, iteration: int, loss: float, learned: int, seconds: float) -> None:
        place = self.place
        place.iteration = iteration
        place.trained_tokens += learned
        place.seconds += seconds
        total, count = place.unreported
        total, count = total + loss * learned, count + learned
        if iteration % self._report_every == 0 or iteration == self._plan.iterations:
            place.losses.append(LossPoint(iteration=iteration, loss=total / count))
            total, count = 0.0, 0
        place.unreported = (total, count)
        left = (self._plan.iterations - iteration) * place.seconds / iteration
        self._on_step(Step(place, loss, place.trained_tokens / max(place.seconds, 1e-9), left))

    def _check(self, loss: float) -> None:
        """Raise TrainingFailed when the loss is no number any more, or stays where no learning leads out of."""
        first = self.place.losses[0].loss if self.place.losses else loss
        lost = loss > first * _DIVERGED_BY + 1 or abs(loss - self._uniform) < _ALIKE
        self._bad = self._bad + 1 if lost else 0
        if not math.isfinite(loss) or self._bad >= _DIVERGED_FOR:
            raise self._diverged(loss)

    def _check_end(self) -> None:
        """Raise TrainingFailed when the run has made the model worse on the very rows that it saw."""
        losses = [point.loss for point in self.place.losses]
        end = sum(losses[-5:]) / len(losses[-5:])
        if self._bad or (self.place.iteration >= _LONG and end > losses[0] + _WORSE):
            raise self._diverged(end)

    def _diverged(self, loss: float) -> TrainingFailed:
        rate, first = self._plan.learning_rate, self.place.losses[0].loss if self.place.losses else loss
        return TrainingFailed(
            f"the training diverged: after iteration {self.place.iteration} the loss is {loss:.4g}, and it began at {first:.4g}. "
            f"The learning rate of {rate:g} is too high; try {min(rate / 10, 1e-3):g}. No adapter was made"
        )

    # --- validation

    def _validate(self) -> None:
        place, patience = self.place, self._plan.work.patience
        loss = self.validation_loss()
        place.validation_losses.append(LossPoint(iteration=place.iteration, loss=loss))
        if place.best_loss is None or loss < place.best_loss:
            place.best_loss, place.best_iteration, place.since_best = loss, place.iteration, 0
            if patience:
                _save_best(self._folder, self._model)
            return
        place.since_best += 1
        if patience and place.since_best >= patience:
            self.ended_early = f"the loss on the rows held back had not fallen for {patience} validations; the weights are those of iteration {place.best_iteration}"


def _save_best(folder: Path, model: Any) -> None:
    draft = folder / f"draft-{BEST}"
    try:
        mx.save_safetensors(str(draft), trained_weights(model))
        draft.replace(folder / BEST)
    except (OSError, RuntimeError) as error:
        raise TrainingFailed(
            f"the best weights could not be written ({error}); {checkpoint.left(folder)}. Free some space, then resume"
        ) from error


def make_optimizer(run: Plan) -> Any:
    """Adam, as in mlx_lm, with the learning rate on its schedule."""
    return optimizers.Adam(
        learning_rate=schedule(run.work.schedule, run.learning_rate, run.iterations, run.work.warmup)
    )


def schedule(kind: Schedule, rate: float, iterations: int, warmup: int) -> Any:
    """Return the learning rate by iteration: up from nothing in `warmup` ones, then constant or down to a tenth."""
    after = max(1, iterations - warmup)
    if kind == "linear":
        main = optimizers.linear_schedule(rate, rate / 10, after)
    elif kind == "cosine":
        main = optimizers.cosine_decay(rate, after, rate / 10)
    else:
        main = rate
    if not warmup:
        return main
    constant = main if callable(main) else lambda step: mx.array(rate)  # noqa: ARG005
    return optimizers.join_schedules(
        [optimizers.linear_schedule(rate / (warmup + 1), rate, warmup), constant], [warmup]
    )
