"""The gate between what a model wrote and what an agent runs: a call passes only if its tool was offered and its arguments fit.

Nothing is added, left out or defaulted. What does not pass is text, as it was written, and the log says why.
"""

import logging
import re
from typing import Any

from adapters.mlx.text.calls.fitting import DoesNotFit, ToolSchema
from adapters.mlx.text.calls.found import FoundCall
from adapters.mlx.text.calls.json_objects import BESIDE_CALLS
from adapters.protocol.generation import MadeCall

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

logger = logging.getLogger(__name__)


class Gate:
    """The tools that were offered, as chat templates take them."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        self._tools: dict[str, ToolSchema] = {}
        for tool in tools:
            function = tool.get("function", tool)
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                self._tools[function["name"]] = ToolSchema(function.get("parameters"))

    @property
    def names(self) -> list[str]:
        return list(self._tools)

    def passed(self, call: FoundCall, after: int) -> MadeCall:
        """Return the call, or, with no name, what was written for it. `after` is its place in the answer's text."""
        name = call.name.strip()
        schema = self._tools.get(name)
        if schema is None:
            said = name if _NAME.fullmatch(name) else "no name of a tool"
            logger.warning("tool=<%s> | the model called a tool that was not offered", said)
            return MadeCall(written=call.written, after=after)
        try:
            arguments = self._arguments(call, schema)
        except DoesNotFit as error:
            logger.warning("tool=<%s>, reason=<%s> | the arguments of a call do not fit the tool", name, error)
            return MadeCall(written=call.written, after=after)
        return MadeCall(written=call.written, after=after, name=name, arguments=arguments)

    def _arguments(self, call: FoundCall, schema: ToolSchema) -> dict[str, Any]:
        if call.kind == "texts":
            return schema.fitted_texts(call.arguments)
        if call.kind == "values":
            return schema.fitted(call.arguments)
        if not call.arguments.keys() - BESIDE_CALLS and not schema.properties.keys() & call.arguments.keys():
            if schema.properties:
                raise DoesNotFit("no arguments were written")
            return schema.fitted({})
        beside = {key: value for key, value in call.arguments.items() if key in schema.properties}
        if beside.get("type") == "function":
            raise DoesNotFit("the argument 'type' may be that of the call")
        if strange := call.arguments.keys() - beside.keys() - BESIDE_CALLS:
            raise DoesNotFit(f"{len(strange)} of the arguments beside the name are not the tool's")
        return schema.fitted(beside)
