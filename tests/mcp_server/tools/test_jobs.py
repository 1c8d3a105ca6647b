"""`check-job` and `cancel-job`."""

import pytest

from tests.running import Home, answer, text

pytestmark = pytest.mark.anyio

LONG = {"prompts": ["Count from 1 to 20."] * 128}


async def test_a_job_is_fetched_by_any_client(shared_home: Home) -> None:
    async with shared_home.client("--reply-within", "1") as one, shared_home.client() as two:
        told = answer(await one.call_tool("generate", LONG))
        assert told["state"] == "running"
        fetched = answer(await two.call_tool("check-job", {"job": told["job"], "wait_seconds": 40}))
        assert fetched["state"] == "done"
        assert fetched["results"][0]["text"] == "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"


async def test_a_look_at_a_running_job_shows_what_there_is(shared_home: Home) -> None:
    async with shared_home.client("--reply-within", "1") as client:
        told = answer(await client.call_tool("generate", LONG))
        look = await client.call_tool("check-job", {"job": told["job"]})
        assert answer(look)["state"] == "running"
        assert any(one["text"] for one in answer(look)["results"])
        assert "Call check-job with job" in text(look)
        await client.call_tool("cancel-job", {"job": told["job"]})


async def test_a_cancelled_job_says_what_was_kept(shared_home: Home) -> None:
    async with shared_home.client("--reply-within", "1") as client:
        told = answer(await client.call_tool("generate", LONG))
        cancelled = await client.call_tool("cancel-job", {"job": told["job"]})
        assert answer(cancelled)["state"] == "cancelled"
        assert "characters had been written" in text(cancelled)
        later = answer(await client.call_tool("check-job", {"job": told["job"]}))
        assert later["state"] == "cancelled"


async def test_a_job_that_is_done_is_not_cancelled(shared_home: Home) -> None:
    async with shared_home.client() as client:
        told = answer(await client.call_tool("generate", {"prompt": "What is the capital of France?"}))
        cancelled = answer(await client.call_tool("cancel-job", {"job": told["job"]}))
        assert (cancelled["state"], cancelled["text"]) == ("done", "Paris")
        assert "nothing was cancelled" in cancelled["note"]


async def test_a_failed_job_is_told_with_its_error(shared_home: Home) -> None:
    async with shared_home.client() as client:
        await client.call_tool("generate", {"prompt": "word " * 3000})
        jobs = answer(await client.call_tool("list-library", {"kind": "jobs"}))["jobs"]
        told = answer(await client.call_tool("check-job", {"job": jobs[0]["job"]}))
        assert told["state"] == "failed"
        assert "reads at most 2048" in told["error"]


@pytest.mark.parametrize("job", ["gen-000000000000", "../../etc/passwd", "", "x" * 300, "gen-\0"])
@pytest.mark.parametrize("tool", ["check-job", "cancel-job"])
async def test_an_id_that_never_was_is_named(shared_home: Home, tool: str, job: str) -> None:
    async with shared_home.client() as client:
        result = await client.call_tool(tool, {"job": job})
        assert result.is_error
        assert "there is no job" in text(result)
        assert "list-library" in text(result)


async def test_a_wait_over_the_limit_is_refused(shared_home: Home) -> None:
    async with shared_home.client() as client:
        result = await client.call_tool("check-job", {"job": "gen-000000000000", "wait_seconds": 51})
        assert result.is_error
        assert "wait_seconds" in text(result)


async def test_a_result_outlives_engine_and_host(own_home: Home) -> None:
    async with own_home.client() as client:
        told = answer(await client.call_tool("generate", {"prompt": "What is the capital of France?"}))
    own_home.stop()
    async with own_home.client() as client:
        later = answer(await client.call_tool("check-job", {"job": told["job"]}))
        assert (later["state"], later["text"]) == ("done", "Paris")
