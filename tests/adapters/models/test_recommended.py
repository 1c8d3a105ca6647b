"""Which models suit a machine, and what `default` and `recommended` stand for on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import pytest

from adapters.errors import DoesNotFit, DownloadForbidden
from adapters.models.names import HUB_ID, resolve
from adapters.models.recommended import ABILITIES, Recommendation, default_model, recommended, suiting, table
from adapters.settings import GB, Settings, for_client


@pytest.fixture
def settings(isolated: Path) -> Settings:
    return for_client({})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the machine's memory, in GB."""

    def of(memory: float) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=int(memory * GB)))

    return of


def here(*hub_ids: str) -> Any:
    return mock.patch("adapters.models.recommended.in_hub_cache", lambda name: Path("/m") if name in hub_ids else None)


@pytest.mark.parametrize("one", table(), ids=lambda one: one.name)
def test_a_recommended_model_is_of_a_family_that_was_tried_and_works(one: Recommendation) -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    for ability in one.abilities:
        part = page.split(f"## {ability.capitalize()}\n")[1].split("\n## ")[0]
        (row,) = [line for line in part.splitlines() if line.startswith(f"| `{one.family}` |")]
        assert "| no |" not in row, row
        assert "refused" not in row, row
        assert "one by one" not in row, row


def test_the_table_names_models_of_the_hub_best_first() -> None:
    for one in table():
        assert HUB_ID.fullmatch(one.name)
        assert one.bytes < one.memory_gb * GB / 2, one.name
    for ability in ABILITIES:
        memory = [one.memory_gb for one in table() if ability in one.abilities]
        assert memory == sorted(memory, reverse=True)


@pytest.mark.parametrize(("memory", "size"), [(8, "2B"), (16, "4B"), (15.3, "4B"), (24, "9B"), (128, "9B")])
def test_a_larger_machine_gets_a_larger_model(memory: float, size: str, machine: Any, settings: Settings) -> None:
    machine(memory)
    assert f"Qwen3.5-{size}" in recommended("text", settings)
    # One loaded model serves both jobs.
    assert recommended("vision", settings) == recommended("text", settings)
    assert "parakeet" in recommended("speech", settings)


def test_a_limit_of_the_settings_is_chosen_by(machine: Any, isolated: Path) -> None:
    machine(64)
    assert "2B" in recommended("text", for_client({"memory_limit_gb": 6}))


def test_a_machine_that_is_too_small_is_told_so(machine: Any, settings: Settings) -> None:
    machine(4)
    assert suiting("text", settings) == []
    with pytest.raises(DoesNotFit, match="smallest takes a machine of 8 GB"):
        resolve("recommended", settings)
    assert default_model("text", settings) == "starter"


def test_default_is_the_best_that_is_here_and_never_a_download(machine: Any, settings: Settings) -> None:
    machine(32)
    two, four = "mlx-community/Qwen3.5-2B-MLX-4bit", "mlx-community/Qwen3.5-4B-MLX-4bit"
    with here():
        assert [default_model(ability, settings) for ability in ABILITIES] == [
            "starter", "starter-vision", "starter-speech",
        ]  # fmt: skip
    with here(two):
        assert default_model("text", settings) == default_model("vision", settings) == two
        assert default_model("speech", settings) == "starter-speech"
    with here(two, four):
        assert resolve("default", settings).display_name == four
        assert resolve("auto", settings, "vision").display_name == four
        machine(8)
        assert resolve("default", settings).display_name == two


def test_the_settings_win_over_the_table(machine: Any, isolated: Path) -> None:
    machine(32)
    chosen = for_client({"model": "starter", "vision_model": "recommended"})
    with here("mlx-community/Qwen3.5-2B-MLX-4bit"):
        assert resolve("default", chosen).display_name == "starter"
        named = resolve("default", chosen, "vision")
    assert named.display_name == "mlx-community/Qwen3.5-9B-OptiQ-4bit"
    assert named.folder is None


def test_recommended_is_downloaded_and_so_refused_offline(machine: Any, isolated: Path) -> None:
    machine(16)
    assert resolve("recommended", for_client({})).folder is None
    with pytest.raises(DownloadForbidden, match="offline mode"):
        resolve("recommended", for_client({"offline": True}))
