"""Every failure that a person is meant to read: what was wrong, and the way out.

These cross the engine's socket by class name and message, and reach an MCP client as a tool error with the message.
"""


class ServerError(Exception):
    """A failure that was foreseen. Its message names the offending value and ends with the way out.

    Who shows it may add words of its own by the class: a tool or a command. `subject` is what those words are about, such
    as a name, a folder or a job, where the class says so.
    """

    def __init__(self, message: str = "", *, subject: str | None = None) -> None:
        super().__init__(message)
        self.subject = subject


class InvalidRequest(ServerError):
    """What was asked for is not possible as asked; asking again in the same way fails again."""


class ModelNotFound(InvalidRequest):
    """No model of that name is on this machine, and it may not or cannot be downloaded."""


class NoSuchModel(ModelNotFound):
    """No model has that name, or none of the settings' `allowed_models` has; the message names the nearest."""


class NotDownloaded(ModelNotFound):
    """The model is not on this machine, and is not fetched by itself. The subject is its name."""


class DownloadForbidden(ModelNotFound):
    """The model is not on this machine, and offline mode forbids to fetch it."""


class UnsafeModel(InvalidRequest):
    """The model's folder holds code or pickled weights, which are never loaded."""


class UnsupportedModel(InvalidRequest):
    """The model cannot do what was asked: another kind of model, or an architecture nobody here knows."""


class NoModelFolder(UnsupportedModel):
    """The path of a model is no folder."""


class DoesNotFit(InvalidRequest):
    """Loading the model, or answering this request, takes more memory than there is."""


class ContextOverflow(InvalidRequest):
    """The prompt has more tokens than the model can read."""


class SchemaError(InvalidRequest):
    """The JSON schema is no schema, or asks for what cannot be enforced."""


class FileRefused(InvalidRequest):
    """The file is outside the granted folders, not a file, too large, or not text."""


class OutsideGrants(FileRefused):
    """The file or folder is outside the granted folders. The subject is the folder to grant."""


class FolderUnusable(InvalidRequest, OSError):
    """A folder of this project's own cannot be made. An OSError as well, as whoever opens a file in it expects."""


class AdapterNotFound(InvalidRequest):
    """No adapter of that name is on this machine, and it may not or cannot be downloaded."""


class NoSuchAdapter(AdapterNotFound):
    """No adapter has that name; the message names the nearest."""


class NoAdapterYet(AdapterNotFound):
    """No adapter has that name, and none was trained on this machine yet."""


class AdapterDownloadForbidden(AdapterNotFound):
    """The adapter is not on this machine, and offline mode forbids to fetch it."""


class AdapterExists(InvalidRequest):
    """There is an adapter of that name already. The subject is the name."""


class BadAdapter(InvalidRequest):
    """The adapter is damaged, dangerous, or does not belong to the model."""


class JobNotFound(InvalidRequest):
    """No job of that id is known."""


class WorkNotKept(JobNotFound):
    """What the job was asked is not known, or not any more."""


class NothingToLearn(InvalidRequest):
    """A training was asked for without anything to learn from."""


class BrokenSession(InvalidRequest):
    """A recording has lines that cannot be read. The subject is the session's name."""


class StillTraining(InvalidRequest):
    """A training that was to be resumed has not ended. The subject is its job."""


class JobCancelled(ServerError):
    """The job was cancelled before it was done."""


class AnswerIncomplete(ServerError):
    """The model's answer does not keep the promise that was asked of it, such as a JSON answer that was cut."""


class EngineBusy(ServerError):
    """Too much is waiting already."""


class TooManyJobs(EngineBusy):
    """As many jobs run or wait as the engine takes."""


class EngineStopped(ServerError):
    """The engine's process ended while the job was running."""


class EngineUnavailable(ServerError):
    """The engine could not be started or reached."""


class OtherEngine(EngineUnavailable):
    """The engine that runs speaks another protocol: it is of another version."""


class TrainingFailed(ServerError):
    """The training could not go on. The message says which checkpoint is left."""


class TrainingInterrupted(TrainingFailed):
    """The training ended before it was done. The subject is its job if a checkpoint is kept."""


class OutOfMemory(ServerError):
    """The machine ran out of memory during the work."""


class TrainingOutOfMemory(OutOfMemory, TrainingInterrupted):
    """The training ended before it was done, most likely for want of memory. The subject is as of the latter."""


_BY_NAME: dict[str, type[ServerError]] = {
    kind.__name__: kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, ServerError)
}


def to_wire(error: BaseException) -> dict[str, str]:
    """Return the error as it is sent and stored. One that nobody foresaw is named by its type and text."""
    if isinstance(error, ServerError):
        about = {} if error.subject is None else {"subject": error.subject}
        return {"type": type(error).__name__, "message": str(error), **about}
    text = f"{type(error).__name__}: {error}"
    return {
        "type": "ServerError",
        "message": f"the work stopped on an error nobody foresaw ({text}); see the engine's log",
    }


def from_wire(error: dict[str, str]) -> ServerError:
    """Return the error that `to_wire` was given."""
    kind = _BY_NAME.get(error.get("type", ""), ServerError)
    return kind(error.get("message", "unknown error"), subject=error.get("subject"))


def innermost(error: BaseException) -> BaseException:
    """Return the error itself, where task groups have put it into groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
