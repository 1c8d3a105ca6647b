"""Which models are in memory, and what is refused before anything is allocated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import DoesNotFit, UnsupportedModel
from adapters.mlx import residency as module
from adapters.mlx.loading import read_reader
from adapters.mlx.residency import Loaded, Residency
from adapters.mlx.thread.mlx_thread import MlxThread
from adapters.models.card import read_card
from adapters.settings import for_client
from tests.tiny_models import random_qwen3

PIECES = 64 << 10


@pytest.fixture
def thread() -> Iterator[MlxThread]:
    thread = MlxThread()
    yield thread
    thread.close()


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [random_qwen3(tmp_path / name, hidden_size=512, intermediate_size=2048) for name in ("one", "two")]


class Loading:
    """The residency of a machine with so much memory, used as the backend does."""

    def __init__(self, thread: MlxThread, gigabytes: float) -> None:
        settings = for_client({"memory_limit_gb": gigabytes, "prompt_cache_gb": 0.001})
        self.thread = thread
        self.residency = thread.call(lambda: Residency(thread, settings, lambda _: None)).result(30)

    def begin(self, folder: Path, told: list[int] | None = None) -> Any:
        card = read_card(folder)
        reader = read_reader(folder.name, card)
        on_bytes = (lambda done, _: told.append(done)) if told is not None else (lambda *_: None)
        return self.thread.run_stepwise(self.residency.load(folder.name, card, reader, on_bytes))

    def names(self) -> list[str]:
        return [model.model for model in self.thread.call(self.residency.listed).result(30)]

    def release(self, loaded: Loaded) -> None:
        self.thread.call(lambda: self.residency.give_up(loaded)).result(30)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch, isolated: Path) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", PIECES)


def test_weights_come_piece_by_piece_and_are_told(thread: MlxThread, folders: list[Path]) -> None:
    told: list[int] = []
    loaded = Loading(thread, 1).begin(folders[0], told).result(60)
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == loaded.bytes == read_card(folders[0]).weight_bytes


def test_two_models_that_come_at_once_are_both_counted(thread: MlxThread, folders: list[Path]) -> None:
    # Each fits beside the room that is left for activations; both do not.
    loading = Loading(thread, (2 * read_card(folders[0]).weight_bytes + (60 << 20)) / 1e9)
    first, second = loading.begin(folders[0]), loading.begin(folders[1])
    assert first.result(60).name == "one"
    with pytest.raises(DoesNotFit, match="two needs"):
        second.result(60)
    assert loading.names() == ["one"]


def test_a_model_in_use_is_not_dropped_for_another(thread: MlxThread, folders: list[Path]) -> None:
    each = read_card(folders[0]).weight_bytes + (70 << 20)
    loading = Loading(thread, 1.1 * each / 1e9)
    first = loading.begin(folders[0]).result(60)
    with pytest.raises(DoesNotFit, match="one is in use"):
        loading.begin(folders[1]).result(60)
    loading.release(first)
    assert loading.begin(folders[1]).result(60).name == "two"
    assert loading.names() == ["two"]


def test_a_load_that_is_cancelled_leaves_nothing(thread: MlxThread, folders: list[Path]) -> None:
    loading = Loading(thread, 1)
    future = loading.begin(folders[0])
    future.cancel()
    assert loading.names() == []
    used = thread.call(loading.residency.used).result(30)
    assert used == 0


def test_a_model_that_cannot_be_built_leaves_nothing(thread: MlxThread, folders: list[Path]) -> None:
    loading = Loading(thread, 1)
    config = (folders[0] / "config.json").read_text()
    (folders[0] / "config.json").write_text(config.replace('"qwen3"', '"perceptron"'))
    with pytest.raises(UnsupportedModel, match="perceptron"):
        loading.begin(folders[0]).result(60)
    assert thread.call(loading.residency.used).result(30) == 0
