"""The options as words of a command line, and what is refused before a server is started with it."""

import os
from pathlib import Path
from typing import Any

import pytest

from adapters.command_line import checked_options, command_line
from adapters.errors import InvalidRequest
from adapters.options import OPTIONS
from mcp_server.options import read_options

GIVEN: dict[str, Any] = {
    "offline": True, "allow": [Path("/a"), "/b c"], "output": "/out", "model": "a/b", "vision_model": "v",
    "speech_model": "s", "reply_within": 9.5, "tools": ("generate", "check-job"), "read_only": True, "standalone": True,
}  # fmt: skip


def test_the_server_reads_what_was_written() -> None:
    assert GIVEN.keys() == OPTIONS.keys()
    assert read_options(command_line(GIVEN)) == {
        "allow": ["/a", "/b c"], "output": "/out", "model": "a/b", "vision_model": "v", "speech_model": "s",
        "reply_within": "9.5", "tools": "generate,check-job", "read_only": True, "offline": True, "standalone": True,
    }  # fmt: skip


def test_what_is_left_out_gives_no_words() -> None:
    assert command_line({"allow": [], "tools": (), "model": None, "read_only": False, "reply_within": None}) == []


def test_values_may_come_one_by_one() -> None:
    assert command_line({"tools": (name for name in ("a", "b")), "allow": iter(["/a"])}) == [
        "--allow", "/a", "--tools", "a,b",
    ]  # fmt: skip


def test_folders_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    checked = checked_options({"allow": ["notes", "~/texts"], "output": Path("out")})
    assert checked == {"allow": [f"{os.getcwd()}/notes", "/home/me/texts"], "output": f"{os.getcwd()}/out"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alow": ["/a"]}, r"there is no option 'alow'; options are allow, .*standalone"),
        ({"rows": 2}, "there is no option 'rows'"),
        ({"allow": "/data"}, r"allow='/data' cannot be; it takes a list of folders"),  # not `/`, `d`, `a`, `t`, `a`
        ({"allow": Path("/data")}, "a list of folders"),
        ({"allow": [""]}, "allow=''"),  # not the working directory
        ({"allow": [None]}, "allow=None"),
        ({"output": ""}, "output=''"),
        ({"tools": "generate"}, "tools='generate'"),
        ({"tools": ["generate", ""]}, "tools="),
        ({"tools": [4]}, "tools=4"),
        ({"model": ""}, "model=''"),
        ({"model": 4}, "model=4"),
        ({"offline": "no"}, "offline='no' cannot be; it takes True or False"),
        ({"read_only": 1}, "read_only=1"),
        ({"reply_within": 0}, "reply_within=0 is not between 1 and 3600 seconds; 45 suits most"),
        ({"reply_within": 4000}, "reply_within=4000"),
        ({"reply_within": float("nan")}, "reply_within=nan"),
        ({"reply_within": True}, "reply_within=True"),
        ({"reply_within": "9"}, "reply_within='9'"),
    ],
)
def test_what_cannot_be_is_named_with_the_way_out(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        command_line(given)
