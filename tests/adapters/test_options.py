"""The table of a client's options: each is a setting, and is described."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.options import OPTIONS, ClientOption
from adapters.settings import Settings, for_client

# For each kind, a value as a command line has it, and what the setting must make of it.
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "folders": (["/a", "/b"], (Path("/a"), Path("/b"))),
    "folder": ("/a", Path("/a")),
    "seconds": ("7.5", 7.5),
    "names": ("generate,check-job", ("generate", "check-job")),
    "name": ("a/model", "a/model"),
    "switch": (True, True),
}
ALL = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)


@ALL
def test_an_option_is_a_setting_that_takes_its_kind_of_value(option: ClientOption, isolated: Path) -> None:
    written, read = EXAMPLES[option.kind]
    assert getattr(for_client({option.name: written}), option.name) == read
    assert Settings.model_fields[option.name].default != read


@ALL
def test_an_option_says_what_it_does_in_the_settings_too(option: ClientOption) -> None:
    assert len(option.help.split()) >= 3
    assert option.help[0].isupper()
    assert not option.help.endswith(".")
    assert Settings.model_fields[option.name].description == option.help


def test_a_number_has_the_same_bounds_in_the_table_and_in_the_settings() -> None:
    bounded = {option.name: option.bounds for option in OPTIONS.values() if option.bounds}
    assert bounded
    for name, (least, most) in bounded.items():
        limits = {type(limit).__name__: limit for limit in Settings.model_fields[name].metadata}
        assert (limits["Ge"].ge, limits["Le"].le) == (least, most)


def test_the_table_imports_nothing() -> None:
    code = "import sys, adapters; before = set(sys.modules); import adapters.options; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["adapters.options"]
