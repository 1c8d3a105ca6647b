"""Every error is shown with the way out that its reader has: a tool to a client, a command to a person."""

import pytest

from adapters import errors
from adapters.errors import ServerError, from_wire, to_wire
from mcp_server.ways_out import MOST_CHARACTERS, WAYS_OUT, error_text, for_client, for_person
from tests.running import Home, text

CLIENT: dict[type[ServerError], str] = {
    errors.NoSuchModel: "list-library with kind 'models'",
    errors.NoModelFolder: "list-library with kind 'models'",
    errors.DownloadForbidden: "started without --offline",
    errors.AdapterDownloadForbidden: "started without --offline",
    errors.NotDownloaded: "`mcp-server-mlx models pull SUBJECT`",
    errors.OutsideGrants: "start the server with --allow SUBJECT",
    errors.NoSuchAdapter: "list-library with kind 'adapters'",
    errors.NoAdapterYet: "train-adapter makes one",
    errors.AdapterExists: "`mcp-server-mlx adapters delete SUBJECT`",
    errors.JobNotFound: "list-library with kind 'jobs'",
    errors.WorkNotKept: "generate and describe-image",
    errors.NothingToLearn: "list-library with kind 'sessions'",
    errors.BrokenSession: "`mcp-server-mlx sessions export SUBJECT`",
    errors.StillTraining: "check-job with job=SUBJECT",
    errors.TrainingInterrupted: "call train-adapter with resume=SUBJECT",
    errors.TrainingOutOfMemory: "call train-adapter with resume=SUBJECT",
    errors.TooManyJobs: "check-job waits for one, and cancel-job cancels one",
    errors.OtherEngine: "`mcp-server-mlx stop`",
}
PERSON = CLIENT | {
    errors.NoSuchModel: "`mcp-server-mlx models list`",
    errors.NoModelFolder: "`mcp-server-mlx models list`",
    errors.NoSuchAdapter: "`mcp-server-mlx adapters list`",
    errors.NoAdapterYet: "`mcp-server-mlx call train-adapter`",
    errors.JobNotFound: "`mcp-server-mlx call list-library kind=jobs`",
    errors.NothingToLearn: "`mcp-server-mlx sessions list`",
    errors.StillTraining: "`mcp-server-mlx call check-job job=SUBJECT",
    errors.TrainingInterrupted: "`mcp-server-mlx call train-adapter adapter=NAME resume=SUBJECT`",
    errors.TrainingOutOfMemory: "`mcp-server-mlx call train-adapter adapter=NAME resume=SUBJECT`",
    errors.TooManyJobs: "`mcp-server-mlx call cancel-job`",
}


def test_every_class_with_a_way_out_is_looked_at_here() -> None:
    assert set(WAYS_OUT) <= set(CLIENT)


@pytest.mark.parametrize("kind", CLIENT)
def test_a_client_is_told_of_tools_and_a_person_of_commands(kind: type[ServerError]) -> None:
    error = kind("it is {so}", subject="SUBJECT")
    assert for_client(error).startswith("it is {so}; ")
    assert CLIENT[kind] in for_client(error)
    assert for_person(error).startswith("it is {so}; ")
    assert PERSON[kind] in for_person(error)
    assert error_text(to_wire(error)) == for_client(from_wire(to_wire(error))) == for_client(error)


@pytest.mark.parametrize("error", [errors.InvalidRequest("no; do so"), errors.OutOfMemory("no"), KeyError("no")])
def test_a_message_that_says_it_all_stays_as_it_is(error: Exception) -> None:
    assert for_client(error) == for_person(error) == str(error)


def test_a_way_out_that_needs_a_subject_is_left_out_without_one() -> None:
    assert for_client(errors.TrainingInterrupted("there was no checkpoint yet; train again")).endswith("train again")
    assert error_text(None) is None


@pytest.mark.anyio
async def test_a_client_reads_the_way_out_of_calls_that_fail(shared_home: Home) -> None:
    outside = str(shared_home.folder.parent.parent / "elsewhere" / "model")
    calls = [
        ("generate", {"prompt": "Hello", "model": "startr"}, "list-library with kind 'models'"),
        ("generate", {"prompt": "Hello", "model": "/nowhere/at-all"}, "start the server with --allow /nowhere"),
        ("generate", {"prompt": "Hello", "model": outside}, "start the server with --allow "),
        ("generate", {"prompt": "Hello", "adapter": "none-of-that-name"}, "train-adapter makes one|kind 'adapters'"),
        ("check-job", {"job": "gen-000000000000"}, "list-library with kind 'jobs'"),
        ("cancel-job", {"job": "gen-000000000000"}, "list-library with kind 'jobs'"),
    ]
    async with shared_home.client() as client:
        for tool, arguments, way_out in calls:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert any(words in text(result) for words in way_out.split("|")), text(result)


def test_a_message_that_is_too_long_keeps_its_beginning_and_its_way_out() -> None:
    told = for_client(errors.NoSuchModel(f"there is no model {'x' * 4_000_000}"))
    assert len(told) == MOST_CHARACTERS
    assert told.startswith("there is no model xxx")
    assert told.endswith("list-library with kind 'models' shows all models")


@pytest.mark.anyio
async def test_a_value_that_is_too_long_does_not_come_back_whole(shared_home: Home) -> None:
    long = "x" * 1_000_000
    async with shared_home.client() as client:
        for arguments in ({"prompt": "Hi", "model": f"/{long}"}, {"prompt": "Hi", long: 1}, {"prompt": [long]}):
            result = await client.call_tool("generate", arguments)
            assert result.is_error
            assert len(text(result)) < 2 * MOST_CHARACTERS


def test_a_person_reads_the_way_out_of_commands_that_fail(shared_home: Home) -> None:
    ran = shared_home.command("adapters", "show", "none-of-that-name")
    assert ran.returncode == 1
    assert "`mcp-server-mlx adapters list`" in ran.stderr or "`mcp-server-mlx call train-adapter`" in ran.stderr
    assert "list-library" not in ran.stderr
