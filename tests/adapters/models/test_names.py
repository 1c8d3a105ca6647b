"""What a model's name means."""

from pathlib import Path

import pytest

from adapters.errors import DownloadForbidden, ModelNotFound, OutsideGrants, UnsupportedModel
from adapters.models.names import resolve
from adapters.models.starters import STARTERS
from adapters.settings import Settings, for_client
from tests.tiny_models import copy_of_starter


@pytest.fixture
def settings(isolated: Path) -> Settings:
    return for_client({})


def test_an_alias_is_a_folder_of_the_package(settings: Settings) -> None:
    assert resolve("starter", settings).folder == STARTERS["starter"]


@pytest.mark.parametrize("name", ["default", ""])
def test_default_is_what_the_settings_say(settings: Settings, name: str) -> None:
    assert resolve(name, settings).display_name == "starter"


def test_a_name_that_is_none_gets_the_nearest(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match=r"no model 'startr'.*starter"):
        resolve("startr", settings)


def test_a_folder_is_named_by_its_path(settings: Settings, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "mine")
    assert resolve(str(folder), settings, readable=[tmp_path]).folder == folder


def test_a_folder_outside_the_grants_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "mine")
    with pytest.raises(OutsideGrants, match="outside the granted folders") as refused:
        resolve(str(folder), settings, readable=[tmp_path / "other"])
    assert refused.value.subject == str(tmp_path)


def test_a_link_out_of_the_grants_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "mine")
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "link").symlink_to(folder)
    with pytest.raises(OutsideGrants, match="outside the granted folders"):
        resolve(str(tmp_path / "granted" / "link"), settings, readable=[tmp_path / "granted"])


def test_model_folders_of_the_settings_are_open_to_all(isolated: Path, tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "mine")
    settings = for_client({"model_folders": [str(tmp_path)]})
    assert resolve(str(folder), settings, readable=[]).folder == folder


def test_a_path_that_is_no_folder_is_named(settings: Settings) -> None:
    with pytest.raises(UnsupportedModel, match="/nowhere is not a folder"):
        resolve("/nowhere", settings)


def test_a_hub_model_that_is_not_here_must_be_fetched(settings: Settings) -> None:
    assert resolve("some-org/some-model", settings).folder is None


def test_offline_forbids_to_fetch(isolated: Path) -> None:
    with pytest.raises(DownloadForbidden, match="offline mode forbids"):
        resolve("some-org/some-model", for_client({"offline": True}))


def test_only_allowed_models_are_fetched(isolated: Path) -> None:
    settings = for_client({"allowed_models": "mlx-community/*"})
    assert resolve("mlx-community/some-model", settings).folder is None
    with pytest.raises(ModelNotFound, match="allowed_models"):
        resolve("some-org/some-model", settings)
