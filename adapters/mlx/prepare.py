"""What is done to a request before it joins the batch: its prompt rendered, its schema compiled, its limits checked.

Runs on the engine's preparing thread, one request at a time. Imports MLX; evaluates nothing.
"""

import logging
from typing import TYPE_CHECKING, Any

from mlx_lm.sample_utils import make_logits_processors

from adapters.errors import ContextOverflow, InvalidRequest, UnsupportedModel
from adapters.mlx.generation.request import LogitsProcessor, Row
from adapters.mlx.generation.runner import RowRunner
from adapters.mlx.residency import Leased, Loaded
from adapters.mlx.text.answer import AnswerText, WrittenCall, markers_of
from adapters.mlx.text.chat import Prompt, ends_with, render
from adapters.mlx.text.schema import Reasoning, SchemaMask, compile_schema, grammar_tokenizer
from adapters.mlx.text.tools import call_form, shows_tools
from adapters.protocol.content import TextPart, media_of, parts_of
from adapters.protocol.generation import Generate, MadeCall

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from adapters.mlx.text.images import Media, Sight


def make_row(leased: Leased, work: Generate, index: int, random_seed: int, media: "Media") -> Row:
    """The row of one conversation, with the pictures and videos that it names. Raises what is wrong with it."""
    loaded = leased.loaded
    tokenizer = loaded.tokenizer
    prompt, sight = make_prompt(loaded, work, index, media)
    vocabulary = len(tokenizer.vocab)
    if work.sampling.top_k >= vocabulary:
        raise InvalidRequest(
            f"top_k={work.sampling.top_k} is not below this model's {vocabulary} tokens; leave it out to allow all"
        )
    answer = AnswerText(markers_of(tokenizer), in_reasoning=prompt.in_reasoning, tools=bool(work.tools), stop=work.stop)
    # Each conversation of a call draws from a seed of its own, or equal prompts would get equal answers.
    seed = random_seed if work.sampling.seed is None else work.sampling.seed + index
    return Row(
        tokens=prompt.tokens,
        max_tokens=_check_room(len(prompt.tokens), work.max_tokens, loaded.card.context, loaded.name),
        sampling=work.sampling,
        seed=seed,
        answer=answer,
        cache_key=leased.adapter.digest if leased.adapter else "",
        on_event=lambda _: None,
        processors=_processors(loaded, work, prompt),
        boundaries=prompt.boundaries,
        sight=sight,
        adapter=leased.adapter,
    )


def make_prompt(loaded: Loaded, work: Generate, index: int, media: "Media") -> tuple[Prompt, "Sight | None"]:
    """The prompt of one conversation, and what is seen in it. Raises what is wrong with it."""
    assert isinstance(loaded.runner, RowRunner)
    tokenizer, conversation = loaded.tokenizer, work.conversations[index]
    sight: Sight | None = None
    if media_of(conversation):
        sight = _looked(loaded, conversation, work, media)
        opened = tokenizer.has_thinking and ends_with(tokenizer, sight.tokens, tokenizer.think_start)
        prompt = Prompt(sight.key, [], opened)
    else:
        # A call that is forced is held to its schema alone: words about another form of calls would lead away from it.
        in_words_only = work.json_schema is not None and not shows_tools(tokenizer)
        tools = [] if in_words_only else work.tools
        prompt = render(tokenizer, _plain(conversation), tools, work.thinking, checkpoints=not loaded.runner.trimmable)
    if not prompt.tokens:
        raise InvalidRequest("the prompt has no tokens; write something")
    return prompt, sight


def read_call(tokenizer: Any, call: WrittenCall, tools: list[dict[str, Any]]) -> list[MadeCall]:
    """The calls that a model wrote between one pair of markers, by the tokenizer's own parser.

    What cannot be read is given as written, and so is a call that was cut before its end marker.
    """
    form = call_form(tokenizer)
    start, end = form.start or "", form.end or ""
    cut = not call.closed and bool(end)
    made = MadeCall(written=f"{start}{call.text}{'' if cut else end}", after=call.after)
    try:
        if cut:
            raise ValueError("it was cut")
        if form.parse is None:
            raise ValueError("this model has no form of calls")
        parsed: Any = form.parse(call.text, tools)
        read = parsed if isinstance(parsed, list) else [parsed]
        return [
            MadeCall(written=made.written, after=made.after, name=one["name"], arguments=one.get("arguments") or {})
            for one in read
        ]
    except Exception as error:  # parsers raise what they like
        logger.warning("error=<%s> | a tool call could not be read", error)
        return [made]


def _looked(loaded: Loaded, conversation: list[dict[str, Any]], work: Generate, media: "Media") -> "Sight":
    from adapters.mlx.text.images import look

    template: dict[str, Any] = {"enable_thinking": work.thinking}
    if work.thinking and not loaded.tokenizer.has_thinking:
        raise UnsupportedModel("this model has no thinking mode; leave `thinking` out, or choose a reasoning model")
    if work.tools:
        template["tools"] = work.tools
    return look(loaded.model, loaded.reader.processor, conversation, media, loaded.name, **template)


def _plain(conversation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with text that came in parts put together."""
    return [
        turn | {"content": "\n".join(part.text for part in parts_of(turn["content"]) if isinstance(part, TextPart))}
        if isinstance(turn.get("content"), list)
        else turn
        for turn in conversation
    ]


def _check_room(prompt_tokens: int, max_tokens: int, context: int, name: str) -> int:
    """Return how many tokens may be written: `max_tokens`, or what the context leaves. Raises ContextOverflow when it leaves none."""
    if prompt_tokens >= context:
        raise ContextOverflow(
            f"the prompt has {prompt_tokens} tokens and {name} reads at most {context}; shorten it, split it, or choose a model with a longer context"
        )
    return min(max_tokens, context - prompt_tokens)


def _processors(loaded: Loaded, work: Generate, prompt: Prompt) -> list[LogitsProcessor]:
    processors: list[LogitsProcessor] = []
    if work.sampling.repetition_penalty != 1.0:
        processors += make_logits_processors(repetition_penalty=work.sampling.repetition_penalty)
    if work.json_schema is not None:
        processors.append(_schema_mask(loaded, work.json_schema, work.thinking, prompt.in_reasoning))
    return processors


def _schema_mask(loaded: Loaded, schema: dict[str, Any], thinking: bool, in_reasoning: bool) -> SchemaMask:
    tokenizer = loaded.tokenizer
    if loaded.grammar_tokenizer is None:
        loaded.grammar_tokenizer = grammar_tokenizer(tokenizer)
    reasoning = Reasoning.of(tokenizer) if thinking or in_reasoning else None
    return SchemaMask(loaded.grammar_tokenizer, compile_schema(schema), reasoning, begun=in_reasoning)
