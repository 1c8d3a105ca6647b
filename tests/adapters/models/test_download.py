"""Fetching models, by the real downloading code, from a hub on this machine."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapters.models.starters import STARTERS
from tests.adapters.models.hub import hub
from tests.running import Home, answer, text
from tests.tiny_adapters import random_adapter
from tests.tiny_models import copy_of_starter

SCRIPT = """
import json, sys, threading
from adapters.errors import ServerError
from adapters.models.download import download
told, stop = [], threading.Event()
def on_bytes(done, total):
    told.append((done, total))
    if sys.argv[2:] == ["stop"]: stop.set()
try:
    print(json.dumps({"folder": str(download(sys.argv[1], on_bytes, stop)), "told": told}))
except ServerError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error), "told": told}))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = copy_of_starter(tmp_path / "on-the-hub")
    (folder / "README.md").write_text("not needed")
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    return folder


def environment(address: str, cache: Path) -> dict[str, str]:
    """The environment of a process whose hub is at that address."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()}
    return kept | {"HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}


def fetch(address: str, cache: Path, *arguments: str) -> dict[str, object]:
    """Download in a process of its own: the hub's address is read when its library is imported."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=60,
        env=environment(address, cache), check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def test_a_model_is_fetched_with_its_bytes_told(model: Path, tmp_path: Path) -> None:
    with hub({"org/model": model}) as address:
        got = fetch(address, tmp_path / "cache", "org/model")
    folder = Path(str(got["folder"]))
    assert (folder / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    told = got["told"]
    assert isinstance(told, list)
    size = (model / "model.safetensors").stat().st_size
    assert told[-1][0] == told[-1][1] > size


def test_code_and_pickled_weights_are_not_fetched(model: Path, tmp_path: Path) -> None:
    with hub({"org/model": model}) as address:
        folder = Path(str(fetch(address, tmp_path / "cache", "org/model")["folder"]))
    assert not [path.name for path in folder.iterdir() if path.suffix in (".bin", ".md")]


def test_a_model_that_the_hub_has_not_is_named(model: Path, tmp_path: Path) -> None:
    with hub({"org/model": model}) as address:
        got = fetch(address, tmp_path / "cache", "org/other")
    assert got["error"] == "ModelNotFound"
    assert "org/other" in str(got["message"])


def test_a_hub_that_does_not_answer_is_told(tmp_path: Path) -> None:
    got = fetch("http://127.0.0.1:9", tmp_path / "cache", "org/model")
    assert got["error"] == "InvalidRequest"
    assert "check the network" in str(got["message"])


def test_a_stop_ends_the_download(model: Path, tmp_path: Path) -> None:
    with hub({"org/model": model}) as address:
        got = fetch(address, tmp_path / "cache", "org/model", "stop")
    assert got["error"] == "JobCancelled"


@pytest.mark.anyio
async def test_a_call_that_names_a_hub_model_fetches_and_uses_it(
    own_home: Home, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = threading.Event()
    with hub({"org/model": model}, hold) as address:
        online = environment(address, tmp_path / "cache")
        monkeypatch.setattr(
            Home, "environment", property(lambda home: online | {"MCP_SERVER_MLX_HOME": str(home.folder)})
        )
        async with own_home.client() as client:
            seen: list[str] = []

            async def on_progress(progress: float, total: float | None, message: str | None) -> None:
                seen.append(message or "")
                if "MB" in seen[-1]:
                    hold.set()  # half of the weights has been told of: the rest may come

            result = await client.call_tool(
                "generate",
                {"prompt": "Reverse the words: red green blue", "model": "org/model"},
                progress_callback=on_progress,
            )
            assert answer(result)["model"] == "org/model"
            assert answer(result)["text"] == "blue green red"
            assert any("downloading" in message and "of 2." in message for message in seen), seen
            listed = answer(await client.call_tool("list-library", {"kind": "models"}))["models"]
            assert "org/model" in [entry["name"] for entry in listed]
            offline = await client.call_tool("generate", {"prompt": "x", "model": "org/other"})
            assert offline.is_error
            assert "org/other" in text(offline)


@pytest.mark.anyio
async def test_a_download_can_be_cancelled_while_it_waits(
    own_home: Home, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = threading.Event()
    with hub({"org/model": model}, hold) as address:
        online = environment(address, tmp_path / "cache")
        monkeypatch.setattr(
            Home, "environment", property(lambda home: online | {"MCP_SERVER_MLX_HOME": str(home.folder)})
        )
        async with own_home.client("--reply-within", "2") as client:
            told = answer(await client.call_tool("generate", {"prompt": "x", "model": "org/model"}))
            assert told["state"] == "running"
            assert "downloading" in told["phase"]
            cancelled = answer(await client.call_tool("cancel-job", {"job": told["job"]}))
            assert cancelled["state"] == "cancelled"


@pytest.mark.anyio
async def test_an_adapter_on_the_hub_is_fetched_checked_and_used(
    own_home: Home, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = random_adapter(tmp_path / "adapter", STARTERS["starter"])
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model": "starter"}))
    broken = Path(shutil.copytree(adapter, tmp_path / "broken"))
    (broken / "adapters.safetensors").write_bytes(b"junk")
    with hub({"org/model": model, "org/adapter": adapter, "org/broken": broken}) as address:
        online = environment(address, tmp_path / "cache")
        monkeypatch.setattr(
            Home, "environment", property(lambda home: online | {"MCP_SERVER_MLX_HOME": str(home.folder)})
        )
        asked = {"prompt": "Tell me a story about a frog.", "max_tokens": 12}
        async with own_home.client() as client:
            plain = answer(await client.call_tool("generate", asked))["text"]
            told = answer(await client.call_tool("generate", asked | {"adapter": "org/adapter"}))
            assert (told["model"], told["adapter"]) == ("starter", "org/adapter")
            assert told["text"] != plain
            again = answer(await client.call_tool("generate", asked | {"adapter": "org/adapter"}))
            assert again["text"] == told["text"]
            for name, expected in (("org/broken", "no safetensors file"), ("org/none", "org/none")):
                refused = await client.call_tool("generate", asked | {"adapter": name})
                assert refused.is_error
                assert expected in text(refused)
