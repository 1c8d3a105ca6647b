"""Recording what an agent's model was given and gave, for it to learn from: the same recordings as `record-session`.

Each answer of the model is learned once, after exactly what the model was given for it. Answers of one turn that follow
from each other are one conversation; where a conversation manager changes what came before, another one begins.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from strands.hooks import AfterInvocationEvent, BeforeInvocationEvent
from strands.middleware import InvokeModelStage, ModelStopReason
from strands.plugins import Plugin, hook
from strands.types.content import Messages
from strands.types.tools import ToolSpec

from adapters.errors import ServerError
from adapters.recordings import store
from adapters.recordings.conversation import (
    Conversation,
    RecordedMessage,
    ToolCall,
    ToolSpecification,
    check_session,
)
from adapters.settings import read_settings
from adapters.strands.messages import check_tool_name, turns

if TYPE_CHECKING:
    from strands import Agent

logger = logging.getLogger(__name__)

# Answers that were cut, cancelled or blocked are nothing to learn from.
_WHOLE = ("end_turn", "tool_use", "stop_sequence")


@dataclass
class _Thread:
    """Answers that follow from each other: all that the model was given, and which messages it gave."""

    system: Any
    specs: list[ToolSpec]
    messages: Messages
    given_by_model: set[int] = field(default_factory=set)


class TrainingRecorder(Plugin):
    """Records an agent's turns into a session: `Agent(plugins=[TrainingRecorder("support")])`.

    Several agents may share one, also one that calls another. Secrets and personal numbers are taken out before anything
    is written, unless the settings say otherwise. Raises InvalidRequest for what is no session's name.
    """

    @property
    def name(self) -> str:
        return "mlx-training-recorder"

    def __init__(self, session: str, *, source: str = "strands", tags: Sequence[str] = ()) -> None:
        super().__init__()
        self._session, self._source, self._tags = check_session(session), source, list(tags)
        self._redact = read_settings().redact
        self._turns = WeakKeyDictionary[Any, list[_Thread]]()  # of each agent, that which is under way

    def init_agent(self, agent: "Agent") -> None:
        """Watch every call of the agent's model, as it is after all that changes it.

        Raises InvalidRequest for a tool whose name no model could call: the first call would fail for it.
        """
        for tool in agent.tool_names:
            check_tool_name(tool)
        agent.add_middleware(InvokeModelStage, self._watch)

    async def _watch(self, context: Any, call: Any) -> AsyncGenerator[Any, None]:
        ended: Any = None
        async for event in call(context):
            if isinstance(event, ModelStopReason):
                ended = event
            yield event
        if ended is not None and ended.stop_reason in _WHOLE:
            self._take(context, ended.message)

    def _take(self, context: Any, answer: Any) -> None:
        specs = list(context.tool_specs or [])
        given = _plain(context.messages)
        threads = self._turns.setdefault(context.agent, [])
        last = threads[-1] if threads else None
        same = last is not None and (last.system, last.specs) == (context.system_prompt, specs)
        if last is not None and same and given[: len(last.messages)] == last.messages:
            last.messages = given
        else:
            last = _Thread(context.system_prompt, specs, given)
            threads.append(last)
        last.given_by_model.add(len(last.messages))
        last.messages = [*last.messages, {"role": answer["role"], "content": answer["content"]}]

    @hook  # pyright: ignore[reportArgumentType]
    def _begin(self, event: BeforeInvocationEvent) -> None:
        self._turns[event.agent] = []

    @hook  # pyright: ignore[reportArgumentType]
    async def _end(self, event: AfterInvocationEvent) -> None:
        """Write what the turn gave; a turn that failed on its way keeps the answers that were whole.

        The answer is there already: a recording that cannot be written is an error in the log, and not the agent's.
        """
        if not (threads := self._turns.pop(event.agent, [])):
            return
        try:
            await asyncio.to_thread(self._write, [self._conversation(thread) for thread in threads])
        except (ServerError, OSError, ValueError) as error:
            logger.error("session=<%s>, error=<%s> | a turn was not recorded", self._session, error)

    def _write(self, made: list[Conversation]) -> None:
        store.append(self._session, [store.redacted(one) for one in made] if self._redact else made)
        logger.debug("session=<%s>, conversations=<%s> | recorded", self._session, len(made))

    def _conversation(self, thread: _Thread) -> Conversation:
        system = thread.system
        if isinstance(system, list):
            system = "\n".join(block["text"] for block in system if "text" in block)
        messages = list[RecordedMessage]()
        for index, message in enumerate(thread.messages):
            keep = index in thread.given_by_model
            messages += [_recorded(turn, keep) for turn in turns([message], sees=True)]
        while messages and messages[0].role in ("assistant", "tool") and not system:
            messages.pop(0)  # what a trimmed conversation begins with, and nothing asked for
        tools = [
            ToolSpecification(name=s["name"], description=s["description"], parameters=s["inputSchema"]["json"])
            for s in thread.specs
        ]
        return Conversation(source=self._source, tags=self._tags, system=system or None, tools=tools, messages=messages)


def _plain(messages: Messages) -> Messages:
    """Messages as they are handed to a model: role and content."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _recorded(turn: dict[str, Any], keep: bool) -> RecordedMessage:
    content = turn["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    calls = [
        ToolCall(name=call["function"]["name"], arguments=call["function"]["arguments"], id=call["id"])
        for call in turn.get("tool_calls", [])
    ]
    return RecordedMessage(
        role=turn["role"],
        content="\n".join(part["text"] for part in parts if part["type"] == "text"),
        reasoning=turn.get("reasoning_content"),
        tool_calls=calls,
        tool_call_id=turn.get("tool_call_id"),
        images=[part["source"] for part in parts if part["type"] == "image"],
        keep=keep if turn["role"] == "assistant" else None,
    )
