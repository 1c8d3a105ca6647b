"""Where in a prompt a cache is worth keeping that cannot be cut back to any length.

A later prompt begins like this one and parts from it somewhere: after the system prompt, after a turn, or where the
question about a document begins. A cache of linear attention or of a sliding window serves only a prompt that goes on
from exactly where it was kept, so a few such places are chosen, and some between them for what cannot be foreseen.
"""

import re
from collections.abc import Iterable
from typing import Any

from adapters.mlx.text.arrangement import joined_text
from adapters.mlx.text.chat import Prompt, render
from adapters.protocol.content import Message

# A shorter prompt is read again as quickly as its cache is found, and its places are too near one another.
SHORTEST = 256
# Places in the middle of anything: so far apart, and so many, each with a whole cache of its own.
_INTERVAL, _INTERVALS = 512, 4
_TURNS = 3
# A place less than this after another one would save little that the other does not.
_NEAR = 64
_DOCUMENT_ENDS = re.compile(r"</document>\s*")
_PARAGRAPH_ENDS = re.compile(r"\n\s*\n")
# Questions that nobody asks, to see which tokens a document has whatever is asked about it.
_OTHER_QUESTIONS = ("Q", "7")


def places_to_keep(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, prompt: Prompt
) -> list[int]:
    """Return the places, in tokens from the beginning, in order.

    `prompt` has the ends of the messages as its boundaries.
    """
    ends, length = prompt.boundaries, len(prompt.tokens)
    turns = [*ends[:1], *ends[-_TURNS:]]
    if length < SHORTEST:
        return sorted(set(turns))
    questions = _beginnings_of_the_question(tokenizer, messages, tools, thinking, prompt.tokens)
    chosen = _far_apart([*questions, *turns, length - 1], _NEAR)
    step = max(_INTERVAL, -(-length // ((_INTERVALS + 1) * _INTERVAL)) * _INTERVAL)
    between = [place for place in range(step, length - 1, step) if all(abs(place - one) > step // 2 for one in chosen)]
    return sorted({*chosen, *between[-_INTERVALS:]})


def _far_apart(places: Iterable[int], near: int) -> list[int]:
    chosen: list[int] = []
    for place in sorted(set(places)):
        if not chosen or place - chosen[-1] >= near:
            chosen.append(place)
    return chosen


def _beginnings_of_the_question(
    tokenizer: Any, messages: list[Message], tools: list[dict[str, Any]], thinking: bool, tokens: list[int]
) -> list[int]:
    """Return where the last turn goes from its material to what is asked about it: after the last document, and
    paragraph.
    """
    content = joined_text(messages[-1].get("content"))
    if not isinstance(content, str):
        return []
    found = [list(ends.finditer(content)) for ends in (_DOCUMENT_ENDS, _PARAGRAPH_ENDS)]
    places = set[int]()
    for cut in {matches[-1].end() for matches in found if matches}:
        shared = len(tokens)
        for question in _OTHER_QUESTIONS:
            other = [*messages[:-1], messages[-1] | {"content": content[:cut] + question}]
            shared = min(shared, _shared(tokens, render(tokenizer, other, tools, thinking, checkpoints=False).tokens))
        places.add(shared)
    return [place for place in places if 0 < place < len(tokens)]


def _shared(some: list[int], others: list[int]) -> int:
    length = min(len(some), len(others))
    if some[:length] == others[:length]:
        return length
    return next(i for i in range(length) if some[i] != others[i])
