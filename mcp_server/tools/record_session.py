"""The tool `record-session`: conversations kept to learn from."""

import asyncio
from collections import Counter
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.errors import InvalidRequest
from adapters.protocol.content import TextPart, parts_of
from adapters.protocol.generation import Generate, Generated
from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage, ToolSpecification, check_session
from adapters.settings import Settings
from mcp_server.connection import Connection
from mcp_server.tools.answer import tool_result
from mcp_server.tools.definition import Arguments, ToolDefinition, hints

MOST_EXCHANGES = 256
# From this many messages on there is something to learn.
ENOUGH = 20


class Exchange(BaseModel):
    """An earlier call of `generate` or `describe-image`."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(description="The job's id, from the tool's answer")
    answer: str | None = Field(
        default=None, description="The answer that should have been given; left out, the one that was given is learned"
    )
    index: int = Field(default=0, ge=0, description="Which of the call's `prompts`, counted from 0")


class RecordSessionArguments(Arguments):
    """What is recorded, and where."""

    session: str = Field(
        description="The session to add to, such as `support-answers`; begun if there is none of that name."
    )
    messages: list[RecordedMessage] | None = Field(
        default=None,
        min_length=1,
        description="One conversation: roles system, user, assistant and tool, with `tool_calls` and tool results. `keep: false` on an assistant's message says not to learn from it.",
    )
    exchanges: list[Exchange] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_EXCHANGES,
        description="In place of `messages`: earlier generate and describe-image jobs by id, each with the right `answer` where theirs was not.",
    )
    system: str | None = Field(default=None, description="The system prompt of `messages`.")
    tools: list[ToolSpecification] | None = Field(
        default=None, description="The tools that were offered in `messages`."
    )
    source: str | None = Field(default=None, max_length=256, description="Where it comes from, such as `claude-code`.")
    tags: list[str] | None = Field(default=None, max_length=32, description="Words to find it by.")


class Recorded(BaseModel):
    """What was recorded."""

    session: str = Field(description="The session's id")
    recorded: int = Field(description="Conversations that were added")
    learned: int = Field(description="Messages in them that are to be learned from")
    redacted: dict[str, int] = Field(description="What was taken out of them, by kind")
    conversations: int = Field(description="Conversations in the session now")
    messages_to_learn: int = Field(description="Messages in the session that are to be learned from")
    enough: bool = Field(description=f"True from {ENOUGH} messages to learn from on")
    note: str | None = Field(default=None, description="What to do next")


async def record_session(arguments: RecordSessionArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    connection: Connection = ctx.request_context.lifespan_context
    check_session(arguments.session)
    if (arguments.messages is None) == (arguments.exchanges is None):
        raise InvalidRequest(
            f"exactly one of messages and exchanges is needed; {'both were' if arguments.messages else 'none was'} given"
        )
    common: dict[str, Any] = {"source": arguments.source, "tags": arguments.tags or []}
    if arguments.messages is not None:
        made = [_conversation(arguments.messages, system=arguments.system, tools=arguments.tools or [], **common)]
    else:
        if arguments.system or arguments.tools:
            raise InvalidRequest("system and tools go with messages; an exchange has its own")
        made = [await _exchanged(connection, exchange, common) for exchange in arguments.exchanges or []]
    recorded = await asyncio.to_thread(_append, arguments.session, made, connection.settings)
    return tool_result(recorded, _as_text(recorded))


def _conversation(messages: list[RecordedMessage], **fields: Any) -> Conversation:
    try:
        return Conversation(messages=messages, **fields)
    except ValidationError as error:
        raise InvalidRequest(f"{_problem(error)}. Correct the messages and record them again") from error


def _problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"].removeprefix("Value error, ")


async def _exchanged(connection: Connection, exchange: Exchange, common: dict[str, Any]) -> Conversation:
    """Return the conversation of an earlier job, with the answer that it gave or should have given."""
    work = await connection.engine.work(exchange.job)
    if exchange.index >= len(work.conversations):
        raise InvalidRequest(
            f"job {exchange.job} had {len(work.conversations)} prompts; index {exchange.index} is none of them"
        )
    reasoning, answer = None, exchange.answer
    if answer is None:
        answer, reasoning = await _answered(connection, exchange)
    turns = [_recorded(turn) for turn in work.conversations[exchange.index]]
    # What was said before is what the model was shown, not what it is to learn.
    earlier = [turn.model_copy(update={"keep": False}) if turn.role == "assistant" else turn for turn in turns]
    given = RecordedMessage(role="assistant", content=answer, reasoning=reasoning)
    return _conversation([*earlier, given], tools=_tools(work), **common)


async def _answered(connection: Connection, exchange: Exchange) -> tuple[str, str | None]:
    view = await connection.engine.job(exchange.job)
    if not isinstance(view.outcome, Generated):
        raise InvalidRequest(
            f"job {exchange.job} is {view.state} and gave no answer; pass the `answer` that should have been given"
        )
    completion = view.outcome.completions[exchange.index]
    if completion.error or not completion.text.strip():
        raise InvalidRequest(f"job {exchange.job} gave no answer; pass the `answer` that should have been given")
    return completion.text, completion.reasoning or None


def _recorded(turn: dict[str, Any]) -> RecordedMessage:
    parts = parts_of(turn.get("content"))
    return RecordedMessage(
        role=turn["role"],
        content="\n".join(part.text for part in parts if isinstance(part, TextPart)),
        images=[part.source for part in parts if not isinstance(part, TextPart)],
    )


def _tools(work: Generate) -> list[ToolSpecification]:
    functions = [tool.get("function", tool) for tool in work.tools]
    return [ToolSpecification(**{k: f[k] for k in ("name", "description", "parameters") if k in f}) for f in functions]


def _append(session: str, made: list[Conversation], settings: Settings) -> Recorded:
    """Redact, write, and count."""
    if settings.keep_recordings_days:
        store.prune(settings.keep_recordings_days)
    clean = [store.redacted(one) if settings.redact else one for one in made]
    store.append(session, clean)
    whole = store.read(session)
    counts: Counter[str] = Counter()
    for one in clean:
        counts.update(one.redacted)
    enough = whole.learned >= ENOUGH
    return Recorded(
        session=session,
        recorded=len(clean),
        learned=sum(one.learned for one in clean),
        redacted=dict(counts),
        conversations=len(whole.conversations),
        messages_to_learn=whole.learned,
        enough=enough,
        note=None if enough else f"{ENOUGH - whole.learned} more messages to learn from are a beginning to train on",
    )


def _as_text(recorded: Recorded) -> str:
    taken = ", ".join(f"{count} x {kind}" for kind, count in recorded.redacted.items()) or "nothing"
    return (
        f"Recorded {recorded.recorded} conversations in {recorded.session}: {recorded.learned} messages to learn from; "
        f"taken out: {taken}. The session has {recorded.conversations} conversations and "
        f"{recorded.messages_to_learn} messages to learn from." + (f" {recorded.note}." if recorded.note else "")
    )


RECORD_SESSION = ToolDefinition(
    name="record-session",
    title="Record what to learn from",
    description=(
        "Keep a conversation on the user's machine, for a local model to be trained on later. Use it when the user says that "
        "something should be remembered, learned or done this way in future; and to correct a local model: pass the `job` of "
        "its answer in `exchanges`, with the `answer` that would have been right. Secrets, e-mail addresses, phone and card "
        "numbers are taken out before anything is written; the answer says how many. Only what assistants said is learned, "
        "apart from messages with `keep: false`. Nothing leaves the machine. Not for notes: what is recorded is not "
        "searched or shown to models until it is trained on."
    ),
    arguments=RecordSessionArguments,
    function=record_session,
    answer=Recorded,
    annotations=hints(read_only=False, destructive=False, idempotent=False, open_world=False),
    changes=True,
)
