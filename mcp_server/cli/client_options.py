"""The options of a client on the commands of a person: `setup` writes them into an entry, `serve` serves with them."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from adapters.command_line import checked_options
from adapters.options import OPTIONS, ClientOption

# Only for a server that a client starts by itself: a host and the entries of clients are there to share models.
_OF_THE_SHIM_ALONE = ("standalone",)
_VALUES = {"folders": "FOLDER", "folder": "FOLDER", "seconds": "SECONDS", "names": "a,b", "name": "NAME"}


def with_client_options(**more: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a typer command the client's options in place of its parameter `options`.

    The command gets those that were given, by name, as `checked_options` returns them. `more` are sentences that follow
    the help of an option.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shown = [option for option in OPTIONS.values() if option.name not in _OF_THE_SHIM_ALONE]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            options = {option.name: _given(option, given.pop(option.name)) for option in shown}
            command(**given, options=checked_options(options))

        parameters = list[inspect.Parameter]()
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "options":
                parameters += [_parameter(option, more.get(option.name)) for option in shown]
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        # typer reads both: the order from the signature, the types from the annotations.
        run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def described_options() -> str:
    """Return all options of the server that a client starts, as a list in one sentence."""
    return ", ".join(
        option.flag
        + (f" {_VALUES[option.kind]}" if option.kind in _VALUES else "")
        + (" (repeatable)" if option.kind == "folders" else "")
        for option in OPTIONS.values()
    )


def _parameter(option: ClientOption, more: str | None) -> inspect.Parameter:
    """Return the parameter of a command. Paths stay strings: an empty one would become the working directory."""
    words = " ".join(
        sentence
        for sentence in (f"{option.help}.", "Repeatable." if option.kind == "folders" else "", more)
        if sentence
    )
    told = typer.Option(option.flag, metavar=_VALUES.get(option.kind), help=words)
    default: Any = None
    match option.kind:
        case "folders":
            kind, default = list[str], []
        case "seconds":
            kind = float | None
        case "switch":
            kind, default = bool, False
        case _:
            kind = str | None
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, told]
    )


def _given(option: ClientOption, value: Any) -> Any:
    """Return the value as `checked_options` takes it: names stand between commas on a command line."""
    if option.kind == "names" and isinstance(value, str):
        # Nothing but commas names no tool, which is not the same as all of them.
        return [name.strip() for name in value.split(",") if name.strip()] or [value]
    return value
