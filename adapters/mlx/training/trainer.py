"""One training from its folder to a LoRA adapter under its name: rows, pre-flight, base, training, comparison, adapter."""

import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from adapters import __version__
from adapters.datasets.gathering import Dataset
from adapters.datasets.rows import TrainingRow
from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.files import write_whole
from adapters.lora.check import CONFIG, WEIGHTS
from adapters.lora.manifest import FILE as MANIFEST
from adapters.lora.manifest import Manifest, fingerprint, revision
from adapters.lora.trained_adapters import PLOT, install
from adapters.mlx.loading import Reader, lazy_model, read_reader, settle
from adapters.mlx.lora.layers import language_of
from adapters.mlx.training import checkpoint
from adapters.mlx.training.evaluation import Question, exact, questions
from adapters.mlx.training.examples import Example, Fitted, fit
from adapters.mlx.training.loop import Plan, Run, Step, Stopped
from adapters.mlx.training.pictures import exact_with_pictures, fit_with_pictures
from adapters.mlx.training.preflight import plan_run, preflight
from adapters.mlx.training.trainable import checkpoint_gradients, lora_parameters, make_trainable, trained_weights
from adapters.models.card import ModelCard, read_card
from adapters.models.safety import check_folder
from adapters.protocol.jobs import Progress
from adapters.protocol.training import Evaluation, ExactMatches, Preflight, Trained, TrainingState
from adapters.training.frozen_rows import thaw
from adapters.training.plot import plot_losses
from adapters.training.run_folder import RunFile, StatusFile, write

# Rows that are measured: more would not say more, and cost as much as training.
_MOST_MEASURED = 200
_SECONDS_BETWEEN_WORDS = 0.2


@dataclass(frozen=True)
class _Prepared:
    """Everything that is known before the weights are read."""

    card: ModelCard
    reader: Reader
    model: Any
    train: list[Example]
    held_back: list[Example]
    plan: Plan
    preflight: Preflight


class Trainer:
    """Trains in one folder. `stopping` is asked often, and ends the run with a checkpoint."""

    def __init__(self, folder: Path, run: RunFile, stopping: Callable[[], bool]) -> None:
        self._folder, self._run, self._stopping = folder, run, stopping
        self._work = run.work
        self._state = TrainingState(checkpoint=checkpoint.latest(folder))
        self._said = 0.0

    def train(self) -> Trained:
        """Train, compare, and store the adapter. Raises Stopped, and what a person should read."""
        began = time.monotonic()
        self._say(Progress(phase="checking the rows"))
        dataset = thaw(self._folder)
        if dataset is None:
            raise InvalidRequest(f"the rows of {self._folder.name} are gone; start the training anew")
        prepared = self._prepare(dataset)
        self._say(Progress(phase="loading"), preflight=prepared.preflight)
        settle(prepared.model)
        self._check_stop()
        run = Run(
            self._folder,
            prepared.plan,
            prepared.model,
            prepared.train,
            prepared.held_back,
            self._on_step,
            self._stopping,
        )
        asked = questions(prepared.held_back) if self._work.evaluate else []
        if run.evaluates and self._work.evaluate and run.place.base_loss is None:
            self._say(Progress(phase="evaluating the base"))
            run.place.base_loss, run.place.base_exact = self._measure(run, prepared, asked)
        try:
            run.run()
        finally:
            self._say(checkpoint=checkpoint.latest(self._folder))
        evaluation = self._evaluation(run, prepared, asked)
        self._say(Progress(phase="saving the adapter"))
        folder = self._save(run, prepared, dataset, evaluation)
        return self._trained(run, prepared, evaluation, folder, time.monotonic() - began)

    # --- before

    def _prepare(self, dataset: Dataset) -> _Prepared:
        work, folder = self._work, self._run.model_folder
        card = read_card(folder)
        check_folder(folder)
        if "speech" in card.abilities:
            raise UnsupportedModel(
                f"{self._run.model} is a speech model, and those are not trained here; choose a text model"
            )
        reader = read_reader(self._run.model, card)
        longest = min(work.max_sequence, card.context)
        model = lazy_model(self._run.model, card)
        train = self._fit(model, reader, card, dataset.train, longest)
        held_back = self._fit(model, reader, card, dataset.held_back, longest)
        if not train.examples:
            raise InvalidRequest(
                f"none of {len(dataset.train)} rows fits into {longest} tokens; raise max_sequence, or pass too_long=cut"
            )
        self._check_stop()
        if work.gradient_checkpointing:
            checkpoint_gradients(model)
        trained = make_trainable(model, work)
        measured = _spread(held_back.examples)
        chosen = plan_run(work, train.examples, card)
        found = preflight(chosen, dataset, train, held_back, card, trained, self._run.memory_free)
        return _Prepared(card, reader, model, train.examples, measured, chosen, found)

    def _fit(self, model: Any, reader: Reader, card: ModelCard, rows: Sequence[TrainingRow], longest: int) -> Fitted:
        if "vision" in card.abilities:
            return fit_with_pictures(model, reader, rows, longest, self._work.too_long, self._run.model)
        if shown := next((row for row in rows if row.images), None):
            raise UnsupportedModel(
                f"{shown.origin} has pictures, and {self._run.model} does not see; choose a vision model, such as starter-vision"
            )
        return fit(reader.tokenizer, rows, longest, self._work.too_long)

    # --- comparing

    def _measure(self, run: Run, prepared: _Prepared, asked: Sequence[Question]) -> tuple[float, int | None]:
        """Return the loss on the rows held back, and how many short answers are right."""
        loss = run.validation_loss()
        self._check_stop()
        prepared.model.eval()
        count = exact_with_pictures if "vision" in prepared.card.abilities else exact
        right = count(prepared.model, prepared.reader.tokenizer, asked, self._stopping) if asked else None
        self._check_stop()
        return loss, right

    def _evaluation(self, run: Run, prepared: _Prepared, asked: Sequence[Question]) -> Evaluation | None:
        if run.place.base_loss is None:
            return None
        self._say(Progress(phase="evaluating the adapter"))
        loss, right = self._measure(run, prepared, asked)
        matches = None
        if asked and right is not None and run.place.base_exact is not None:
            matches = ExactMatches(rows=len(asked), base=run.place.base_exact, adapter=right)
        return Evaluation(rows=len(prepared.held_back), base_loss=run.place.base_loss, adapter_loss=loss, exact=matches)

    # --- after

    def _save(self, run: Run, prepared: _Prepared, dataset: Dataset, evaluation: Evaluation | None) -> Path:
        draft, work, place = self._folder / "adapter", self._work, run.place
        draft.mkdir(exist_ok=True, mode=0o700)
        try:
            mx.save_safetensors(str(draft / WEIGHTS), trained_weights(prepared.model))
        except RuntimeError as error:  # how mlx reports a failed write
            raise OSError(str(error)) from error
        config: dict[str, Any] = {
            "fine_tune_type": work.method,
            "num_layers": work.layers or len(language_of(prepared.model).layers),
            "lora_parameters": lora_parameters(work),
            "model": self._run.model,
        }
        write_whole(draft / CONFIG, json.dumps(config, indent=2).encode(), sync=True)
        manifest = Manifest(
            model=self._run.model,
            fingerprint=fingerprint(self._run.model_folder),
            revision=revision(self._run.model_folder),
            abilities=list(prepared.card.abilities),
            created=time.time(),
            sessions=work.sessions or [],
            dataset=Path(work.dataset).name if work.dataset else None,
            rows=prepared.preflight.examples,
            held_back=prepared.preflight.held_back,
            data_digest=dataset.digest,
            settings=self._settings(prepared.plan),
            versions=_versions(),
            iterations=place.iteration,
            best_iteration=self._best(run),
            losses=place.losses,
            validation_losses=place.validation_losses,
            evaluation=evaluation,
        )
        write_whole(draft / MANIFEST, manifest.model_dump_json(indent=1).encode(), sync=True)
        plot_losses(place.losses, place.validation_losses, f"{work.adapter} on {self._run.model}", draft / PLOT)
        return install(draft, work.adapter)

    def _settings(self, chosen: Plan) -> dict[str, Any]:
        """Return what made the adapter, with what was chosen for who asked."""
        asked = self._work.model_dump(
            exclude={"kind", "adapter", "model", "sessions", "dataset", "readable", "resume", "offline"}
        )
        return asked | {
            "iterations": chosen.iterations,
            "learning_rate": chosen.learning_rate,
            "validate_every": chosen.validate_every,
            "checkpoint_every": chosen.checkpoint_every,
        }

    def _best(self, run: Run) -> int:
        return run.place.best_iteration if self._work.patience and run.place.best_iteration else run.place.iteration

    def _trained(
        self, run: Run, prepared: _Prepared, evaluation: Evaluation | None, folder: Path, took: float
    ) -> Trained:
        place = run.place
        return Trained(
            model=self._run.model,
            adapter=self._work.adapter,
            folder=str(folder),
            method=self._work.method,
            iterations=place.iteration,
            best_iteration=self._best(run),
            ended_early=run.ended_early,
            losses=place.losses,
            validation_losses=place.validation_losses,
            trained_tokens=place.trained_tokens,
            tokens_per_second=round(place.trained_tokens / max(place.seconds, 1e-9), 2),
            memory_bytes=mx.get_peak_memory(),
            seconds=round(took, 2),
            evaluation=evaluation,
            preflight=prepared.preflight,
            plot=str(folder / PLOT),
        )

    # --- telling

    def _on_step(self, step: Step) -> None:
        place = step.place
        last = place.validation_losses[-1].loss if place.validation_losses else None
        iterations = self._state.preflight.iterations if self._state.preflight else 0
        self._say(
            Progress(phase="training", done=place.iteration, total=iterations, unit="iterations"),
            at_most_every=_SECONDS_BETWEEN_WORDS,
            iteration=place.iteration,
            iterations=iterations,
            loss=step.loss,
            validation_loss=last,
            tokens_per_second=round(step.tokens_per_second, 2),
            memory_bytes=mx.get_peak_memory(),
            seconds_left=round(step.seconds_left, 1),
            checkpoint=checkpoint.latest(self._folder),
        )

    def _say(self, progress: Progress | None = None, at_most_every: float = 0.0, **state: Any) -> None:
        """Write down how far the training is, unless the last time is less than `at_most_every` seconds ago."""
        self._state = self._state.model_copy(update=state)
        self._progress = progress or self._progress
        now = time.monotonic()
        if now - self._said >= at_most_every:
            self._said = now
            write(self._folder / "status.json", StatusFile(progress=self._progress, training=self._state))

    def _check_stop(self) -> None:
        if self._stopping():
            raise Stopped


def _spread(examples: list[Example]) -> list[Example]:
    """Return at most so many of the examples, from all over."""
    count = min(len(examples), _MOST_MEASURED)
    return [examples[i * len(examples) // count] for i in range(count)] if count else []


def _versions() -> dict[str, str]:
    packages = ("mlx", "mlx-lm", "mlx-vlm")
    return {"mcp-server-mlx": __version__} | {name: importlib.metadata.version(name) for name in packages}
