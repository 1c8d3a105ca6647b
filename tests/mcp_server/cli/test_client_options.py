"""The commands of a person have every option of a client."""

import re

import pytest

from adapters.options import OPTIONS
from tests.running import Home


@pytest.mark.parametrize("command", ["setup", "serve"])
def test_a_command_shows_every_option_of_a_client_with_its_help(command: str, shared_home: Home) -> None:
    said = " ".join(shared_home.command(command, "--help").stdout.split())
    for option in OPTIONS.values():
        # One process alone is neither a host nor a client's entry beside others.
        expected = option.name != "standalone"
        shown = re.search(rf"{option.flag} (FOLDER |NAME |SECONDS |a,b )?{re.escape(option.help)}\.", said)
        assert bool(shown) == expected, option.name


def test_the_help_lists_what_the_server_itself_takes(shared_home: Home) -> None:
    said = " ".join(shared_home.command("--help").stdout.split())
    assert "its options are --allow FOLDER (repeatable), --output FOLDER, --model NAME" in said
    assert [option.flag for option in OPTIONS.values() if option.flag not in said] == []


@pytest.mark.parametrize("command", [["setup", "cursor", "--dry-run"], ["serve", "--http"], ["serve", "--install"]])
@pytest.mark.parametrize("empty", ["allow", "output", "model", "tools"])
def test_an_empty_value_is_refused(command: list[str], empty: str, shared_home: Home) -> None:
    ran = shared_home.command(*command, OPTIONS[empty].flag, "")
    assert ran.returncode == 1
    assert f"error: {empty}=" in ran.stderr
