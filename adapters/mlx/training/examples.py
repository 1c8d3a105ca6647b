"""From rows to the tokens that are trained on, and which of them are learned.

A model is trained on exactly what it will be given: each answer follows the prompt that serving renders for it, with the
same tokens. Where a template shows earlier turns as it showed them when they were written, one example holds several
answers; where it does not (many leave out earlier reasoning), each answer has an example of its own.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from adapters.datasets.rows import TrainingRow
from adapters.errors import InvalidRequest
from adapters.mlx.text.chat import opened_once, rendered_text
from adapters.protocol.training import TooLong


@dataclass(frozen=True)
class Example:
    """Tokens, int32 [n], and which of them are to be predicted, bool [n]; the first never is. `origin` is for people.

    `inputs` are the processor's arrays where pictures are among the tokens.
    """

    tokens: np.ndarray
    learned: np.ndarray
    origin: str = ""
    inputs: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass
class Fitted:
    """Examples that fit, and what happened to rows that did not as they were."""

    examples: list[Example] = field(default_factory=list)
    too_long: int = 0
    dropped: int = 0


def fit(tokenizer: Any, rows: Sequence[TrainingRow], longest: int, too_long: TooLong) -> Fitted:
    """Return the examples of all rows, none longer than `longest` tokens."""
    fitted = Fitted()
    for row in rows:
        made = examples(tokenizer, row)
        if any(len(one) > longest for one in made):
            fitted.too_long += 1
            made = _shortened(tokenizer, row, made, longest, too_long)
        kept = [one for one in made if one.learned.any()]
        fitted.dropped += not kept
        fitted.examples += kept
    return fitted


def examples(tokenizer: Any, row: TrainingRow) -> list[Example]:
    """Return what there is to learn from one row. Raises InvalidRequest where the model's chat template refuses it."""
    if row.text is not None:
        tokens = _ended_once(tokenizer, opened_once(tokenizer, row.text))
        return [_example(tokens, [(1, len(tokens))], row.origin)]
    made, pieces = list[Example](), _Pieces(tokenizer)
    for index in row.learned:
        prompt, answer = answer_of(tokenizer, row, index)
        if pieces.text and not prompt.startswith(pieces.text):
            made.append(pieces.example(row.origin))
            pieces = _Pieces(tokenizer)
        pieces.add(prompt[len(pieces.text) :], answer)
    return [*made, pieces.example(row.origin)]


class _Pieces:
    """Prompts and answers in turn, as text and as tokens. Each piece is encoded by itself, as when it is generated."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ends = set(tokenizer.eos_token_ids)
        self.text = ""
        self._tokens: list[int] = []
        self._spans: list[tuple[int, int]] = []

    def add(self, prompt: str, answer: str) -> None:
        self.text += prompt + answer
        # A prompt begins with what its template or tokenizer puts first; what follows must not.
        self._tokens += self._encoded(prompt)
        begin, tokens = len(self._tokens), self._encoded(answer)
        ends = [i for i, token in enumerate(tokens) if token in self._ends]
        self._tokens += tokens
        self._spans.append((begin, begin + (ends[-1] + 1 if ends else len(tokens))))

    def example(self, origin: str) -> Example:
        """Return all so far, up to the end of the last answer, which ends with an end marker."""
        last = self._spans[-1][1]
        tokens, spans = self._tokens[:last], list(self._spans)
        if tokens[-1] not in self._ends:
            tokens.append(self._tokenizer.eos_token_id)
            spans[-1] = (spans[-1][0], last + 1)
        return _example(tokens, spans, origin)

    def _encoded(self, text: str) -> list[int]:
        if self._tokenizer.has_chat_template or self._tokens:
            return list(self._tokenizer.encode(text, add_special_tokens=False))
        return opened_once(self._tokenizer, text)


def _ended_once(tokenizer: Any, tokens: list[int]) -> list[int]:
    """Return the tokens with an end marker as the last of them: the text's own, or one that is added."""
    ends = [i for i, token in enumerate(tokens) if token in tokenizer.eos_token_ids]
    if ends and not tokenizer.decode(tokens[ends[-1] + 1 :]).strip():
        return tokens[: ends[-1] + 1]
    return [*tokens, tokenizer.eos_token_id]


def _example(tokens: list[int], spans: list[tuple[int, int]], origin: str) -> Example:
    learned = np.zeros(len(tokens), bool)
    for begin, end in spans:
        learned[max(begin, 1) : end] = True
    return Example(np.array(tokens, np.int32), learned, origin)


def answer_of(tokenizer: Any, row: TrainingRow, index: int) -> tuple[str, str]:
    """Return the prompt of a message as serving renders it, and what the model is to write after it."""
    before, turn = row.messages[:index], row.messages[index]
    thinking = bool(turn.get("reasoning_content")) and tokenizer.has_thinking
    prompt = _text(tokenizer, row, before, thinking, prompt=True)
    if not tokenizer.has_chat_template:
        return prompt, _text(tokenizer, replace(row, tools=[]), [turn], thinking, prompt=False)
    whole = _text(tokenizer, row, [*before, turn], thinking, prompt=False)
    if whole.startswith(prompt):
        return prompt, whole[len(prompt) :]
    # Some templates begin an answer without thoughts with an empty thought, and show it without one afterwards.
    other = _text(tokenizer, row, before, not thinking, prompt=True)
    if whole.startswith(other):
        return prompt, whole[len(other) :]
    if tokenizer.has_thinking and prompt.rstrip().endswith(tokenizer.think_start):
        plain = prompt.rstrip().removesuffix(tokenizer.think_start)
        if whole.startswith(plain):  # the prompt opens a thought that the message does not have
            return prompt, f"{tokenizer.think_end}\n\n{whole[len(plain) :].lstrip()}"
    raise InvalidRequest(
        f"{row.origin}: this model's chat template writes messages[{index}] other than it begins an answer, so there is nothing to learn from it; train another model"
    )


def _text(tokenizer: Any, row: TrainingRow, messages: list[dict[str, Any]], thinking: bool, prompt: bool) -> str:
    try:
        return rendered_text(tokenizer, messages, row.tools, thinking, prompt)
    except InvalidRequest as error:
        raise InvalidRequest(f"{row.origin}: {error}") from error


# --- rows that are too long


def _shortened(tokenizer: Any, row: TrainingRow, made: list[Example], longest: int, too_long: TooLong) -> list[Example]:
    if too_long == "drop":
        return [one for one in made if len(one) <= longest]
    if too_long == "cut":
        return [Example(one.tokens[:longest], one.learned[:longest], one.origin) for one in made]
    if row.text is not None:
        (whole,) = made
        places = range(0, len(whole), longest)
        return [_from(whole, place, place + longest) for place in places if len(whole) - place > 1]
    return [
        one for piece in _by_turns(tokenizer, row, longest) for one in examples(tokenizer, piece) if len(one) <= longest
    ]


def _from(whole: Example, begin: int, end: int) -> Example:
    learned = whole.learned[begin:end].copy()
    learned[0] = False
    return Example(whole.tokens[begin:end], learned, whole.origin)


def _by_turns(tokenizer: Any, row: TrainingRow, longest: int) -> list[TrainingRow]:
    """Return the conversation in pieces of whole turns that fit, each with the system prompt."""
    start = 1 if row.messages[0]["role"] == "system" else 0
    turns = [i for i, message in enumerate(row.messages) if message["role"] == "user" and i >= start]
    edges = [*turns, len(row.messages)] if turns and turns[0] == start else [start, *turns, len(row.messages)]
    pieces, begin = list[TrainingRow](), edges[0]
    for before, end in itertools.pairwise(edges):
        if before > begin and _too_long(tokenizer, _piece(row, start, begin, end), longest):
            pieces.append(_piece(row, start, begin, before))
            begin = before
    pieces.append(_piece(row, start, begin, edges[-1]))
    return [piece for piece in pieces if piece.learned]


def _piece(row: TrainingRow, start: int, begin: int, end: int) -> TrainingRow:
    learned = tuple(index - begin + start for index in row.learned if begin <= index < end)
    return replace(row, messages=row.messages[:start] + row.messages[begin:end], learned=learned)


def _too_long(tokenizer: Any, row: TrainingRow, longest: int) -> bool:
    text = _text(tokenizer, row, row.messages, False, prompt=False)
    return len(tokenizer.encode(text, add_special_tokens=False)) > longest
