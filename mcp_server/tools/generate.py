"""The tool `generate`: text in, text out, on a local model."""

import asyncio
import time
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field

from adapters.errors import FileRefused, InvalidRequest, from_wire
from adapters.protocol.generation import MAX_PROMPTS, Generate, Sampling
from adapters.protocol.surrogates import whole_text
from mcp_server.connection import Connection
from mcp_server.grants import Grants, read_text
from mcp_server.tools.answers import JobAnswer, answer_of, as_text, tool_result
from mcp_server.tools.definition import ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.models import named_adapter
from mcp_server.tools.sampling import (
    AdapterArgument,
    JsonSchema,
    MaxTokens,
    MinP,
    RepetitionPenalty,
    Seed,
    Stop,
    Temperature,
    Thinking,
    TopK,
    TopP,
)

MAX_FILES = 32
MAX_TEXT = 16 << 20


class Message(BaseModel):
    """A turn of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks")
    content: str = Field(description="What is said")


async def generate(
    ctx: Context[Connection, Any],
    prompt: Annotated[
        str | None,
        Field(description="The question or instruction. Give exactly one of `prompt`, `messages` and `prompts`."),
    ] = None,
    messages: Annotated[
        list[Message] | None,
        Field(description="A conversation that ends with a user's turn, in place of `prompt`.", max_length=1000),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        Field(
            description="Many independent prompts, answered at once in one batch; `results` has their answers in order.",
            max_length=MAX_PROMPTS,
        ),
    ] = None,
    system: Annotated[str | None, Field(description="A system prompt: the model's role or rules.")] = None,
    files: Annotated[
        list[str] | None,
        Field(
            description='Absolute paths of text files to put before the prompt, such as ["/home/me/notes.txt"]. Only within granted folders.',
            max_length=MAX_FILES,
        ),
    ] = None,
    model: Annotated[
        str,
        Field(
            description="`default`, `starter`, a hub id such as mlx-community/Qwen3.5-4B-MLX-4bit, or an absolute folder."
        ),
    ] = "default",
    adapter: AdapterArgument = None,
    max_tokens: MaxTokens = 1024,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = None,
    stop: Stop = None,
    json_schema: JsonSchema = None,
    thinking: Thinking = False,
) -> Annotated[CallToolResult, JobAnswer]:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    conversations = _conversations(prompt, messages, prompts, system)
    if files:
        await asyncio.to_thread(_put_before, conversations, files, connection.grants)
    _check_size(conversations)
    wanted, named = await named_adapter(connection, adapter, model)
    work = Generate(
        model=named,
        adapter=wanted,
        conversations=conversations,
        max_tokens=max_tokens,
        stop=stop or [],
        json_schema=json_schema,
        thinking=thinking,
        sampling=Sampling(
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
        ),
        offline=connection.settings.offline,
    )
    view = await run(ctx, work, began)
    if view.state == "failed":
        raise from_wire(view.error or {})
    answer = answer_of(view, connection.settings, several=prompts is not None)
    return tool_result(answer, as_text(answer))


def _conversations(
    prompt: str | None, messages: list[Message] | None, prompts: list[str] | None, system: str | None
) -> list[list[dict[str, Any]]]:
    """The conversations to answer. Raises InvalidRequest unless exactly one way of asking was used, and rightly."""
    given = [
        name for name, value in (("prompt", prompt), ("messages", messages), ("prompts", prompts)) if value is not None
    ]
    if len(given) != 1:
        raise InvalidRequest(
            f"exactly one of prompt, messages and prompts is needed; {' and '.join(given) or 'none'} was given"
        )
    if messages is not None:
        turns = [message.model_dump() for message in messages]
        _check_turns(turns, system)
        return [([{"role": "system", "content": system}] if system else []) + turns]
    asked = [prompt] if prompt is not None else (prompts or [])
    if not asked:
        raise InvalidRequest("prompts is empty; give at least one")
    for i, text in enumerate(asked):
        if not text.strip():
            raise InvalidRequest(
                f"{'prompt' if prompt is not None else f'prompts[{i}]'} is empty; write a question or an instruction"
            )
    start = [{"role": "system", "content": system}] if system else []
    return [[*start, {"role": "user", "content": text}] for text in asked]


def _check_turns(turns: list[dict[str, Any]], system: str | None) -> None:
    if not turns:
        raise InvalidRequest("messages is empty; give at least a user's turn")
    systems = [i for i, turn in enumerate(turns) if turn["role"] == "system"]
    if systems and (system or systems != [0]):
        raise InvalidRequest("a system message goes first in messages, or in `system`, once")
    if turns[-1]["role"] != "user" or not turns[-1]["content"].strip():
        raise InvalidRequest(
            f"messages must end with a user's turn that says something; they end with {turns[-1]['role']!r}"
        )


def _put_before(conversations: list[list[dict[str, Any]]], files: list[str], grants: Grants) -> None:
    """Put the files' texts before the last turn of every conversation."""
    documents = []
    for name in files:
        path = grants.check(name)
        documents.append(f'<document name="{whole_text(path.name)}">\n{read_text(path).strip()}\n</document>\n\n')
    for conversation in conversations:
        last = conversation[-1]
        conversation[-1] = last | {"content": "".join(documents) + last["content"]}


def _check_size(conversations: list[list[dict[str, Any]]]) -> None:
    size = sum(len(turn["content"]) for conversation in conversations for turn in conversation)
    if size > MAX_TEXT:
        raise FileRefused(
            f"the prompts and files have {size} characters together and may have {MAX_TEXT}; split the work into several calls"
        )


GENERATE = ToolDefinition(
    name="generate",
    title="Generate text locally",
    description=(
        "Answer a prompt with a language model that runs on the user's own machine; nothing leaves it. Use it for private "
        "material (contracts, notes, logs given by path in `files`), for cheap bulk work (`prompts` answers many at once), "
        "and for answers that must be JSON (`json_schema` is enforced). Not for questions that need the strongest model, "
        "the web, or tools. Small models are literal: give one clear instruction, and the material it is about. "
        "Answers within the client's deadline: if `state` is not `done`, call check-job with `job`. The first call may "
        "take longer, as the model is loaded (or downloaded) first; a document that was asked about before is not read again."
    ),
    function=generate,
    annotations=hints(read_only=True, destructive=False, idempotent=False, open_world=True),
)
