"""One conversation of a job, from its row in a model's batch to its completion. Lives on the engine's event loop."""

import asyncio
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.errors import AnswerIncomplete, to_wire
from adapters.protocol.generation import Completion, Generate, MadeCall, Partial, Timing, Usage
from adapters.protocol.jobs import Progress

if TYPE_CHECKING:
    from adapters.mlx.generation.request import Row, RowEvent
    from adapters.mlx.text.answer import WrittenCall
    from adapters.mlx.text.images import Media

OnProgress = Callable[[Progress], None]
# (which conversation, what was added to its answer)
OnWritten = Callable[[int, Partial], None]
ReadCall = Callable[["WrittenCall"], list[MadeCall]]


@dataclass(frozen=True)
class Asking:
    """A job's work, when it was asked on the monotonic clock, how long its model took to load, who hears of it.

    `media` holds the pictures and videos that its messages name.
    """

    work: Generate
    asked: float
    load_s: float
    on_progress: OnProgress
    on_written: OnWritten
    media: "Media" = field(default_factory=dict)


class PendingAnswer:
    """An answer that is being written. `leave` takes its row out of the batch."""

    def __init__(
        self,
        asking: Asking,
        row: "Row",
        index: int,
        leave: Callable[[], object],
        read_call: ReadCall,
    ) -> None:
        self._asking, self._row, self._index, self._leave = asking, row, index, leave
        self._work, self._read_call = asking.work, read_call
        self._calls: list[MadeCall] = []
        self._ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        row.on_event = self._event

    async def completion(self) -> Completion:
        """The completion, when the row has ended. Cancelling this takes the row out of the batch."""
        try:
            ended = await self._ended
        except asyncio.CancelledError:
            self._leave()
            raise
        if ended.error is not None:
            raise ended.error
        return self._completion(ended.reason)

    def _event(self, event: "RowEvent") -> None:
        from adapters.mlx.generation.request import Ended, Reading, Written

        if isinstance(event, Reading):
            self._asking.on_progress(
                Progress(phase="reading prompt", done=event.done, total=event.total, unit="tokens")
            )
        elif isinstance(event, Written):
            made = [one for call in event.calls for one in self._read_call(call)]
            self._calls += made
            added = Partial(text=event.text, reasoning=event.reasoning, tool_calls=made)
            self._asking.on_written(self._index, added)
            self._asking.on_progress(
                Progress(phase="writing", done=self._row.completion_tokens, total=self._row.max_tokens, unit="tokens")
            )
        elif isinstance(event, Ended) and not self._ended.done():
            self._ended.set_result(event)

    def _completion(self, reason: Any) -> Completion:
        row, answer = self._row, self._row.answer
        cut = [call for call in answer.tool_calls if not call.closed]
        value, error = None, None
        if self._work.json_schema is not None:
            value, error = self._checked(answer.text, reason)
        now = time.monotonic()
        writing = (row.last_token or now) - (row.first_token or now)
        return Completion(
            text=answer.text,
            reasoning=answer.reasoning,
            tool_calls=[*self._calls, *(one for call in cut for one in self._read_call(call))],
            json_value=value,
            finish_reason=reason,
            stopped_by=answer.stopped_by,
            usage=Usage(
                prompt_tokens=len(row.tokens), cached_tokens=row.cached_tokens, completion_tokens=row.completion_tokens
            ),
            timing=Timing(
                queued_s=round(max(0.0, (row.admitted or now) - row.asked - self._asking.load_s), 4),
                load_s=round(self._asking.load_s, 4),
                first_token_s=round(row.first_token - row.asked, 4) if row.first_token else None,
                total_s=round(now - row.asked, 4),
                tokens_per_second=round((row.completion_tokens - 1) / writing, 2) if writing > 0 else None,
            ),
            error=error,
            notes=list(row.notes),
        )

    def _checked(self, text: str, reason: str) -> tuple[Any, dict[str, str] | None]:
        """The value of a JSON answer, or why there is none: a schema is kept or the call fails."""
        schema = importlib.import_module("adapters.mlx.text.schema")
        assert self._work.json_schema is not None
        try:
            return schema.check_answer(text, self._work.json_schema), None
        except ValueError as error:
            if reason == "length":
                message = f"the answer was cut at {self._row.completion_tokens} tokens before its JSON was complete; raise max_tokens (now {self._work.max_tokens}) or ask for less"
            else:
                message = f"the answer does not follow json_schema ({str(error)[:200]}); simplify the schema"
            return None, to_wire(AnswerIncomplete(f"{message}. So far: {text[:500]}"))
