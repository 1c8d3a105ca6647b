"""What is done to a request before it joins the batch: its prompt rendered, its schema compiled, its limits checked.

Runs on the engine's preparing thread, one request at a time. Imports MLX; evaluates nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlx_lm.sample_utils import make_logits_processors

from adapters.errors import ContextOverflow, InvalidRequest, UnsupportedModel
from adapters.mlx.generation.request import GenerationRequest, LogitsProcessor, RequestEvent
from adapters.mlx.generation.runner import RowRunner
from adapters.mlx.residency import Leased, Loaded
from adapters.mlx.text.answer import Answer, AnswerText, WrittenCall, markers_of
from adapters.mlx.text.arrangement import arranged, notes_of
from adapters.mlx.text.calls.families import FAMILIES, family_of, has_channels
from adapters.mlx.text.calls.gate import Gate
from adapters.mlx.text.calls.reader import CallReader
from adapters.mlx.text.channels import ChannelText
from adapters.mlx.text.chat import Prompt, ends_with, render
from adapters.mlx.text.checkpoints import places_to_keep
from adapters.mlx.text.schema import Reasoning, SchemaMask, compile_schema, grammar_tokenizer
from adapters.mlx.text.template_probes import form_of
from adapters.protocol.content import media_of
from adapters.protocol.generation import Generate, MadeCall

if TYPE_CHECKING:
    from adapters.mlx.text.images import ImagePrompt, Media


def make_request(
    leased: Leased,
    work: Generate,
    index: int,
    media: "Media",
    *,
    random_seed: int,
    asked: float,
    on_event: Callable[[GenerationRequest, RequestEvent], None],
) -> GenerationRequest:
    """Return the request of one conversation, with the pictures and videos that it names.

    Raises what is wrong with it.
    """
    loaded = leased.loaded
    tokenizer = loaded.tokenizer
    prompt, images = make_prompt(loaded, work, index, media)
    vocabulary = len(tokenizer.vocab)
    if work.top_k >= vocabulary:
        raise InvalidRequest(
            f"top_k={work.top_k} is not below this model's {vocabulary} tokens; leave it out to allow all"
        )
    # Each conversation of a call draws from a seed of its own, or equal prompts would get equal answers.
    seed = random_seed if work.seed is None else work.seed + index
    return GenerationRequest(
        tokens=prompt.tokens,
        max_tokens=_check_room(len(prompt.tokens), work.max_tokens, loaded.card.context, loaded.name),
        sampling=work,
        seed=seed,
        answer=_answer_text(tokenizer, work, prompt.in_reasoning),
        cache_key=leased.adapter.digest if leased.adapter else "",
        on_event=on_event,
        processors=_processors(loaded, work, prompt),
        boundaries=prompt.boundaries,
        images=images,
        notes=prompt.notes,
        adapter=leased.adapter,
        asked=asked,
    )


def make_prompt(loaded: Loaded, work: Generate, index: int, media: "Media") -> tuple[Prompt, "ImagePrompt | None"]:
    """Return the prompt of one conversation, and what is seen in it. Raises what is wrong with it."""
    assert isinstance(loaded.runner, RowRunner)
    tokenizer, conversation = loaded.tokenizer, work.conversations[index]
    images: ImagePrompt | None = None
    if media_of(conversation):
        images = render_with_images(loaded, conversation, work, media)
        opened = tokenizer.has_thinking and ends_with(tokenizer, images.tokens, tokenizer.think_start)
        notes = notes_of(form_of(tokenizer), conversation, _offered_tools(tokenizer, work))
        prompt = Prompt(images.key, [], opened, notes)
    elif loaded.runner.needs_a_picture:
        raise UnsupportedModel(f"{loaded.name} answers about pictures alone; show it one, or choose a text model")
    else:
        prompt = _rendered(loaded, conversation, work)
    if not prompt.tokens:
        raise InvalidRequest("the prompt has no tokens; write something")
    return prompt, images


def _rendered(loaded: Loaded, messages: list[dict[str, Any]], work: Generate) -> Prompt:
    assert isinstance(loaded.runner, RowRunner)
    tokenizer, tools = loaded.tokenizer, _offered_tools(loaded.tokenizer, work)
    if loaded.runner.trimmable:
        return render(tokenizer, messages, tools, work.thinking, checkpoints=False)
    prompt = render(tokenizer, messages, tools, work.thinking, checkpoints=True)
    places = places_to_keep(tokenizer, messages, tools, work.thinking, prompt)
    return replace(prompt, boundaries=loaded.runner.affordable(places))


def _offered_tools(tokenizer: Any, work: Generate) -> list[dict[str, Any]]:
    """Return the tools that the model is told of.

    A call that a schema forces has the schema's form alone: tools in words, with a form of their own, would lead away
    from it.
    """
    return [] if work.json_schema is not None and form_of(tokenizer).plain_tools else work.tools


def read_call(call: WrittenCall, tools: list[dict[str, Any]]) -> list[MadeCall]:
    """Return the calls that a model wrote together: those of a tool that was offered, with arguments that fit it, and
    the rest as written.
    """
    gate = Gate(tools)
    return [gate.passed(one, call.after) for one in call.calls]


def _answer_text(tokenizer: Any, work: Generate, in_reasoning: bool) -> Answer:
    """Return what an answer is read by. Where a schema holds the answer there is no place for a call."""
    tools = Gate(work.tools).names if work.json_schema is None else []
    if has_channels(tokenizer):
        return ChannelText(tools=bool(tools), stop=work.stop or ())
    family = FAMILIES["json_tools"] if form_of(tokenizer).plain_tools else family_of(tokenizer)
    calls = CallReader(family, tools) if tools else None
    return AnswerText(markers_of(tokenizer), in_reasoning=in_reasoning, calls=calls, stop=work.stop or ())


def render_with_images(
    loaded: Loaded, conversation: list[dict[str, Any]], work: Generate, media: "Media"
) -> "ImagePrompt":
    from adapters.mlx.text.images import look

    template: dict[str, Any] = {"enable_thinking": work.thinking}
    if work.thinking and not loaded.tokenizer.has_thinking:
        raise UnsupportedModel("this model has no thinking mode; leave `thinking` out, or choose a reasoning model")
    handed, tools = arranged(form_of(loaded.tokenizer), conversation, _offered_tools(loaded.tokenizer, work))
    if tools:
        template["tools"] = tools
    return look(loaded.model, loaded.reader.processor, handed, media, loaded.name, **template)


def _check_room(prompt_tokens: int, max_tokens: int, context: int, name: str) -> int:
    """Return how many tokens may be written: `max_tokens`, or what the context leaves.

    Raises ContextOverflow when it leaves none.
    """
    if prompt_tokens >= context:
        raise ContextOverflow(
            f"the prompt has {prompt_tokens} tokens and {name} reads at most {context}; shorten it, split it, or choose a model with a longer context"
        )
    return min(max_tokens, context - prompt_tokens)


def _processors(loaded: Loaded, work: Generate, prompt: Prompt) -> list[LogitsProcessor]:
    processors: list[LogitsProcessor] = []
    if work.repetition_penalty != 1.0:
        processors += make_logits_processors(repetition_penalty=work.repetition_penalty)
    if work.json_schema is not None:
        processors.append(_schema_mask(loaded, work.json_schema, work.thinking, prompt.in_reasoning))
    return processors


def _schema_mask(loaded: Loaded, schema: dict[str, Any], thinking: bool, in_reasoning: bool) -> SchemaMask:
    tokenizer = loaded.tokenizer
    if loaded.grammar_tokenizer is None:
        loaded.grammar_tokenizer = grammar_tokenizer(tokenizer)
    reasoning = Reasoning.of(tokenizer) if thinking or in_reasoning else None
    return SchemaMask(loaded.grammar_tokenizer, compile_schema(schema), reasoning, begun=in_reasoning)
