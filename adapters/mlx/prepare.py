"""What is done to a request before it joins the batch: its prompt rendered, its schema compiled, its limits checked.

Runs on the engine's preparing thread, one request at a time. Imports MLX; evaluates nothing.
"""

from pathlib import Path
from typing import Any

from mlx_lm.sample_utils import make_logits_processors
from mlx_lm.utils import load_config, load_tokenizer

from adapters.engine.protocol import Generate
from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.mlx.answer import AnswerText, markers_of
from adapters.mlx.backend import check_room
from adapters.mlx.chat import Prompt, render
from adapters.mlx.residency import Loaded
from adapters.mlx.row import LogitsProcessor, Row
from adapters.mlx.schema import Reasoning, SchemaMask, compile_schema, grammar_tokenizer


def read_tokenizer(name: str, folder: Path) -> Any:
    """The tokenizer of the model in that folder. Raises UnsupportedModel when there is none that can be read."""
    try:
        return load_tokenizer(folder, eos_token_ids=load_config(folder).get("eos_token_id"))
    except Exception as error:  # transformers raises what it likes for a damaged tokenizer
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise UnsupportedModel(f"the tokenizer of {name} cannot be read: {reason}. Download the model again") from error


def make_row(loaded: Loaded, work: Generate, index: int, random_seed: int) -> Row:
    """The row of one conversation. Raises what is wrong with it as a ServerError."""
    tokenizer = loaded.tokenizer
    prompt = render(
        tokenizer, work.conversations[index], work.tools, work.thinking, checkpoints=not loaded.runner.trimmable
    )
    if not prompt.tokens:
        raise InvalidRequest("the prompt has no tokens; write something")
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
        max_tokens=check_room(len(prompt.tokens), work.max_tokens, loaded.card.context, loaded.name),
        sampling=work.sampling,
        seed=seed,
        answer=answer,
        cache_key=work.adapter or "",
        on_event=lambda _: None,
        processors=_processors(loaded, work, prompt),
        boundaries=prompt.boundaries,
    )


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
