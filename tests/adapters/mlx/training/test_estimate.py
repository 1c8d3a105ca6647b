"""The pre-flight's numbers: of the right size, and a way out when they are too large."""

import gc
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import load

from adapters.errors import DoesNotFit
from adapters.mlx.training.batches import make_batch
from adapters.mlx.training.estimate import Sizes, check_fits, measured_flops, memory, seconds
from adapters.mlx.training.examples import Example
from adapters.mlx.training.loop import Plan, Run
from adapters.mlx.training.trainable import make_trainable
from adapters.models.card import read_card
from adapters.protocol.training import Train
from tests.tiny_models import random_qwen3

BASE = 300 << 20  # what any process takes


@pytest.mark.parametrize(("batch", "length"), [(2, 64), (4, 256), (1, 700)])
def test_memory_is_of_the_right_size(batch: int, length: int, tmp_path: Path) -> None:
    folder = random_qwen3(tmp_path / "model", hidden_size=256, intermediate_size=768, num_hidden_layers=4)
    work = Train(adapter="a", model="m", batch_size=batch)
    gc.collect()
    held = mx.get_active_memory()  # by what this process did before
    model, *_ = load(str(folder))
    trained = make_trainable(model, work)
    numbers = mx.random.randint(5, 1000, (length,)).tolist()

    one = Example(np.array(numbers, np.int32), np.arange(length) > 0)
    tmp_path.joinpath("run").mkdir()
    run = Run(tmp_path / "run", Plan(work, 2, 1e-4, 10, 10), model, [one] * batch, [], lambda _: None, lambda: False)
    mx.clear_cache()
    mx.reset_peak_memory()
    run.run()
    measured = mx.get_peak_memory() - held
    learned = make_batch([one] * batch).learned
    estimated = (
        memory(work, Sizes.of(read_card(folder)), read_card(folder).weight_bytes, trained, length, learned) - BASE
    )
    assert 0.4 * measured < estimated < 4 * measured, (estimated / 1e6, measured / 1e6)


def test_more_of_anything_takes_more(tmp_path: Path) -> None:
    sizes = Sizes.of(read_card(random_qwen3(tmp_path / "model")))

    def of(**changes: object) -> int:
        return memory(Train(adapter="a", model="m", **changes), sizes, 10**6, 10**5, 256, 100)  # type: ignore[arg-type]

    assert of(batch_size=8) > of(batch_size=4) > of(batch_size=4, gradient_checkpointing=True)
    slow, quick = (seconds(Train(adapter="a", model="m"), sizes, 10, 1000, flops) for flops in (1e9, 1e12))
    assert slow > quick > 0
    assert measured_flops(sizes) > 1e6


def test_what_does_not_fit_says_what_would() -> None:
    sizes = Sizes(4096, 12_288, 32, 32, 150_000, 2, 8_000_000_000)
    work = Train(adapter="a", model="m", batch_size=8)
    needed = memory(work, sizes, 4 << 30, 10**7, 2048, 4000)
    check_fits(work, needed, needed, sizes, 4 << 30, 10**7, 2048, 4000)
    for free, expected in (
        (int(needed * 0.6), "gradient_checkpointing=true it would fit"),
        (1 << 30, "choose a smaller"),
    ):
        with pytest.raises(DoesNotFit, match=expected):
            check_fits(work, needed, free, sizes, 4 << 30, 10**7, 2048, 4000)
