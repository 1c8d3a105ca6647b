"""Long functions of libraries run in steps: others are served in between, and closing ends them where they are."""

import mlx.core as mx
import mlx.nn as nn
import pytest

from adapters.mlx.thread.pausing import in_steps, make_pausing, pause, pausing_layers
from tests.adapters.mlx.asked import finished


def test_a_function_goes_on_where_it_paused() -> None:
    seen = []

    def work() -> str:
        for i in range(3):
            seen.append(i)
            pause()
        return "done"

    steps = in_steps(work)
    next(steps)
    assert seen == [0]
    next(steps)
    assert seen == [0, 1]
    assert finished(steps) == (1, "done")


def test_what_it_raises_is_raised() -> None:
    def work() -> None:
        pause()
        raise ValueError("broken")

    steps = in_steps(work)
    next(steps)
    with pytest.raises(ValueError, match="broken"):
        next(steps)


def test_closing_ends_it_at_its_pause_with_its_clean_up() -> None:
    seen = []

    def work() -> None:
        try:
            while True:
                pause()
                seen.append("went on")
        finally:
            seen.append("cleaned up")

    steps = in_steps(work)
    next(steps)
    steps.close()
    assert seen == ["cleaned up"]


def test_two_functions_take_turns() -> None:
    order = []

    def work(name: str) -> None:
        for _ in range(2):
            order.append(name)
            pause()

    one, other = in_steps(lambda: work("one")), in_steps(lambda: work("other"))
    for steps in (one, other, one, other):
        next(steps)
    assert order == ["one", "other", "one", "other"]


def test_outside_of_steps_nothing_pauses() -> None:
    pause()
    layer = nn.Linear(2, 2)
    make_pausing(layer, evaluate=True)
    assert layer(mx.zeros((1, 2))).shape == (1, 2)


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4) for _ in range(5)]
        self.inner = Inner()

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers:
            x = layer(x)
        return self.inner(x)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [nn.Linear(4, 4) for _ in range(2)]

    def __call__(self, x: mx.array) -> mx.array:
        for block in self.blocks:
            x = block(x)
        return x


def test_every_layer_of_a_tower_is_a_step_and_changes_nothing() -> None:
    mx.random.seed(0)
    tower, x = Tower(), mx.ones((1, 4))
    expected = tower(x)
    pausing_layers(tower)
    count, result = finished(in_steps(lambda: tower(x)))
    assert count == 7
    assert mx.array_equal(result, expected)
    assert isinstance(tower.layers[0], nn.Linear)
    assert len(tower.parameters()["layers"]) == 5


def test_a_compiled_function_is_one_step() -> None:
    tower, x = Tower(), mx.ones((1, 4))
    expected = tower(x)
    pausing_layers(tower)
    compiled = mx.compile(lambda y: tower(y))
    _, result = finished(in_steps(lambda: compiled(x)))
    assert mx.allclose(result, expected)
