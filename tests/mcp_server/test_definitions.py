"""What clients see before they call anything: kept as a snapshot, because any change is a change for them."""

import json
import os
from pathlib import Path

import pytest

from adapters import __version__
from tests.running import ERAS, Era, Home

pytestmark = pytest.mark.anyio

SNAPSHOT = Path(__file__).with_name("definitions.json")


@pytest.mark.parametrize("era", ERAS)
async def test_tool_definitions_equal_the_snapshot(shared_home: Home, era: Era) -> None:
    """UPDATE_SNAPSHOT=1 writes it anew."""
    async with shared_home.client(era=era) as client:
        tools = [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools
        ]
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(tools, indent=1, ensure_ascii=False) + "\n")
    assert tools == json.loads(SNAPSHOT.read_text())


async def test_every_tool_is_described_in_full(shared_home: Home) -> None:
    async with shared_home.client() as client:
        for tool in (await client.list_tools()).tools:
            assert tool.title
            assert tool.description
            assert 150 < len(tool.description) < 2000
            assert tool.annotations is not None
            assert None not in tool.annotations.model_dump(exclude={"title"}).values()
            assert tool.input_schema["additionalProperties"] is False
            assert all("description" in schema for schema in tool.input_schema["properties"].values())
            assert tool.output_schema is not None
            assert all("description" in schema for schema in tool.output_schema["properties"].values())


@pytest.mark.parametrize("era", ERAS)
async def test_the_server_says_who_it_is_and_how_its_tools_fit_together(shared_home: Home, era: Era) -> None:
    async with shared_home.client(era=era) as client:
        assert client.server_info is not None
        assert client.server_info.version == __version__
        assert client.instructions is not None
        assert "check-job" in client.instructions
        assert len(client.instructions) < 2000


async def test_lists_may_be_kept_by_the_client(shared_home: Home) -> None:
    async with shared_home.client() as client:
        listed = await client.list_tools()
        assert listed.ttl_ms
        assert listed.cache_scope == "public"


async def test_read_only_leaves_out_what_changes_anything(shared_home: Home) -> None:
    async with shared_home.client("--read-only") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [
            "generate", "describe-image", "transcribe", "check-job", "list-library",
        ]  # fmt: skip


async def test_tools_can_be_selected(shared_home: Home) -> None:
    async with shared_home.client("--tools", "list-library,generate") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["generate", "list-library"]


async def test_standalone_serves_in_one_process(own_home: Home) -> None:
    async with own_home.client("--standalone") as client:
        result = await client.call_tool("generate", {"prompt": "What is the capital of France?"})
        assert result.structured_content is not None
        assert result.structured_content["text"] == "Paris"
    assert own_home.hosts() == []
    assert own_home.engines() == []
