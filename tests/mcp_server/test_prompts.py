"""The menu of workflows, and what is offered while a person types."""

import pytest
from mcp.types import PromptReference, ResourceTemplateReference, TextContent

from adapters.starter.recipes.text.words import NOUNS
from mcp_server.completions import fitting
from tests.mcp_server.test_notices import record
from tests.running import ERAS, Era, Home

pytestmark = pytest.mark.anyio

MENU = ["ask-private-file", "look-at-picture", "write-down-recording", "teach-local-model"]


@pytest.mark.parametrize("era", ERAS)
async def test_the_menu_has_every_workflow_described(era: Era, shared_home: Home) -> None:
    async with shared_home.client(era=era) as client:
        listed = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in listed] == MENU
    for prompt in listed:
        assert prompt.title
        assert prompt.description
        assert all(argument.description for argument in prompt.arguments or [])


@pytest.mark.parametrize(
    ("name", "given", "tool"),
    [
        ("ask-private-file", {"path": "/a/b.txt", "question": "Who signed it?"}, "generate"),
        ("look-at-picture", {"path": "/a/b.png"}, "describe-image"),
        ("write-down-recording", {"path": "/a/b.m4a", "format": "srt"}, "transcribe"),
        ("teach-local-model", {"session": "support", "adapter": "style"}, "train-adapter"),
    ],
)
async def test_a_workflow_names_its_tool_and_what_was_given(
    name: str, given: dict[str, str], tool: str, shared_home: Home
) -> None:
    async with shared_home.client() as client:
        tools = [one.name for one in (await client.list_tools()).tools]
        (message,) = (await client.get_prompt(name, given)).messages
    assert isinstance(message.content, TextContent)
    assert tool in tools
    assert f"`{tool}`" in message.content.text
    assert all(value in message.content.text for value in given.values())


async def test_the_menu_offers_nothing_that_this_client_may_not_do(shared_home: Home) -> None:
    async with shared_home.client("--read-only") as client:
        assert "teach-local-model" not in [prompt.name for prompt in (await client.list_prompts()).prompts]
    async with shared_home.client("--tools", "transcribe") as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["write-down-recording"]


@pytest.mark.parametrize("era", ERAS)
async def test_names_are_completed_as_they_are_typed(era: Era, shared_home: Home) -> None:
    record(shared_home, "completed-here")
    template, teach = ResourceTemplateReference(uri="session://{id}"), PromptReference(name="teach-local-model")
    async with shared_home.client(era=era) as client:
        by_beginning = await client.complete(template, {"name": "id", "value": "compl"})
        by_part = await client.complete(teach, {"name": "session", "value": "ED-HERE"})
        model = await client.complete(PromptReference(name="any"), {"name": "model", "value": "starter-v"})
        unknown = await client.complete(PromptReference(name="any"), {"name": "colour", "value": ""})
    assert by_beginning.completion.values == ["completed-here"]
    assert by_part.completion.values == ["completed-here"]
    assert model.completion.values == ["starter-vision"]
    assert unknown.completion.values == []


def test_no_more_than_a_hundred_are_given_and_the_count_is_true() -> None:
    names = sorted(f"{noun}-{i}" for noun in NOUNS[:20] for i in range(10))
    found = fitting(names, "")
    assert (len(found.values), found.total, found.has_more) == (100, 200, True)
    assert fitting(names, f"{NOUNS[0]}-3").values[0] == f"{NOUNS[0]}-3"
