"""From an answer as it is written to the events that Strands reads, in its order: blocks one after another, then the end."""

import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

from strands.types.event_loop import StopReason
from strands.types.streaming import StreamEvent

from adapters.engine import Job
from adapters.errors import AnswerIncomplete, ServerError, from_wire
from adapters.protocol.generation import Completion, Generated, MadeCall, Partial

logger = logging.getLogger(__name__)


async def events(jobs: AsyncIterator[Job], forced: list[str] | None) -> AsyncIterator[StreamEvent]:
    """Yield the events of one answer, each call as it is closed.

    With `forced` the answer is the call of one of these tools.

    An answer that ends without the job's end was cancelled, and has no stop. Raises what the job failed with.
    """
    blocks = _Blocks()
    yield {"messageStart": {"role": "assistant"}}
    async for job in jobs:
        if job.partial and not forced:
            for event in blocks.grown(job.partial[0]):
                yield event
        if job.view is None:
            continue
        if job.view.state == "cancelled":
            return
        if job.view.error is not None:
            error = from_wire(job.view.error)
            if not isinstance(error, AnswerIncomplete) or not forced or _completion(job).finish_reason != "length":
                raise error
            yield {"messageStop": {"stopReason": "max_tokens"}}
            yield _metadata(_completion(job))
            return
        completion = _completion(job)
        for event in _ended(completion, blocks, forced):
            yield event


def _completion(job: Job) -> Completion:
    assert job.view is not None
    if not isinstance(job.view.outcome, Generated):
        raise ServerError(f"the job {job.id} gave no answer; ask again")
    return job.view.outcome.completions[0]


def _ended(completion: Completion, blocks: "_Blocks", forced: list[str] | None) -> Iterator[StreamEvent]:
    calls = [_forced(completion, forced)] if forced else completion.tool_calls
    if forced:
        yield from blocks.grown(Partial(tool_calls=calls))
    else:
        yield from blocks.grown(Partial(text=completion.text, reasoning=completion.reasoning, tool_calls=calls))
    yield from blocks.close()
    stop: Any = {"stopReason": _stop_reason(completion, calls)}
    if completion.notes:
        for note in completion.notes:
            logger.warning("note=<%s> | an answer comes with a note", note)
        stop["additionalModelResponseFields"] = {"notes": completion.notes}
    yield {"messageStop": stop}
    yield _metadata(completion)


def _stop_reason(completion: Completion, calls: list[MadeCall]) -> StopReason:
    if completion.finish_reason == "length":
        return "max_tokens"
    if any(call.name is not None for call in calls):
        return "tool_use"  # also where a stop string follows: the calls are to be made
    return "end_turn" if completion.stopped_by is None else "stop_sequence"


def _forced(completion: Completion, names: list[str]) -> MadeCall:
    value = completion.json_value
    if len(names) == 1:
        return MadeCall(written=completion.text, name=names[0], arguments=value)
    return MadeCall(written=completion.text, name=value["name"], arguments=value["arguments"])


def _call(call: MadeCall) -> Iterator[StreamEvent]:
    assert call.name is not None
    started: Any = {"toolUse": {"name": call.name.strip(), "toolUseId": f"tooluse_{secrets.token_hex(12)}"}}
    yield {"contentBlockStart": {"start": started}}
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    yield {"contentBlockDelta": {"delta": {"toolUse": {"input": arguments}}}}
    yield {"contentBlockStop": {}}


def _metadata(completion: Completion) -> StreamEvent:
    usage, timing = completion.usage, completion.timing
    counted: Any = {
        "inputTokens": usage.prompt_tokens,
        "outputTokens": usage.completion_tokens,
        "totalTokens": usage.prompt_tokens + usage.completion_tokens,
    }
    if usage.cached_tokens:
        counted["cacheReadInputTokens"] = usage.cached_tokens  # part of inputTokens
    metrics: Any = {"latencyMs": round(timing.total_s * 1000)}
    if timing.first_token_s is not None:
        metrics["timeToFirstByteMs"] = round(timing.first_token_s * 1000)
    return {"metadata": {"usage": counted, "metrics": metrics}}


class _Blocks:
    """The block that is open, and how much of the answer has been given: reasoning first, then text and calls."""

    def __init__(self) -> None:
        self._open: str | None = None
        self._given = {"reasoning": 0, "text": 0, "calls": 0}

    def grown(self, answer: Partial) -> Iterator[StreamEvent]:
        """Yield what an answer has more than before."""
        if more := answer.reasoning[self._given["reasoning"] :]:
            self._given["reasoning"] = len(answer.reasoning)
            yield from self._add("reasoning", {"reasoningContent": {"text": more}})
        for call in answer.tool_calls[self._given["calls"] :]:
            self._given["calls"] += 1
            yield from self._text(answer.text[: call.after])
            if call.name is None:  # shown as it was written: a call that does not exist must not be claimed
                yield from self._add("text", {"text": call.written})
            else:
                yield from self.close()
                yield from _call(call)
        yield from self._text(answer.text)

    def _text(self, text: str) -> Iterator[StreamEvent]:
        more = text[self._given["text"] :]
        if more.strip() or (more and self._open == "text"):  # a line's end before a call is no answer
            self._given["text"] = len(text)
            yield from self._add("text", {"text": more})

    def close(self) -> Iterator[StreamEvent]:
        if self._open is not None:
            self._open = None
            yield {"contentBlockStop": {}}

    def _add(self, kind: str, delta: Any) -> Iterator[StreamEvent]:
        if self._open != kind:
            yield from self.close()
            self._open = kind
            yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": delta}}
