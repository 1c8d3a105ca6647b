"""A Strands model provider on the shared engine: the weights that other clients have loaded, one batch for all of them."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from strands.models.model import BaseModelConfig, CacheConfig, Model
from strands.types.content import Messages, SystemContentBlock
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException
from strands.types.streaming import StreamEvent
from strands.types.tools import ToolChoice, ToolSpec
from typing_extensions import override

from adapters.engine import EngineClient, Job
from adapters.engine.in_process import in_process_engine
from adapters.errors import ContextOverflow, EngineBusy, InvalidRequest, ServerError, from_wire
from adapters.models.card import ModelCard, read_card
from adapters.models.names import resolve
from adapters.protocol.content import media_of
from adapters.protocol.generation import Generate, Generated, Sampling
from adapters.settings import read_settings
from adapters.strands.events import events
from adapters.strands.messages import forced_schema, of_output, tools, turns

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=BaseModel)

# What `params` may hold: the names of the tool `generate`.
PARAMS = frozenset(Sampling.model_fields) | {"stop", "thinking"}
# An agent that is cut in the middle of its turn fails: its answers may be long.
_MAX_TOKENS = 4096
# How often a cancel signal is looked at, in seconds.
_LOOK_SECONDS = 0.02
# Parameters of one call alone, among what the agent was called with.
CALL_PARAMS = "mlx_params"


class MLXModel(Model):
    """Thinks with a local model. `model_id` is a name, a hub id or a folder, as everywhere; `adapter` likewise.

    `params` takes every option of `Sampling`, `stop` and `thinking`. A call may have others:
    `agent("…", mlx_params={"temperature": 0.7})`. With `engine="shared"` it uses the user's engine, which is started when it
    is needed. With "in-process" it uses one of this process.

    Raises InvalidRequest for an unknown parameter.
    """

    # Calls that are asked for are enforced by schema while the model writes.
    _supports_structured_output = True

    class MLXConfig(BaseModelConfig, total=False):
        """What can be changed with `update_config`, from the next call on."""

        model_id: str
        adapter: str | None
        params: dict[str, Any] | None
        cache_config: CacheConfig | None

    def __init__(
        self,
        model_id: str,
        *,
        adapter: str | None = None,
        params: dict[str, Any] | None = None,
        engine: Literal["shared", "in-process"] = "shared",
        context_window_limit: int | None = None,
    ) -> None:
        if engine not in ("shared", "in-process"):
            raise InvalidRequest(f"engine {engine!r} is neither 'shared' nor 'in-process'; choose one of them")
        _checked(params)
        self._engine = engine
        self._folders: dict[str, Path] = {}
        self.config: dict[str, Any] = {"model_id": model_id, "adapter": adapter, "params": params}
        if context_window_limit is not None:
            self.config["context_window_limit"] = context_window_limit

    @override
    def update_config(self, **model_config: Any) -> None:
        """Change the configuration.

        Raises InvalidRequest for a name that it does not have, and changes nothing then.
        """
        known = {"model_id", "adapter", "params", "cache_config", "context_window_limit"}
        if unknown := sorted(set(model_config) - known):
            raise InvalidRequest(f"{unknown[0]!r} is no part of the configuration; it has {', '.join(sorted(known))}")
        if "params" in model_config:
            _checked(model_config["params"])
        _check_cache(model_config.get("cache_config"))
        self.config = self.config | model_config

    @override
    def get_config(self) -> Any:
        return self.config

    @property
    @override
    def context_window_limit(self) -> int | None:
        """The limit that was given, or what the model's own configuration says, once it is on this machine."""
        given = self.config.get("context_window_limit")
        card = None if given is not None else self._card()
        return given if given is not None else (card.context or None if card else None)

    @override
    async def stream(
        self,
        messages: Messages,
        tool_specs: list[ToolSpec] | None = None,
        system_prompt: str | None = None,
        *,
        tool_choice: ToolChoice | None = None,
        system_prompt_content: list[SystemContentBlock] | None = None,
        invocation_state: dict[str, Any] | None = None,
        cancel_signal: threading.Event | None = None,
        agent_metadata: Any = None,
        structured_output_model: type[BaseModel] | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Answer, event by event. Raises ContextWindowOverflowException, ModelThrottledException, and ServerError."""
        del agent_metadata, kwargs
        tool_specs = of_output(tool_specs, structured_output_model)
        forced = forced_schema(tool_choice, tool_specs)
        sees = await asyncio.to_thread(self._sees)
        work = self._work(
            turns(messages, system_prompt, system_prompt_content, sees=sees),
            tool_specs,
            params=(invocation_state or {}).get(CALL_PARAMS),
            schema=forced[0] if forced else None,
        )
        with _translated_errors():
            async with self._answering(work, cancel_signal) as jobs:
                async for event in events(jobs, forced[1] if forced else None):
                    yield event

    @override
    async def structured_output(
        self, output_model: type[T], prompt: Messages, system_prompt: str | None = None, **kwargs: Any
    ) -> AsyncGenerator[dict[str, T | Any], None]:
        """An object of that model, enforced while it is written; the last event holds it. Raises ValueError."""
        schema = output_model.model_json_schema()
        sees = await asyncio.to_thread(self._sees)
        work = self._work(turns(prompt, system_prompt, sees=sees), None, schema=schema)
        with _translated_errors():
            async with self._answering(work, kwargs.get("cancel_signal")) as jobs:
                async for job in jobs:
                    if job.view is not None and job.view.error is not None:
                        raise from_wire(job.view.error)
                    if job.view is not None and isinstance(job.view.outcome, Generated):
                        value = job.view.outcome.completions[0].json_value
                        try:
                            yield {"output": output_model.model_validate(value)}
                        except ValidationError as error:
                            raise ValueError(f"the answer is no {output_model.__name__}: {error}") from error

    @override
    async def count_tokens(
        self,
        messages: Messages,
        tool_specs: list[ToolSpec] | None = None,
        system_prompt: str | None = None,
        system_prompt_content: list[SystemContentBlock] | None = None,
    ) -> int:
        """The tokens that the model would read, by its own tokenizer; estimated where its template refuses a fragment."""
        try:
            sees = await asyncio.to_thread(self._sees)
            given = turns(messages, system_prompt, system_prompt_content, sees=sees)
            async with self._client() as client:
                return await client.count(self._work(given, tool_specs))
        except (ServerError, ValidationError) as error:
            logger.debug("error=<%s> | tokens are estimated", error)
            return await super().count_tokens(messages, tool_specs, system_prompt, system_prompt_content)

    # --- the engine

    def _work(
        self,
        conversation: list[dict[str, Any]],
        tool_specs: list[ToolSpec] | None,
        *,
        params: dict[str, Any] | None = None,
        schema: dict[str, Any] | None = None,
    ) -> Generate:
        chosen: dict[str, Any] = {"max_tokens": _MAX_TOKENS} | _checked(self.config.get("params")) | _checked(params)
        if schema is not None:
            chosen["thinking"] = False
        return Generate(
            kind="describe" if media_of(conversation) else "generate",
            model=self.config["model_id"],
            adapter=self.config.get("adapter"),
            conversations=[conversation],
            tools=tools(tool_specs),
            json_schema=schema,
            **chosen,
        )

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[EngineClient]:
        """A connection for this event loop: an agent may be called from a new one each time."""
        path = await asyncio.to_thread(in_process_engine) if self._engine == "in-process" else None
        client = EngineClient(path)
        try:
            yield client
        finally:
            await client.close()

    @contextlib.asynccontextmanager
    async def _answering(self, work: Generate, cancel: threading.Event | None) -> AsyncIterator[AsyncIterator[Job]]:
        """A job's states until it ends or is cancelled. Leaving the block takes its row out of the batch."""
        async with self._client() as client, contextlib.aclosing(client.submit(work)) as jobs:
            yield _until_cancelled(jobs, cancel)

    def _card(self) -> ModelCard | None:
        """Return what the model's folder says, once it is on this machine; the folder is looked up once for each name."""
        name = self.config["model_id"]
        try:
            if name not in self._folders:
                settings = read_settings()
                found = resolve(name, settings.model_copy(update={"offline": True}))
                if found.folder is None:
                    return None
                self._folders[name] = found.folder
            return read_card(self._folders[name])
        except ServerError as error:
            # Not here yet, or wrong: the call itself says what is wrong with it.
            logger.debug("model=<%s>, error=<%s> | nothing is known of the model yet", name, error)
            return None

    def _sees(self) -> bool:
        card = self._card()
        return card is not None and "vision" in card.abilities


async def _until_cancelled(jobs: AsyncGenerator[Job, None], cancel: threading.Event | None) -> AsyncIterator[Job]:
    """Yield the states of a job, until the signal is set."""
    coming: asyncio.Future[Job] | None = None
    try:
        while not (cancel and cancel.is_set()):
            coming = coming or asyncio.ensure_future(anext(jobs))
            done, _ = await asyncio.wait({coming}, timeout=_LOOK_SECONDS if cancel else None)
            if not done:
                continue
            try:
                job = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield job
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


@contextlib.contextmanager
def _translated_errors() -> Any:
    """Raise the engine's failures as those that Strands knows what to do about."""
    try:
        yield
    except ContextOverflow as error:
        raise ContextWindowOverflowException(str(error)) from error
    except EngineBusy as error:
        raise ModelThrottledException(str(error)) from error


def _check_cache(wanted: CacheConfig | None) -> None:
    """Prompts are always cached, by their content: of what Strands can ask for, that is `strategy="auto"`."""
    changed = [one.name for one in fields(wanted) if getattr(wanted, one.name) != one.default] if wanted else []
    if changed:
        raise InvalidRequest(
            f"cache_config.{changed[0]} has no effect here: prompts are always cached, by their content; leave it out"
        )


def _checked(params: dict[str, Any] | None) -> dict[str, Any]:
    """Return the parameters, if all of them are known and of their kind. Raises InvalidRequest."""
    given = dict(params or {})
    if unknown := sorted(set(given) - PARAMS):
        raise InvalidRequest(f"params has {unknown[0]!r}, which is none of {', '.join(sorted(PARAMS))}")
    try:
        Generate(model="m", conversations=[[{"role": "user", "content": ""}]], **given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise InvalidRequest(f"params: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
    return given
