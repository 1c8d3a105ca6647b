"""Training a model that sees: rows with pictures, what the model is shown of them, and answers compared.

The tower and the embeddings are not trained, so what they make of a row is computed once and kept while there is room;
the layers after them learn as those of a text model do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from adapters.datasets.rows import TrainingRow
from adapters.errors import FileRefused, InvalidRequest
from adapters.media.images import open_picture
from adapters.mlx.loading import Reader
from adapters.mlx.text.arrangement import arranged
from adapters.mlx.text.template_probes import form_of
from adapters.mlx.training.batches import Batch, make_batch
from adapters.mlx.training.evaluation import Question
from adapters.mlx.training.examples import Example, Fitted, answer_of, fit
from adapters.protocol.content import TextPart, is_address, is_data_uri, parts_of

_MOST_KEPT = 1 << 30
# Which tokens are text and which a picture's; the language model itself reads them, too.
_KINDS_OF_TOKENS = ("mm_token_type_ids", "token_type_ids")


def fit_with_pictures(
    model: Any, reader: Reader, rows: Sequence[TrainingRow], longest: int, too_long: Any, name: str
) -> Fitted:
    """Return the examples of rows that may have pictures. One with pictures that is too long is dropped and counted.

    Raises InvalidRequest with the row's place for a picture that cannot be read.
    """
    fitted = fit(reader.tokenizer, [row for row in rows if not row.images], longest, too_long)
    for row in rows:
        if not row.images:
            continue
        made = [_example(model, reader, row, index, name) for index in row.learned]
        kept = [one for one in made if len(one) <= longest]
        fitted.too_long += len(kept) < len(made)
        fitted.dropped += not kept
        fitted.examples += kept
    return fitted


def _example(model: Any, reader: Reader, row: TrainingRow, index: int, name: str) -> Example:
    from adapters.mlx.text.images import look

    try:
        media = {source: open_picture(_resolved(source)) for source in row.images}
    except FileRefused as error:
        raise InvalidRequest(f"{row.origin}: {error}") from error
    _, answer = answer_of(reader.tokenizer, replace(row, messages=[_in_words(one) for one in row.messages]), index)
    template: dict[str, Any] = {"enable_thinking": bool(row.messages[index].get("reasoning_content"))}
    handed, tools = arranged(form_of(reader.tokenizer), row.messages[:index], row.tools)
    if tools:
        template["tools"] = tools
    try:
        prompt = look(model, reader.processor, handed, media, name, **template)
    except InvalidRequest as error:
        raise InvalidRequest(f"{row.origin}: {error}") from error
    written = list(reader.tokenizer.encode(answer, add_special_tokens=False))
    ends = [i for i, token in enumerate(written) if token in set(reader.tokenizer.eos_token_ids)]
    written = written[: ends[-1] + 1] if ends else [*written, reader.tokenizer.eos_token_id]
    tokens = np.array([*prompt.tokens, *written], np.int32)
    learned = np.arange(len(tokens)) >= len(prompt.tokens)
    inputs = {key: value for key, value in prompt.inputs.items() if key not in ("attention_mask",)}
    return Example(tokens, learned, row.origin, inputs)


def _in_words(message: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(message.get("content"), list):
        return message
    return message | {
        "content": "\n".join(one.text for one in parts_of(message["content"]) if isinstance(one, TextPart))
    }


def _resolved(source: str) -> str:
    """Return a data URI or an address as it is, and a file by its real path: no link in it is followed later."""
    return source if is_data_uri(source) or is_address(source) else str(Path(source).resolve())


class Embeddings:
    """What the tower and the embeddings make of examples. Used by the trainer's one thread."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._kept: dict[int, Batch] = {}
        self._bytes = 0

    def batches(self, examples: Sequence[Example]) -> list[Batch]:
        """Batches of these examples: those of words alone together, each with pictures by itself."""
        words = [one for one in examples if one.inputs is None]
        made = [self._made(make_batch(words), {})] if words else []
        return made + [self._seen(one) for one in examples if one.inputs is not None]

    def _seen(self, example: Example) -> Batch:
        if id(example) in self._kept:
            return self._kept[id(example)]
        batch = self._made(make_batch([example], step=1), dict(example.inputs or {}))
        arrays: Any = tree_flatten(batch.embedded)
        size = sum(value.nbytes for _, value in arrays)
        if self._bytes + size <= _MOST_KEPT:
            self._kept[id(example)] = batch
            self._bytes += size
        return batch

    def _made(self, batch: Batch, inputs: dict[str, Any]) -> Batch:
        return replace(batch, embedded=embedded(self._model, batch.inputs, inputs))


def embedded(model: Any, tokens: mx.array, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what the language model takes in place of the tokens [rows, length], evaluated."""
    given = dict(inputs)
    pixels = given.pop("pixel_values", None)
    length = tokens.shape[1]
    given |= {name: _as_long(given[name], length) for name in _KINDS_OF_TOKENS if name in given}
    found = model.get_input_embeddings(tokens, pixels, mask=mx.ones(tokens.shape, mx.int32), **given).to_dict()
    taken = {name: given[name] for name in _KINDS_OF_TOKENS if name in given}
    taken |= {name: value for name, value in found.items() if value is not None}
    mx.eval(taken)
    return taken


def _as_long(kinds: mx.array, length: int) -> mx.array:
    """Return the kinds of a prompt's tokens [1, n] for a prompt and its answer [1, length]: what is written is text, 0."""
    missing = length - kinds.shape[1]
    return mx.pad(kinds, [(0, 0), (0, missing)]) if missing > 0 else kinds[:, :length]


def exact_with_pictures(
    model: Any, tokenizer: Any, asked: Sequence[Question], stopping: Callable[[], bool]
) -> int | None:
    """Return how many questions are answered exactly, white space at the ends aside; None when told to stop."""
    ends, right = set(tokenizer.eos_token_ids), 0
    for one in asked:
        if stopping():
            return None
        written = _answered(model, one, ends)
        wanted = [token for token in one.answer if token not in ends]
        right += tokenizer.decode(written).strip() == tokenizer.decode(wanted).strip()
    return right


def _answered(model: Any, one: Question, ends: set[int]) -> list[int]:
    from mlx_vlm.models.cache import make_prompt_cache

    cache, written = make_prompt_cache(model.language_model), list[int]()
    tokens = mx.array([one.prompt])
    out = model.language_model(tokens, cache=cache, **embedded(model, tokens, one.inputs or {}))
    while len(written) <= len(one.answer):
        token = int(mx.argmax(out.logits[0, -1]).item())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        if token in ends:
            break
        written.append(token)
        out = model.language_model(mx.array([[token]]), cache=cache)
    return written
