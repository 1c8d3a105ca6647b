"""Settings: file, environment, flags, in rising order."""

from pathlib import Path

import pytest

from adapters.errors import InvalidRequest
from adapters.settings import for_client, read_settings, settings_file


def test_flags_win_over_environment_and_environment_over_the_file(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file().write_text('model = "from-file"\nreply_within = 10\noffline = true\n')
    monkeypatch.setenv("MCP_SERVER_MLX_REPLY_WITHIN", "20")
    monkeypatch.setenv("MCP_SERVER_MLX_BATCH_SIZE", "4")
    settings = read_settings(batch_size=2)
    assert (settings.model, settings.reply_within, settings.batch_size, settings.offline) == ("from-file", 20, 2, True)


def test_a_clients_settings_ignore_the_hosts_own_environment(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file().write_text('vision_model = "from-file"\n')
    monkeypatch.setenv("MCP_SERVER_MLX_MODEL", "of-another-client")
    settings = for_client({"reply_within": "7"})
    assert (settings.model, settings.reply_within, settings.vision_model) == ("auto", 7, "from-file")


def test_lists_are_read_from_one_string(isolated: Path) -> None:
    settings = for_client({"tools": "generate, check-job", "allow": "/a:/b"})
    assert settings.tools == ("generate", "check-job")
    assert settings.allow == (Path("/a"), Path("/b"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reply_within": 0}, "reply_within"),
        ({"reply_within": "soon"}, "reply_within"),
        ({"allow": "notes"}, "not an absolute path"),
        ({"temperature": 1}, "temperature"),
    ],
)
def test_a_wrong_setting_is_named(isolated: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        for_client(options)


def test_a_file_that_is_no_toml_is_named(isolated: Path) -> None:
    settings_file().write_text("model = starter")
    with pytest.raises(InvalidRequest, match=r"settings\.toml cannot be read"):
        read_settings()


def test_an_unknown_key_in_the_file_is_refused(isolated: Path) -> None:
    settings_file().write_text("modle = 'starter'\n")
    with pytest.raises(InvalidRequest, match="modle"):
        read_settings()


def test_the_old_name_of_a_setting_is_refused_with_the_new_one(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="rows: it is called batch_size now"):
        read_settings(rows=2)
    settings_file().write_text("rows = 4\n")
    with pytest.raises(InvalidRequest, match="rows: it is called batch_size now"):
        read_settings()
    settings_file().unlink()
    monkeypatch.setenv("MCP_SERVER_MLX_ROWS", "4")
    with pytest.raises(InvalidRequest, match="MCP_SERVER_MLX_BATCH_SIZE"):
        read_settings()
