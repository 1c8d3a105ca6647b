"""What is asked is trained on: the same words as serving gives the model, in any form of row and under any template."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load_tokenizer

from adapters.datasets.files import file_rows
from adapters.datasets.rows import TrainingRow, digest
from adapters.errors import InvalidRequest
from adapters.mlx.text.chat import render
from adapters.mlx.training.examples import examples
from tests.adapters.mlx.text import chat_templates
from tests.adapters.mlx.training.test_examples import marked
from tests.scripted_models import START, scripted_model

QUESTION = "What is the capital of France?"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def template_of(kind: str) -> str:
    """A template whose prompts end as earlier answers begin."""
    return getattr(chat_templates, kind).replace(START, "")


def parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def row_of(folder: Path, *messages: dict[str, Any], **fields: Any) -> TrainingRow:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"messages": messages} | fields) + "\n")
    return file_rows(path)[0]


@pytest.mark.parametrize("kind", ["STRINGS", "PARTS", "PARTS_FOR_USERS", "NAMED_CONTENT", "NO_SYSTEM", None])
@pytest.mark.parametrize("content", [str, parts])
def test_the_question_is_trained_on_as_it_is_served(kind: str | None, content: Any, tmp_path: Path) -> None:
    template = template_of(kind) if kind else None
    tokenizer: Any = load_tokenizer(scripted_model(tmp_path, template))
    row = row_of(
        tmp_path,
        {"role": "system", "content": content("Be brief.")},
        {"role": "user", "content": content(QUESTION)},
        {"role": "assistant", "content": content("Paris.")},
    )
    (one,) = examples(tokenizer, row)
    served = render(tokenizer, row.messages[:2], [], False, checkpoints=False).tokens
    start = int(one.learned.argmax())
    assert one.tokens[:start].tolist() == served[:start]
    assert QUESTION in tokenizer.decode(one.tokens[:start].tolist())
    assert "Paris." in tokenizer.decode(one.tokens[start:].tolist())


@pytest.mark.parametrize("kind", ["MUTE", "CUT", "LAST_ONLY"])
def test_a_row_whose_question_is_left_out_is_refused_by_its_place(kind: str, tmp_path: Path) -> None:
    tokenizer: Any = load_tokenizer(scripted_model(tmp_path, template_of(kind)))
    said = [{"role": "user", "content": QUESTION * 2}, {"role": "assistant", "content": "Paris."}]
    row = row_of(tmp_path, *said, {"role": "user", "content": "And of Italy, if I may ask?"}, said[1])
    with pytest.raises(InvalidRequest, match=r"rows.jsonl, line 1: .* leaves out what the user says"):
        examples(tokenizer, row)


def test_tools_are_trained_on_as_an_agent_is_offered_them(tmp_path: Path) -> None:
    for kind in ("STRINGS", "OBJECTS", "CONCATENATED"):
        tokenizer: Any = load_tokenizer(scripted_model(tmp_path, template_of(kind), tool_parser_type="json_tools"))
        call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "\\ud83d"}'}}
        row = row_of(
            tmp_path,
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "Paris, they say."},
            {"role": "assistant", "content": "Paris."},
            tools=[TOOL],
        )
        learned = "".join(marked(tokenizer, one) for one in examples(tokenizer, row))
        drawn = tokenizer.decode([token for one in examples(tokenizer, row) for token in one.tokens.tolist()])
        assert learned.count("[") >= 2
        for said in (QUESTION, '"name": "look_up"', '{"word": "\ufffd"}', "Paris, they say."):
            assert said in drawn, (kind, said)


def test_a_row_with_half_a_character_is_trained_with_a_replacement(tmp_path: Path) -> None:
    row = row_of(tmp_path, {"role": "user", "content": "Hi \ud83d"}, {"role": "assistant", "content": "\ud83d\ude00"})
    assert [message["content"] for message in row.messages] == ["Hi \ufffd", "😀"]
    assert digest([row])


@pytest.mark.parametrize(
    "text", ["Once.", "<|endoftext|>Once.", "Once.<|im_end|>", "<|endoftext|>Once.<|im_end|>\n", "<|endoftext|>Once.<|endoftext|>"]
)  # fmt: skip
def test_a_text_begins_and_ends_once(text: str, tmp_path: Path) -> None:
    tokenizer: Any = load_tokenizer(scripted_model(tmp_path, None, bos=True), eos_token_ids=None)
    ends = "<|endoftext|><|im_end|>" if text.endswith("text|>") and text.count("<") > 1 else "<|im_end|>"
    (one,) = examples(tokenizer, TrainingRow("here", text=text))
    assert tokenizer.decode(one.tokens.tolist()) == f"<|endoftext|>Once.{ends}"


def test_a_prompt_that_has_its_own_beginning_is_trained_with_one(tmp_path: Path) -> None:
    tokenizer: Any = load_tokenizer(scripted_model(tmp_path, None, bos=True))
    messages = [
        {"role": "user", "content": "<|endoftext|>Once"},
        {"role": "assistant", "content": " upon a time.<|im_end|>"},
    ]
    (one,) = examples(tokenizer, TrainingRow("here", messages, (1,)))
    assert marked(tokenizer, one) == "<|endoftext|>Once[ upon a time.<|im_end|>]"
