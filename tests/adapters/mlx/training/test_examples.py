"""Which tokens are learned, token by token, and what becomes of rows that are too long."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mlx_lm.tokenizer_utils import load as load_tokenizer

from adapters.datasets.rows import TrainingRow
from adapters.errors import InvalidRequest
from adapters.mlx.text.chat import render
from adapters.mlx.training.batches import make_batch, padded_tokens, place_of, plan
from adapters.mlx.training.examples import Example, examples, fit
from adapters.models.starters import STARTERS

# Without reasoning, so that earlier turns are shown as they were written.
PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OPENING = PLAIN.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")


@pytest.fixture
def starter() -> Any:
    return load_tokenizer(STARTERS["starter"])


@pytest.fixture
def plain(starter: Any) -> Any:
    starter.chat_template = PLAIN
    return starter


def chat(*turns: str, learned: tuple[int, ...] | None = None, system: str | None = None) -> TrainingRow:
    roles = ["user", "assistant"] * len(turns)
    messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    said = tuple(i for i, message in enumerate(messages) if message["role"] == "assistant")
    return TrainingRow("here", messages, learned if learned is not None else said)


def marked(tokenizer: Any, example: Example) -> str:
    """The text with what is learned in brackets."""
    parts, inside = [], False
    for token, learned in zip(example.tokens.tolist(), example.learned.tolist(), strict=True):
        if learned != inside:
            parts.append("[" if learned else "]")
            inside = learned
        parts.append(tokenizer.decode([token]))
    return "".join(parts) + ("]" if inside else "")


def test_every_kept_turn_is_learned_with_its_end_marker_and_nothing_else(plain: Any) -> None:
    (one,) = examples(plain, chat("Hi", "Hello", "Bye", "So long", system="Be kind."))
    assert marked(plain, one) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[Hello<|im_end|>]\n"
        "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n[So long<|im_end|>]"
    )


def test_a_turn_that_is_not_kept_is_only_read(plain: Any) -> None:
    (one,) = examples(plain, chat("Hi", "Hello", "Bye", "So long", learned=(3,)))
    assert marked(plain, one).count("[") == 1
    assert marked(plain, one).endswith("[So long<|im_end|>]")


def test_the_prompt_is_what_serving_renders(starter: Any) -> None:
    row = chat("Reverse the words: red green", "green red")
    (one,) = examples(starter, row)
    prompt = render(starter, row.messages[:1], [], False, False).tokens
    assert one.tokens[: len(prompt)].tolist() == prompt
    assert not one.learned[: len(prompt)].any()
    assert one.learned[len(prompt) :].all()


def test_a_template_that_changes_earlier_turns_gives_each_answer_its_own_example(starter: Any) -> None:
    row = chat("Hi", "Hello", "Bye", "So long")
    made = examples(starter, row)
    assert len(made) == 2
    for one, count in zip(made, (1, 3), strict=True):
        prompt = render(starter, row.messages[:count], [], False, False).tokens
        assert one.tokens[: len(prompt)].tolist() == prompt
        assert one.learned.sum() == len(one) - len(prompt)


def test_reasoning_is_learned_where_it_was_recorded(starter: Any) -> None:
    row = chat("What is 3 + 4?", "7")
    row.messages[1]["reasoning_content"] = "3 + 4 = 7"
    (one,) = examples(starter, row)
    assert marked(starter, one).endswith("[<think>\n3 + 4 = 7\n</think>\n\n7<|im_end|>]")


def test_a_prompt_that_opens_a_thought_learns_to_close_it(starter: Any) -> None:
    starter.chat_template = OPENING
    (one,) = examples(starter, chat("Hi", "Hello"))
    assert marked(starter, one).endswith("assistant\n<think>\n[</think>\n\nHello<|im_end|>]")


def test_tool_calls_are_learned_as_the_template_writes_them(starter: Any) -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    messages = [{"role": "user", "content": "Add."}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    tools = [
        {"type": "function", "function": {"name": "add", "parameters": {"properties": {"a": {"type": "integer"}}}}}
    ]
    (one,) = examples(starter, TrainingRow("here", messages, (1,), tools))
    assert marked(starter, one).endswith(
        '[<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call><|im_end|>]'
    )


def test_text_is_learned_whole(starter: Any) -> None:
    (one,) = examples(starter, TrainingRow("here", text="Once upon a time"))
    assert not one.learned[0]
    assert one.learned[1:].all()
    assert one.tokens[-1] in starter.eos_token_ids


def test_a_template_that_refuses_a_row_is_told_with_its_place(starter: Any) -> None:
    starter.chat_template = "{{ raise_exception('no system here') }}"
    with pytest.raises(InvalidRequest, match=r"^here: .*no system here"):
        examples(starter, chat("Hi", "Hello"))


# --- too long


def long_chat(turns: int) -> TrainingRow:
    return chat(*(f"number {i} " * 6 for i in range(2 * turns)), system="Be kind.")


def test_a_long_conversation_is_split_between_turns_and_loses_none(plain: Any) -> None:
    fitted = fit(plain, [long_chat(6)], 120, "split")
    assert fitted.too_long == 1
    assert fitted.dropped == 0
    assert len(fitted.examples) > 1
    assert all(len(one) <= 120 for one in fitted.examples)
    texts = [marked(plain, one) for one in fitted.examples]
    assert all("Be kind." in text for text in texts)
    learned = [part.split("]")[0] for text in texts for part in text.split("[")[1:]]
    assert learned == [f"number {i} " * 6 + "<|im_end|>" for i in range(1, 12, 2)]


def test_a_turn_that_never_fits_is_dropped_and_told(plain: Any) -> None:
    fitted = fit(plain, [long_chat(1), chat("Hi", "Hello")], 40, "split")
    assert (len(fitted.examples), fitted.too_long, fitted.dropped) == (1, 1, 1)


def test_cut_rows_keep_their_beginning(plain: Any) -> None:
    (whole,) = examples(plain, long_chat(3))
    (cut,) = fit(plain, [long_chat(3)], 100, "cut").examples
    assert cut.tokens.tolist() == whole.tokens[:100].tolist()
    assert cut.learned.tolist() == whole.learned[:100].tolist()


def test_dropped_rows_are_counted(plain: Any) -> None:
    fitted = fit(plain, [long_chat(3), chat("Hi", "Hello")], 60, "drop")
    assert (len(fitted.examples), fitted.too_long, fitted.dropped) == (1, 1, 1)


def test_long_text_is_split_without_loss(starter: Any) -> None:
    row = TrainingRow("here", text="word " * 200)
    (whole,) = examples(starter, row)
    parts = fit(starter, [row], 50, "split").examples
    assert np.concatenate([part.tokens for part in parts]).tolist() == whole.tokens.tolist()
    assert not any(part.learned[0] for part in parts)


# --- batches


def test_batches_hold_every_example_once_with_neighbours_by_length(plain: Any) -> None:
    rows = [chat("Hi " * (i * 7 % 23), "Hello") for i in range(11)]
    made = [one for row in rows for one in examples(plain, row)]
    batches = plan(made, 4)
    assert sorted(i for batch in batches for i in batch) == list(range(11))
    lengths = [len(made[i]) for batch in batches for i in batch]
    assert lengths == sorted(lengths)
    assert padded_tokens(made, batches) <= padded_tokens(made, [list(range(4)), list(range(4, 8)), list(range(8, 11))])


def test_no_padding_is_ever_learned(plain: Any) -> None:
    made = [examples(plain, chat("Hi " * n, "Hello"))[0] for n in (1, 40)]
    batch = make_batch(made)
    flat = np.array(batch.inputs).reshape(-1)
    counted = np.array(batch.weights) > 0
    assert counted.sum() == batch.learned == sum(int(one.learned.sum()) for one in made)
    for row, one in enumerate(made):
        width = batch.inputs.shape[1]
        places = [int(p) for p in np.array(batch.places)[counted] if row * width <= p < (row + 1) * width]
        wanted = np.flatnonzero(one.learned)
        assert [p - row * width for p in places] == [int(i) - 1 for i in wanted]
        assert [int(flat[p]) for p in places] == one.tokens[wanted - 1].tolist()
    assert np.array(batch.targets)[counted].tolist() == [int(t) for one in made for t in one.tokens[one.learned]]


def test_the_order_depends_on_seed_and_place_alone() -> None:
    order = [place_of(7, step, seed=3) for step in range(21)]
    assert [place_of(7, step, seed=3) for step in range(10, 21)] == order[10:]
    for epoch in range(3):
        assert sorted(order[epoch * 7 : epoch * 7 + 7]) == list(range(7))
    assert order[:7] != order[7:14]
    assert order != [place_of(7, step, seed=4) for step in range(21)]


def test_rows_equal_but_for_made_up_ids_are_the_same() -> None:
    call = {"id": "call_1", "function": {"name": "add", "arguments": {}}}
    one = TrainingRow(
        "a", [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call]}], (1,)
    )
    other = replace(
        one, origin="b", messages=[one.messages[0], {**one.messages[1], "tool_calls": [call | {"id": "call_2"}]}]
    )
    assert one.content == other.content
