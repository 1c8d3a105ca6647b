"""Every failure that a person is meant to read: what was wrong, and the way out.

These cross the engine's socket by class name and message, and reach an MCP client as a tool error with the message.
"""


class ServerError(Exception):
    """A failure that was foreseen. Its message names the offending value and ends with the way out."""


class InvalidRequest(ServerError):
    """What was asked for is not possible as asked; asking again in the same way fails again."""


class ModelNotFound(InvalidRequest):
    """No model of that name is on this machine, and it may not or cannot be downloaded."""


class UnsafeModel(InvalidRequest):
    """The model's folder holds code or pickled weights, which are never loaded."""


class UnsupportedModel(InvalidRequest):
    """The model cannot do what was asked: another kind of model, or an architecture nobody here knows."""


class DoesNotFit(InvalidRequest):
    """Loading the model, or answering this request, takes more memory than there is."""


class ContextOverflow(InvalidRequest):
    """The prompt has more tokens than the model can read."""


class SchemaError(InvalidRequest):
    """The JSON schema is no schema, or asks for what cannot be enforced."""


class FileRefused(InvalidRequest):
    """The file is outside the granted folders, not a file, too large, or not text."""


class FolderUnusable(InvalidRequest, OSError):
    """A folder of this project's own cannot be made. An OSError as well, as whoever opens a file in it expects."""


class AdapterNotFound(InvalidRequest):
    """No adapter of that name is on this machine, and it may not or cannot be downloaded."""


class BadAdapter(InvalidRequest):
    """The adapter is damaged, dangerous, or does not belong to the model."""


class JobNotFound(InvalidRequest):
    """No job of that id is known."""


class JobCancelled(ServerError):
    """The job was cancelled before it was done."""


class AnswerIncomplete(ServerError):
    """The model's answer does not keep the promise that was asked of it, such as a JSON answer that was cut."""


class EngineBusy(ServerError):
    """Too much is waiting already."""


class EngineStopped(ServerError):
    """The engine's process ended while the job was running."""


class EngineUnavailable(ServerError):
    """The engine could not be started or reached."""


class TrainingFailed(ServerError):
    """The training could not go on. The message says which checkpoint is left."""


class OutOfMemory(ServerError):
    """The machine ran out of memory during the work."""


_BY_NAME: dict[str, type[ServerError]] = {
    kind.__name__: kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, ServerError)
}


def to_wire(error: BaseException) -> dict[str, str]:
    """The error as it is sent and stored. One that nobody foresaw is named by its type and text."""
    if isinstance(error, ServerError):
        return {"type": type(error).__name__, "message": str(error)}
    text = f"{type(error).__name__}: {error}"
    return {
        "type": "ServerError",
        "message": f"the work stopped on an error nobody foresaw ({text}); see the engine's log",
    }


def from_wire(error: dict[str, str]) -> ServerError:
    """The error that `to_wire` was given."""
    return _BY_NAME.get(error.get("type", ""), ServerError)(error.get("message", "unknown error"))


def innermost(error: BaseException) -> BaseException:
    """The error itself, where task groups have put it into groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
