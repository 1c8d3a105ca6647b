"""The tool `generate`: text in, text out, on a local model."""

import asyncio
import time
from typing import Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field

from adapters.errors import FileRefused, InvalidRequest, from_wire
from adapters.protocol.generation import MAX_PROMPTS, Generate, GenerationOptions
from adapters.protocol.surrogates import whole_text
from mcp_server.connection import Connection
from mcp_server.grants import Grants, read_text
from mcp_server.tools.adapter_argument import AdapterArgument
from mcp_server.tools.answer import JobAnswer, answer_of, job_result
from mcp_server.tools.definition import COMMON_PHASES, Arguments, JobTool, ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.names import named_adapter

MAX_FILES = 32
MAX_TEXT = 16 << 20


class Message(BaseModel):
    """A turn of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks")
    content: str = Field(description="What is said")


class _Asked(Arguments):
    """What is asked, and of which model."""

    prompt: str | None = Field(
        default=None,
        description="The question or instruction. Give exactly one of `prompt`, `messages` and `prompts`.",
    )
    messages: list[Message] | None = Field(
        default=None,
        max_length=1000,
        description="A conversation that ends with a user's turn, in place of `prompt`.",
    )
    prompts: list[str] | None = Field(
        default=None,
        max_length=MAX_PROMPTS,
        description="Many independent prompts, answered at once in one batch; `results` has their answers in order.",
    )
    system: str | None = Field(default=None, description="A system prompt: the model's role or rules.")
    files: list[str] | None = Field(
        default=None,
        max_length=MAX_FILES,
        description='Absolute paths of text files to put before the prompt, such as ["/home/me/notes.txt"]. Only within granted folders.',
    )
    model: str = Field(
        default="default",
        description="`default`, `starter`, a hub id such as mlx-community/Qwen3.5-4B-MLX-4bit, or an absolute folder.",
    )


# pydantic lists the fields of the last base first: clients show what is asked before how it is answered.
class GenerateArguments(GenerationOptions, AdapterArgument, _Asked):
    """What is asked, and how it is answered."""


async def generate(arguments: GenerateArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    conversations = _conversations(arguments)
    if arguments.files:
        await asyncio.to_thread(_put_before, conversations, arguments.files, connection.grants)
    _check_size(conversations)
    adapter, model = await named_adapter(connection, arguments.adapter, arguments.model, _JOBS.ability)
    work = Generate(
        model=model,
        adapter=adapter,
        conversations=conversations,
        offline=connection.settings.offline,
        **arguments.model_dump(include=set(GenerationOptions.model_fields)),
    )
    view = await run(ctx, work, began, _JOBS.phases)
    if view.state == "failed":
        raise from_wire(view.error or {})
    return job_result(answer_of(view, connection.settings, several=arguments.prompts is not None))


def _conversations(asked: _Asked) -> list[list[dict[str, Any]]]:
    """Return the conversations to answer.

    Raises InvalidRequest unless exactly one way of asking was used, and rightly.
    """
    ways = {"prompt": asked.prompt, "messages": asked.messages, "prompts": asked.prompts}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise InvalidRequest(
            f"exactly one of prompt, messages and prompts is needed; {' and '.join(given) or 'none'} was given"
        )
    start = [{"role": "system", "content": asked.system}] if asked.system else []
    if asked.messages is not None:
        turns = [message.model_dump() for message in asked.messages]
        _check_turns(turns, asked.system)
        return [start + turns]
    texts = {"prompt": asked.prompt} if asked.prompt is not None else {}
    texts |= {f"prompts[{i}]": text for i, text in enumerate(asked.prompts or [])}
    if not texts:
        raise InvalidRequest("prompts is empty; give at least one")
    for name, text in texts.items():
        if not text.strip():
            raise InvalidRequest(f"{name} is empty; write a question or an instruction")
    return [[*start, {"role": "user", "content": text}] for text in texts.values()]


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


_JOBS = JobTool(
    kinds=("generate",),
    ability="text",
    phases={**COMMON_PHASES, "reading prompt": (60, 70), "writing": (70, 99)},
    answer_of=answer_of,
    result_of=job_result,
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
    arguments=GenerateArguments,
    function=generate,
    answer=JobAnswer,
    annotations=hints(read_only=True, destructive=False, idempotent=False, open_world=True),
    jobs=_JOBS,
)
