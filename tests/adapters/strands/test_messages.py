"""What Strands hands a model, as the engine takes it."""

from typing import Any

import pytest

from adapters.errors import InvalidRequest
from adapters.strands.messages import forced_schema, tools, turns

PICTURE = {"image": {"format": "png", "source": {"bytes": b"abc"}}}


def made(*blocks: Any, role: str = "user", **options: Any) -> list[dict[str, Any]]:
    messages: Any = [{"role": role, "content": list(blocks)}]
    return turns(messages, **options)


def result(*content: Any, status: str = "success") -> Any:
    return {"toolResult": {"toolUseId": "t1", "status": status, "content": list(content)}}


def test_system_prompts_go_first_in_either_form() -> None:
    assert made({"text": "Hi"}, system_prompt="Be kind.")[0] == {"role": "system", "content": "Be kind."}
    content: Any = [{"text": "Be kind."}, {"cachePoint": {"type": "default"}}, {"text": "Be brief."}]
    assert made({"text": "Hi"}, system_content=content)[0]["content"] == "Be kind.\nBe brief."


def test_tool_results_are_plain_strings_before_what_is_said_beside_them() -> None:
    found = made({"text": "And now?"}, result({"text": "5"}, {"json": {"a": 1}}))
    assert found == [
        {"role": "tool", "tool_call_id": "t1", "content": '5\n{"a": 1}'},
        {"role": "user", "content": "And now?"},
    ]


def test_an_error_says_that_it_is_one() -> None:
    assert made(result({"text": "gone"}, status="error"))[0]["content"] == "Error: gone"
    assert made(result({"text": "Error: gone"}, status="error"))[0]["content"] == "Error: gone"


def test_calls_have_their_arguments_as_objects_and_thoughts_their_place() -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "A plan."}}}
    use = {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 1}}}
    (found,) = made(thought, {"text": "Let me see."}, use, role="assistant")
    assert found["reasoning_content"] == "A plan."
    assert found["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 1}}


def test_what_only_marks_a_place_is_left_out() -> None:
    guarded = {"guardContent": {"text": {"text": "safe"}}}
    cited = {"citationsContent": {"content": [{"text": "cited"}]}}
    assert made({"text": "Hi"}, {"cachePoint": {"type": "default"}}, guarded, cited)[0]["content"] == "Hi\nsafe\ncited"


def test_pictures_are_shown_to_models_that_see() -> None:
    (found,) = made(PICTURE, {"text": "What?"}, sees=True)
    assert [part["type"] for part in found["content"]] == ["image", "text"]
    assert found["content"][0]["source"] == "data:image/png;base64,YWJj"
    seeing = made(result(PICTURE), sees=True)
    assert [turn["role"] for turn in seeing] == ["tool", "user"]
    assert "does not see" in made(result(PICTURE))[0]["content"]


def test_documents_of_text_are_read() -> None:
    document = {"document": {"name": "notes", "format": "md", "source": {"bytes": b"# Notes"}}}
    assert "# Notes" in made(document)[0]["content"]


@pytest.mark.parametrize(
    "block",
    [
        {"document": {"name": "a", "format": "pdf", "source": {"bytes": b"%PDF"}}},
        {"video": {"format": "mp4", "source": {"bytes": b""}}},
        {"image": {"format": "png", "source": {"location": {"uri": "s3://a"}}}},
    ],
    ids=str,
)
def test_what_cannot_be_given_is_told(block: Any) -> None:
    with pytest.raises(InvalidRequest, match="a message holds"):
        made(block)


def spec(name: str) -> Any:
    return {"name": name, "description": "d", "inputSchema": {"json": {"type": "object", "title": name}}}


def test_a_forced_call_has_the_schema_of_its_arguments() -> None:
    assert forced_schema({"auto": {}}, [spec("a")]) is None
    assert forced_schema(None, [spec("a")]) is None
    one: Any = forced_schema({"tool": {"name": "b"}}, [spec("a"), spec("b")])
    assert one == ({"type": "object", "title": "b"}, ["b"])
    several: Any = forced_schema({"any": {}}, [spec("a"), spec("b")])
    assert [kind["properties"]["name"]["const"] for kind in several[0]["anyOf"]] == ["a", "b"]
    with pytest.raises(InvalidRequest, match="no tool is offered"):
        forced_schema({"any": {}}, [])


@pytest.mark.parametrize("name", ["a.b", "x" * 65, "", "a b"])
def test_a_name_that_no_model_could_call_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be called"):
        tools([spec(name)])
