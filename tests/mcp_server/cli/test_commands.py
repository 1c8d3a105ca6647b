"""The command line, as a person uses it."""

import os
import signal

import pytest

from adapters import __version__
from mcp_server.host.launch import host_process
from tests.running import Home, until


def test_version(shared_home: Home) -> None:
    ran = shared_home.command("--version")
    assert (ran.returncode, ran.stdout) == (0, f"mcp-server-mlx {__version__}\n")


def test_help_names_every_command_and_option(shared_home: Home) -> None:
    said = shared_home.command("--help").stdout
    for word in ("demo", "serve", "status", "stop", "models", "--allow", "--reply-within", "--offline"):
        assert word in said


def test_models_are_listed(shared_home: Home) -> None:
    said = shared_home.command("models", "list").stdout
    assert "starter" in said
    assert "2.4 MB" in said


def test_a_pull_of_what_the_hub_has_not_is_one_line(shared_home: Home) -> None:
    ran = shared_home.command("models", "pull", "no-such-model")
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: there is no model 'no-such-model'")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("arguments", [["bogus"], ["models", "bogus"], ["models", "pull"]])
def test_a_wrong_command_is_explained(shared_home: Home, arguments: list[str]) -> None:
    ran = shared_home.command(*arguments)
    assert ran.returncode == 2
    assert "Usage" in ran.stderr


def test_the_demo_shows_a_model_at_work_and_status_and_stop_see_it(own_home: Home) -> None:
    demo = own_home.command("demo")
    assert demo.returncode == 0, demo.stderr
    for shown in (
        "blue green red",
        "Red",
        '{"name": "Lucy", "age": 31}',
        "Paris",
        "lemon-lemon!",
        "given -1",
        "A red circle on the left and a blue square on the right.",
        "The color changed from green to orange.",
        '{"color": "green", "shape": "star"}',
        "turn on the heater",
        "-->",
        "client 3",
        "check-job",
        "Once upon a time",
    ):
        assert shown in demo.stdout
    status = own_home.command("status").stdout
    assert "host" in status
    assert "starter" in status
    assert own_home.command("models", "unload", "starter").stdout == "unloaded starter\n"
    rest = own_home.command("models", "unload").stdout
    assert "starter-vision" in rest
    assert "starter-speech" in rest
    assert "no such model" in own_home.command("models", "unload").stdout
    assert own_home.command("stop").stdout == "ended host and engine\n"
    assert own_home.hosts() == own_home.engines() == []
    assert own_home.command("stop").stdout == "nothing was running\n"


def test_stop_kills_an_engine_that_hears_nothing(own_home: Home) -> None:
    own_home.command("call", "generate", "prompt=hello", "max_tokens=1")
    (engine,) = own_home.engines()
    os.kill(engine.pid, signal.SIGSTOP)
    ran = own_home.command("stop")
    assert "the engine did not end in 10 seconds and was killed" in ran.stdout
    assert own_home.engines() == []


@pytest.mark.anyio
async def test_serve_keeps_a_host_that_clients_find_until_it_is_interrupted(own_home: Home) -> None:
    process = own_home.spawn("serve")
    try:
        with own_home.entered():
            await until(host_process, "the host listens")
            assert host_process() == process.pid
        async with own_home.client() as client:
            assert (await client.list_tools()).tools
        assert own_home.hosts() == []
        second = own_home.command("serve")
        assert second.returncode == 1
        assert f"running already, process {process.pid}" in second.stderr
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert b"Traceback" not in said


def test_a_wrong_setting_is_one_line(own_home: Home) -> None:
    with own_home.entered():
        from adapters.settings import settings_file

        settings_file().write_text("reply_within = 0\n")
    ran = own_home.command("models", "list")
    assert ran.returncode == 1
    assert "reply_within" in ran.stderr
    process = own_home.spawn()
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"host could not be reached" in error or b"reply_within" in error


def test_models_that_suit_this_machine_are_shown(shared_home: Home) -> None:
    ran = shared_home.command("models", "recommend")
    assert ran.returncode == 0, ran.stderr
    for word in ("text", "vision", "speech", "GB of memory", "pull recommended", "weights.npz"):
        assert word in ran.stdout
