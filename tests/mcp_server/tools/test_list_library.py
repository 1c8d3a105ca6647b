"""`list-library`, and the library as resources."""

import json

import pytest
from mcp import MCPError

from tests.running import ERAS, Era, Home, answer, text

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ERAS)
async def test_models_are_listed_with_what_they_are(shared_home: Home, era: Era) -> None:
    async with shared_home.client(era=era) as client:
        await client.call_tool("generate", {"prompt": "Hello"})
        result = await client.call_tool("list-library", {"kind": "models"})
        (starter,) = [entry for entry in answer(result)["models"] if entry["name"] == "starter"]
        assert (starter["architecture"], starter["context"], starter["default"], starter["loaded"]) == (
            "qwen3",
            2048,
            True,
            True,
        )
        assert starter["bytes"] == 2_362_752
        assert "jobs" not in answer(result)
        assert "starter (text, qwen3, 2.4 MB" in text(result)
        abilities = {entry["name"]: (entry["abilities"], entry["default"]) for entry in answer(result)["models"]}
        assert abilities["starter"] == (["text"], True)
        assert abilities["starter-vision"] == (["text", "vision"], True)
        assert abilities["starter-speech"] == (["speech"], True)


async def test_a_library_is_given_page_by_page(shared_home: Home) -> None:
    async with shared_home.client() as client:
        for _ in range(3):
            await client.call_tool("generate", {"prompt": "Hello"})
        whole = answer(await client.call_tool("list-library", {"limit": 200}))
        seen, cursor = [], None
        while True:
            page = answer(await client.call_tool("list-library", {"limit": 2} | ({"cursor": cursor} if cursor else {})))
            seen += page["models"] + page["jobs"]
            assert len(page["models"]) + len(page["jobs"]) <= 2
            if not (cursor := page.get("next_cursor")):
                break
    assert [entry.get("name") or entry.get("job") for entry in seen] == [entry["name"] for entry in whole["models"]] + [
        entry["job"] for entry in whole["jobs"]
    ]


@pytest.mark.parametrize("arguments", [{"cursor": "???"}, {"kind": "songs"}, {"limit": 0}])
async def test_what_cannot_be_listed_is_refused(shared_home: Home, arguments: dict[str, object]) -> None:
    async with shared_home.client() as client:
        assert (await client.call_tool("list-library", arguments)).is_error


async def test_looking_at_models_adapters_and_sessions_starts_no_engine(own_home: Home) -> None:
    async with own_home.client() as client:
        for kind in ("models", "adapters", "sessions"):
            await client.call_tool("list-library", {"kind": kind})
        assert own_home.engines() == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_library_can_be_read_as_resources(shared_home: Home, era: Era) -> None:
    async with shared_home.client(era=era) as client:
        told = answer(await client.call_tool("generate", {"prompt": "What is the capital of France?"}))
        models = json.loads((await client.read_resource("library://models")).contents[0].text)  # pyright: ignore[reportAttributeAccessIssue]
        assert "starter" in [entry["name"] for entry in models["models"]]
        job = json.loads((await client.read_resource(f"job://{told['job']}")).contents[0].text)  # pyright: ignore[reportAttributeAccessIssue]
        assert job["text"] == "Paris"
        with pytest.raises(MCPError, match="there is no job"):
            await client.read_resource("job://gen-000000000000")
