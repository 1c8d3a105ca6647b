"""The pre-flight: what a run will do, what that takes, and what a person should know before trusting its result."""

import math
from collections.abc import Sequence

from adapters.datasets.gathering import Dataset
from adapters.mlx.training.batches import padded_tokens, plan
from adapters.mlx.training.estimate import Sizes, check_fits, measured_flops, memory, seconds
from adapters.mlx.training.examples import Example, Fitted
from adapters.mlx.training.loop import Plan
from adapters.models.card import ModelCard
from adapters.protocol.training import Preflight, Train

# Iterations that are chosen when none are asked for: so many epochs, within bounds.
_EPOCHS, _FEWEST, _MOST = 3, 100, 1000
# Models below this many values learn little at the rates that suit large ones.
_SMALL = 50_000_000
_FEW_ROWS = 20


def plan_run(work: Train, train: Sequence[Example], card: ModelCard) -> Plan:
    """Return what the run does, with what was left open chosen."""
    batches = len(plan(train, work.batch_size))
    each = batches / work.accumulate
    if work.iterations is not None:
        iterations = work.iterations
    elif work.epochs is not None:
        iterations = max(1, math.ceil(work.epochs * each))
    else:
        iterations = min(_MOST, max(_FEWEST, math.ceil(_EPOCHS * each)))
    small = Sizes.of(card).parameters < _SMALL
    usual = (1e-4 if small else 1e-5) if work.method == "full" else (5e-4 if small else 1e-4)
    return Plan(
        work,
        iterations,
        work.learning_rate or usual,
        work.validate_every or max(1, iterations // 10),
        work.checkpoint_every or max(25, iterations // 10),
    )


def preflight(
    chosen: Plan, dataset: Dataset, train: Fitted, held_back: Fitted, card: ModelCard, trained: int, memory_free: int
) -> Preflight:
    """Return what the run takes. Raises DoesNotFit with what would fit."""
    work, sizes = chosen.work, Sizes.of(card)
    batches = plan(train.examples, work.batch_size)
    longest = max(len(one) for one in train.examples)
    learned = max(sum(int(train.examples[i].learned.sum()) for i in batch) for batch in batches)
    needed = memory(work, sizes, card.weight_bytes, trained, longest, learned)
    check_fits(work, needed, memory_free, sizes, card.weight_bytes, trained, longest, learned)
    computed = padded_tokens(train.examples, batches)
    each = computed / len(batches) * work.accumulate
    return Preflight(
        examples=len(train.examples),
        held_back=len(held_back.examples),
        duplicates=dataset.duplicates,
        too_long=train.too_long + held_back.too_long,
        dropped=train.dropped + held_back.dropped,
        tokens=sum(len(one) for one in train.examples),
        learned_tokens=sum(int(one.learned.sum()) for one in train.examples),
        longest=longest,
        iterations=chosen.iterations,
        epochs=round(chosen.iterations * work.accumulate / len(batches), 2),
        learning_rate=chosen.learning_rate,
        trained_parameters=trained,
        memory_bytes=needed,
        memory_free=memory_free,
        seconds=round(seconds(work, sizes, chosen.iterations, each, measured_flops(sizes)), 1),
        notes=_notes(work, dataset, train, held_back, sizes),
    )


def _notes(work: Train, dataset: Dataset, train: Fitted, held_back: Fitted, sizes: Sizes) -> list[str]:
    notes = list[str]()
    if len(train.examples) < _FEW_ROWS:
        notes.append(f"{len(train.examples)} rows are few: expect it to repeat them rather than to learn from them")
    if dataset.duplicates:
        notes.append(f"{dataset.duplicates} rows that say the same as others were left out")
    if train.too_long + held_back.too_long:
        done = {"split": "split by turns", "cut": "cut at the end", "drop": "left out"}[work.too_long]
        notes.append(f"{train.too_long + held_back.too_long} rows over max_sequence={work.max_sequence} were {done}")
    if train.dropped + held_back.dropped:
        notes.append(f"{train.dropped + held_back.dropped} rows have nothing left to learn from and were left out")
    if not held_back.examples:
        notes.append("no rows are held back: nothing will say whether it learned more than these rows")
    if work.learning_rate is None and sizes.parameters < _SMALL:
        notes.append("a tiny model: it learns at a higher rate than large ones do")
    return notes
