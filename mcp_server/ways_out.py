"""Where an error is shown, its way out is added by its class: a tool for an MCP client, a command for a person.

The messages themselves come from `adapters`, which knows of neither.
"""

from dataclasses import dataclass

from adapters import errors
from adapters.errors import ServerError, from_wire


@dataclass(frozen=True)
class WayOut:
    """What follows the message. `{subject}` stands for the error's subject; without one, that way out is left out."""

    client: str
    person: str

    @classmethod
    def same(cls, words: str) -> "WayOut":
        return cls(words, words)

    def then(self, words: str) -> "WayOut":
        """Return this way out with more words for both."""
        return WayOut(f"{self.client}, {words}", f"{self.person}, {words}")


_MODELS = WayOut(
    "list-library with kind 'models' shows all models",
    "`mcp-server-mlx models list` shows all models",
)
_ADAPTERS = WayOut(
    "list-library with kind 'adapters' shows all adapters",
    "`mcp-server-mlx adapters list` shows all adapters",
)
_WITHOUT_OFFLINE = "and a server that is started without --offline fetches it"
WAYS_OUT: dict[type[ServerError], WayOut] = {
    errors.NoSuchModel: _MODELS,
    errors.NoModelFolder: _MODELS,
    errors.DownloadForbidden: _MODELS.then(_WITHOUT_OFFLINE),
    errors.AdapterDownloadForbidden: _ADAPTERS.then(_WITHOUT_OFFLINE),
    errors.NotDownloaded: WayOut.same("`mcp-server-mlx models pull {subject}` fetches it"),
    errors.OutsideGrants: WayOut.same("or start the server with --allow {subject}"),
    errors.NoSuchAdapter: _ADAPTERS,
    errors.NoAdapterYet: WayOut("train-adapter makes one", "`mcp-server-mlx call train-adapter` makes one"),
    errors.AdapterExists: WayOut.same("or remove it with `mcp-server-mlx adapters delete {subject}`"),
    errors.JobNotFound: WayOut(
        "list-library with kind 'jobs' shows what there is",
        "`mcp-server-mlx call list-library kind=jobs` shows what there is",
    ),
    errors.WorkNotKept: WayOut.same("jobs that answer a prompt are those of generate and describe-image"),
    errors.NothingToLearn: WayOut(
        "list-library with kind 'sessions' shows the sessions", "`mcp-server-mlx sessions list` shows the sessions"
    ),
    errors.BrokenSession: WayOut.same("`mcp-server-mlx sessions export {subject}` and an import leave it out"),
    errors.StillTraining: WayOut(
        "check-job with job={subject} and wait_seconds waits for it",
        "`mcp-server-mlx call check-job job={subject} wait_seconds=40` waits for it",
    ),
    errors.TrainingInterrupted: WayOut(
        "call train-adapter with resume={subject} to go on from there",
        "`mcp-server-mlx call train-adapter adapter=NAME resume={subject}` goes on from there",
    ),
    errors.TooManyJobs: WayOut(
        "check-job waits for one, and cancel-job cancels one",
        "`mcp-server-mlx call check-job` waits for one, and `mcp-server-mlx call cancel-job` cancels one",
    ),
    errors.OtherEngine: WayOut.same("`mcp-server-mlx stop` ends it"),
}


MOST_CHARACTERS = 2_000


def for_client(error: BaseException) -> str:
    """Return the message for an MCP client: what was wrong, and the tool that leads on. One too long is cut."""
    way = _way_out(error)
    return shortened(_whole(error, way.client if way else ""))


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text of at most `most` characters: of a longer one the beginning and the end, where the way out is."""
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - end - 1]}…{text[-end:]}"


def for_person(error: BaseException) -> str:
    """Return the whole message for a person at the command line: what was wrong, and the command that leads on."""
    way = _way_out(error)
    return _whole(error, way.person if way else "")


def error_text(error: dict[str, str] | None) -> str | None:
    """Return the whole message for an MCP client of an error as jobs keep it, or None where there is none."""
    return for_client(from_wire(error)) if error else None


def _way_out(error: BaseException) -> WayOut | None:
    return next((WAYS_OUT[kind] for kind in type(error).__mro__ if kind in WAYS_OUT), None)


def _whole(error: BaseException, words: str) -> str:
    subject = error.subject if isinstance(error, ServerError) else None
    if not words or ("{subject}" in words and subject is None):
        return str(error)
    return f"{str(error).rstrip('.')}; {words.replace('{subject}', subject or '')}"
