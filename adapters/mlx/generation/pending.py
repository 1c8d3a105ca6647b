"""One conversation of a job, from its row in a model's batch to its completion. Lives on the engine's event loop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from adapters.errors import AnswerIncomplete, to_wire
from adapters.mlx.generation.answer_job import AnswerJob
from adapters.mlx.generation.request import Ended, Reading, Row, RowEvent, Written
from adapters.mlx.text.answer import WrittenCall
from adapters.mlx.text.schema import check_answer
from adapters.protocol.generation import Completion, FinishReason, MadeCall, Partial, Timing, Usage
from adapters.protocol.jobs import Progress

ReadCall = Callable[[WrittenCall], list[MadeCall]]


class PendingAnswer:
    """An answer that is being written. `leave` takes its row out of the batch."""

    def __init__(
        self,
        job: AnswerJob,
        row: Row,
        index: int,
        leave: Callable[[], object],
        read_call: ReadCall,
    ) -> None:
        self._job, self._row, self._index, self._leave = job, row, index, leave
        self._work, self._read_call = job.work, read_call
        self._calls: list[MadeCall] = []
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
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

    def _event(self, event: RowEvent) -> None:
        if isinstance(event, Reading):
            self._job.on_progress(Progress(phase="reading prompt", done=event.done, total=event.total, unit="tokens"))
        elif isinstance(event, Written):
            made = [one for call in event.calls for one in self._read_call(call)]
            self._calls += made
            added = Partial(text=event.text, reasoning=event.reasoning, tool_calls=made)
            self._job.on_written(self._index, added)
            self._job.on_progress(
                Progress(phase="writing", done=self._row.completion_tokens, total=self._row.max_tokens, unit="tokens")
            )
        elif isinstance(event, Ended) and not self._ended.done():
            self._ended.set_result(event)

    def _completion(self, reason: FinishReason) -> Completion:
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
                queued_s=round(max(0.0, (row.admitted or now) - row.asked - self._job.load_s), 4),
                load_s=round(self._job.load_s, 4),
                first_token_s=round(row.first_token - row.asked, 4) if row.first_token else None,
                total_s=round(now - row.asked, 4),
                tokens_per_second=round((row.completion_tokens - 1) / writing, 2) if writing > 0 else None,
            ),
            error=error,
        )

    def _checked(self, text: str, reason: FinishReason) -> tuple[Any, dict[str, str] | None]:
        """The value of a JSON answer, or why there is none: a schema is kept or the call fails."""
        assert self._work.json_schema is not None
        try:
            return check_answer(text, self._work.json_schema), None
        except ValueError as error:
            if reason == "length":
                message = f"the answer was cut at {self._row.completion_tokens} tokens before its JSON was complete; raise max_tokens (now {self._work.max_tokens}) or ask for less"
            else:
                message = f"the answer does not follow json_schema ({str(error)[:200]}); simplify the schema"
            return None, to_wire(AnswerIncomplete(f"{message}. So far: {text[:500]}"))
