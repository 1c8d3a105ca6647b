"""The bundle for Claude Desktop and the registry's entry agree with the package, and what is in the bundle starts."""

import json
import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from adapters import __version__
from adapters.options import OPTIONS
from mcp_server.packaging.__main__ import ROOT, bundle, registry_text
from mcp_server.packaging.manifests import DESCRIPTION, NAME, REGISTRY_NAME
from mcp_server.tools import ALL_TOOLS
from tests.npm import installed
from tests.running import Home, text

pytestmark = pytest.mark.anyio
MCPB = "@anthropic-ai/mcpb/dist/cli/cli.js"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def unpacked(made: Path) -> Path:
    folder = made.parent / "unpacked"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    return folder


def test_its_own_tool_finds_the_bundle_valid(made: Path, unpacked: Path) -> None:
    programs = installed()
    valid = programs.run(MCPB, "validate", str(unpacked / "manifest.json"))
    assert valid.returncode == 0, valid.stdout + valid.stderr
    told = programs.run(MCPB, "info", str(made))
    assert made.name in told.stdout, told.stderr


def test_the_bundle_is_small_and_the_same_each_time(made: Path, tmp_path: Path) -> None:
    assert made.stat().st_size < 10 << 20
    assert bundle(tmp_path).read_bytes() == made.read_bytes()
    names = zipfile.ZipFile(made).namelist()
    assert not [name for name in names if name.endswith((".pyc", ".so")) or "recipes" in name]


def test_the_manifest_names_every_tool_and_asks_for_folders(unpacked: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text())
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in ALL_TOOLS]
    assert manifest["version"] == __version__
    picker = manifest["user_config"]["folders"]
    assert (picker["type"], picker["multiple"]) == ("directory", True)
    arguments = manifest["server"]["mcp_config"]["args"]
    assert arguments[-1] == "${user_config.folders}"
    models = {option.name: option.help for option in OPTIONS.values() if option.kind == "name"}
    assert manifest["user_config"].keys() == {"folders", *models}
    for name, told in models.items():
        assert manifest["user_config"][name]["description"].startswith(told)
        assert manifest["server"]["mcp_config"]["env"][f"MCP_SERVER_MLX_{name.upper()}"] == f"${{user_config.{name}}}"
    assert "--no-dev" in arguments  # a person needs none of what the tests need


@pytest.mark.parametrize("picked", [0, 2])
async def test_what_is_in_the_bundle_starts_with_the_folders_that_were_picked(
    picked: int, unpacked: Path, shared_home: Home, tmp_path: Path
) -> None:
    folders = [tmp_path / f"folder {number}" for number in range(picked)]
    for folder in folders:
        folder.mkdir()
        (folder / "a.txt").write_text("The sky is green.")
    manifest = json.loads((unpacked / "manifest.json").read_text())
    chosen = {f"MCP_SERVER_MLX_{name.upper()}": "auto" for name in ("model", "vision_model", "speech_model")}
    assert chosen.keys() == manifest["server"]["mcp_config"]["env"].keys()
    words = [str(folder) for folder in folders] or ["${user_config.folders}"]
    parameters = StdioServerParameters(
        command=sys.executable,
        args=[str(unpacked / manifest["server"]["entry_point"]), *words],
        env=shared_home.environment | chosen | {"PYTHONPATH": ""},
        cwd="/",
    )
    async with Client(parameters) as client:
        assert len((await client.list_tools()).tools) == len(ALL_TOOLS)
        for folder in folders:
            read = await client.call_tool("generate", {"prompt": "Hi", "files": [str(folder / "a.txt")]})
            assert not read.is_error, text(read)
        refused = await client.call_tool("generate", {"prompt": "Hi", "files": [__file__]})
        assert "outside the granted folders" in text(refused)


def test_the_registrys_entry_is_as_the_package_says() -> None:
    """`make bundle` writes it anew."""
    assert (ROOT / "server.json").read_text() == registry_text()
    entry = json.loads(registry_text())
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert len(DESCRIPTION) <= 100
    assert entry["version"] == entry["packages"][0]["version"] == __version__


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "adapters/__init__.py"
    assert project["project"]["name"] == NAME
    assert f"<!-- mcp-name: {REGISTRY_NAME} -->" in (ROOT / "README.md").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
