"""Answers that were to be JSON and are none: the call fails, and says why."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from adapters.engine import EngineClient
from adapters.engine.in_process import in_process_engine
from adapters.errors import AnswerIncomplete, ServerError, UnsupportedModel, from_wire
from adapters.mlx import prepare
from adapters.protocol.generation import Completion, Generate, Generated
from tests.adapters.strands.scripted import Script
from tests.tiny_models import copy_of_starter

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"words": {"type": "array", "items": {"enum": ["<tool_call>", "b"]}, "uniqueItems": True}},
    "required": ["words"],
    "additionalProperties": False,
}


@contextmanager
def writing(text: str) -> Iterator[None]:
    """The next answers, whatever schema they are to follow."""

    def scripted(loaded: Any, *_: Any) -> Any:
        return [Script(loaded.tokenizer, text)]

    with mock.patch.object(prepare, "_processors", scripted):
        yield


async def answered(model: str = "starter", **options: Any) -> Completion:
    options = {"json_schema": SCHEMA, "max_tokens": 60} | options
    work = Generate(model=model, conversations=[[{"role": "user", "content": "Write."}]], **options)
    client = EngineClient(in_process_engine())
    try:
        jobs = [job async for job in client.submit(work)]
    finally:
        await client.close()
    view = jobs[-1].view
    assert view is not None
    if view.error is not None:
        raise from_wire(view.error)
    assert isinstance(view.outcome, Generated)
    return view.outcome.completions[0]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ('{"words": ["b", "b"]}', {}, "words: .* has non-unique elements"),
    ('{"words": ["b"], "words": []}', {}, "'words' is there twice"),
    ('{"words": ["b"]}', {"stop": ["]"]}, "the stop string ']' cut the JSON"),
    ('{"words": ["b"]}', {"max_tokens": 4}, "cut at 4 tokens before its JSON was complete; raise max_tokens"),
    ("<think>\nA plan.", {"thinking": True}, "the model ended within its reasoning and wrote no JSON"),
    ("<think>\nA long plan.", {"thinking": True, "max_tokens": 4}, "cut at 4 tokens within its reasoning"),
    ('{"words": ["b"]}', {"max_tokens": 9000, "context": 4}, "the model's context was full"),
]


@pytest.mark.parametrize(("text", "options", "reason"), WRONG, ids=[reason[:30] for _, _, reason in WRONG])
async def test_what_kept_an_answer_from_being_json_is_said(text: str, options: dict[str, Any], reason: str) -> None:
    left = options.pop("context", None)
    usual = prepare._check_room  # pyright: ignore[reportPrivateUsage]
    with (
        writing(text),
        mock.patch.object(prepare, "_check_room", (lambda *_: left) if left else usual),
        pytest.raises(AnswerIncomplete, match=reason),
    ):
        await answered(**options)


async def test_a_string_of_a_json_answer_may_hold_the_mark_of_a_call() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    with writing('{"words": ["<tool_call>", "b"]}'):
        completion = await answered(tools=[tool])
    assert completion.json_value == {"words": ["<tool_call>", "b"]}
    assert completion.tool_calls == []


async def test_a_model_without_an_end_token_is_told_so(tmp_path: Path) -> None:
    folder = copy_of_starter(tmp_path / "endless")
    (folder / "generation_config.json").unlink()
    for name, keys in (("config.json", ["eos_token_id"]), ("tokenizer_config.json", ["eos_token", "pad_token"])):
        told = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({key: value for key, value in told.items() if key not in keys}))
    with pytest.raises(UnsupportedModel, match="has no end token"):
        await answered(str(folder))


async def test_a_schema_that_cannot_be_kept_is_refused_before_the_model_writes() -> None:
    with pytest.raises(ServerError, match=r"a look-ahead or look-behind, '\(\?=' at character 3"):
        await answered(json_schema={"type": "string", "pattern": "^a(?=b)"})
