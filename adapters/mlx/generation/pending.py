"""One conversation of a job, from its request in a model's batch to its completion. Lives on the engine's event loop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from adapters.errors import AnswerIncomplete, to_wire
from adapters.mlx.generation.answer_job import AnswerJob
from adapters.mlx.generation.request import Ended, GenerationRequest, Reading, RequestEvent, Written
from adapters.mlx.text.answer import WrittenCall
from adapters.mlx.text.schema import check_answer
from adapters.protocol.generation import Completion, FinishReason, MadeCall, Partial, Timing, Usage
from adapters.protocol.jobs import Progress

ReadCall = Callable[[WrittenCall], list[MadeCall]]


class PendingAnswer:
    """An answer that is being written. It is there before its request, whose events it takes."""

    def __init__(self, job: AnswerJob, index: int, read_call: ReadCall) -> None:
        self._job, self._index, self._read_call = job, index, read_call
        self._calls: list[MadeCall] = []
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    async def completion(self, request: GenerationRequest, leave: Callable[[], object]) -> Completion:
        """Return the completion when the request has ended. Cancelling this calls `leave`, to take it out of the batch.

        Raises what the request failed for.
        """
        try:
            ended = await self._ended
        except asyncio.CancelledError:
            leave()
            raise
        if ended.error is not None:
            raise ended.error
        return self._completion(request, ended.reason)

    def on_event(self, request: GenerationRequest, event: RequestEvent) -> None:
        """Take what happened to the request. Called on the event loop."""
        if isinstance(event, Reading):
            self._job.on_progress(Progress(phase="reading prompt", done=event.done, total=event.total, unit="tokens"))
        elif isinstance(event, Written):
            made = [one for call in event.calls for one in self._read_call(call)]
            self._calls += made
            added = Partial(text=event.text, reasoning=event.reasoning, tool_calls=made)
            self._job.on_written(self._index, added)
            self._job.on_progress(
                Progress(phase="writing", done=request.completion_tokens, total=request.max_tokens, unit="tokens")
            )
        elif isinstance(event, Ended) and not self._ended.done():
            self._ended.set_result(event)

    def _completion(self, request: GenerationRequest, reason: FinishReason) -> Completion:
        answer = request.answer
        value, error = None, None
        if self._job.work.json_schema is not None:
            value, error = self._checked(request, reason)
        now = time.monotonic()
        writing = (request.last_token or now) - (request.first_token or now)
        return Completion(
            text=answer.text,
            reasoning=answer.reasoning,
            tool_calls=self._calls,
            json_value=value,
            finish_reason=reason,
            stopped_by=answer.stopped_by,
            usage=Usage(
                prompt_tokens=len(request.tokens),
                cached_tokens=request.cached_tokens,
                completion_tokens=request.completion_tokens,
            ),
            timing=Timing(
                queued_s=round(max(0.0, (request.admitted or now) - request.asked - self._job.load_s), 4),
                load_s=round(self._job.load_s, 4),
                first_token_s=round(request.first_token - request.asked, 4) if request.first_token else None,
                total_s=round(now - request.asked, 4),
                tokens_per_second=round((request.completion_tokens - 1) / writing, 2) if writing > 0 else None,
            ),
            error=error,
            notes=list(request.notes),
        )

    def _checked(self, request: GenerationRequest, reason: FinishReason) -> tuple[Any, dict[str, str] | None]:
        """Return the value of a JSON answer, or why there is none: a schema is kept or the call fails."""
        text, schema = request.answer.text, self._job.work.json_schema
        assert schema is not None
        try:
            return check_answer(text, schema), None
        except ValueError as error:
            message = _why_not(error, request, reason, self._job.work.max_tokens)
            return None, to_wire(AnswerIncomplete(f"{message}. So far: {text[:500]}"))


def _why_not(error: ValueError, request: "GenerationRequest", reason: str, max_tokens: int) -> str:
    """Return why an answer holds no valid JSON, and the way out."""
    answer = request.answer
    only_thought = bool(answer.reasoning) and not answer.text
    if reason == "length":
        place = "within its reasoning, before its JSON began" if only_thought else "before its JSON was complete"
        if request.max_tokens < max_tokens:
            way_out = "the model's context was full then; shorten the prompt"
        else:
            way_out = f"raise max_tokens (now {max_tokens}) or ask for less"
        return f"the answer was cut at {request.completion_tokens} tokens {place}; {way_out}"
    if answer.stopped_by is not None:
        return f"the stop string {answer.stopped_by!r} cut the JSON of the answer; leave it out, or take one that the JSON does not hold"
    if only_thought:
        return "the model ended within its reasoning and wrote no JSON; ask again without thinking"
    return f"the answer does not follow json_schema ({str(error)[:200]}), in a part that can only be checked afterwards; ask again with another seed, or leave that part out"
