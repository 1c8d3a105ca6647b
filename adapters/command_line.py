"""Values of the client's options: checked against the table, and written as the words of the server's command line."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from adapters.errors import InvalidRequest
from adapters.options import OPTIONS, ClientOption


def checked_options(given: Mapping[str, object]) -> dict[str, Any]:
    """Return the options that were given, in the table's order, each value in the form that the settings take.

    None, False and an empty list of values mean that an option was left out. Folders become absolute. Raises
    InvalidRequest for a name that is not in the table, and for a value that is not of the option's kind.
    """
    if unknown := [name for name in given if name not in OPTIONS]:
        raise InvalidRequest(f"there is no option {unknown[0]!r}; options are {', '.join(OPTIONS)}")
    values = {name: _checked(option, given.get(name)) for name, option in OPTIONS.items()}
    return {name: value for name, value in values.items() if value is not None}


def command_line(given: Mapping[str, object]) -> list[str]:
    """Return the words that give these options to the server: `--allow /data --offline`.

    Raises like `checked_options`.
    """
    words = list[str]()
    for name, value in checked_options(given).items():
        flag = OPTIONS[name].flag
        match OPTIONS[name].kind:
            case "folders":
                words += [word for folder in value for word in (flag, folder)]
            case "names":
                words += [flag, ",".join(value)]
            case "seconds":
                words += [flag, f"{value:g}"]
            case "switch":
                words += [flag]
            case _:
                words += [flag, value]
    return words


def _checked(option: ClientOption, value: object) -> Any:
    if value is None or value is False:
        return None
    match option.kind:
        case "switch" if value is True:
            return True
        case "seconds" if isinstance(value, int | float) and not isinstance(value, bool):
            return _within_bounds(option, value)
        case "name":
            return _name(option, value)
        case "folder":
            return _folder(option, value)
        case "folders" | "names" if (several := _several(value)) is not None:
            check = _folder if option.kind == "folders" else _name
            return [check(option, one) for one in several] or None
    raise _wrong(option, value)


def _several(value: object) -> list[object] | None:
    """Return the values of a list. None for a string: it would be taken apart into letters, and `/` is a folder."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else None


def _name(option: ClientOption, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(option, value)
    return value


def _folder(option: ClientOption, value: object) -> str:
    """Return its absolute path. An empty one would be the working directory, which nobody has named."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path:
        raise _wrong(option, value)
    return os.path.abspath(os.path.expanduser(path))


def _within_bounds(option: ClientOption, value: float) -> float:
    if option.bounds and not option.bounds[0] <= value <= option.bounds[1]:
        least, most = option.bounds
        raise InvalidRequest(f"{option.name}={value:g} is not between {least:g} and {most:g} seconds; 45 suits most")
    return value


def _wrong(option: ClientOption, value: object) -> InvalidRequest:
    wanted = {
        "folders": f"a list of folders: {option.name}=['/data']",
        "folder": f"a folder: {option.name}='/data'",
        "seconds": f"a number of seconds: {option.name}=45",
        "names": f"a list of names: {option.name}=['generate']",
        "name": f"a name: {option.name}='auto'",
        "switch": f"True or False: {option.name}=True",
    }
    return InvalidRequest(f"{option.name}={value!r} cannot be; it takes {wanted[option.kind]}, or is left out")
