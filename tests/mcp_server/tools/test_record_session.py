"""`record-session` through the whole stack, and the commands that show what was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.mcp_server.tools.test_describe_image import shape
from tests.running import ERAS, Home, answer, text

pytestmark = pytest.mark.anyio

TALK = [
    {"role": "user", "content": "What is our refund period? Mail anna@example.com."},
    {"role": "assistant", "content": "Thirty days."},
]


async def record(client: Client, **arguments: Any) -> dict[str, Any]:
    return answer(await client.call_tool("record-session", arguments))


async def refused(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("record-session", arguments)
    assert result.is_error, result
    return text(result)


def lines(home: Home, session: str) -> list[dict[str, Any]]:
    path = home.folder / "state" / "recordings" / f"{session}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("era", ERAS)
async def test_a_conversation_is_recorded_without_what_is_private(shared_home: Home, era: Any) -> None:
    name = f"refunds-{era}"
    async with shared_home.client(era=era) as client:
        result = await client.call_tool(
            "record-session",
            {"session": name, "messages": TALK, "source": "test", "tags": ["shop"], "system": "Be brief."},
        )
    told = answer(result)
    assert (told["recorded"], told["learned"], told["conversations"], told["enough"]) == (1, 1, 1, False)
    assert told["redacted"] == {"email": 1}
    assert "1 x email" in text(result)
    (line,) = lines(shared_home, name)
    assert line["messages"][0]["content"] == "What is our refund period? Mail [EMAIL]."
    assert (line["source"], line["tags"], line["system"]) == ("test", ["shop"], "Be brief.")


async def test_an_answer_is_recorded_by_its_job_and_corrected(shared_home: Home) -> None:
    async with shared_home.client() as client:
        asked = answer(
            await client.call_tool(
                "generate", {"prompt": "What is the capital of France?", "system": "Answer in a word."}
            )
        )
        many = answer(await client.call_tool("generate", {"prompts": ["Hello", "Count from 1 to 3."]}))
        told = await record(
            client,
            session="corrected",
            exchanges=[
                {"job": asked["job"]},
                {"job": asked["job"], "answer": "It is Paris."},
                {"job": many["job"], "index": 1, "answer": "One, two, three."},
            ],
        )
    assert (told["recorded"], told["learned"]) == (3, 3)
    first, second, third = lines(shared_home, "corrected")
    assert [m["role"] for m in first["messages"]] == ["system", "user", "assistant"]
    assert first["messages"][2]["content"] == asked["text"]
    assert second["messages"][2]["content"] == "It is Paris."
    assert third["messages"][0]["content"] == "Count from 1 to 3."
    assert third["messages"][-1]["content"] == "One, two, three."


async def test_an_answer_about_a_picture_is_recorded_with_the_picture(shared_home: Home, tmp_path: Path) -> None:
    path = shape("red", "circle", tmp_path / "a.png")
    async with shared_home.client("--allow", str(tmp_path)) as client:
        seen = answer(await client.call_tool("describe-image", {"images": [str(path)], "prompt": "What is it?"}))
        await record(client, session="pictures", exchanges=[{"job": seen["job"], "answer": "A red dot."}])
    (line,) = lines(shared_home, "pictures")
    assert line["messages"][0] == {"role": "user", "content": "What is it?", "images": [str(path)]}
    assert line["messages"][1]["content"] == "A red dot."


async def test_sessions_are_listed_and_read_as_resources(own_home: Home) -> None:
    async with own_home.client() as client:
        await record(client, session="talks", messages=TALK)
        result = await client.call_tool("list-library", {"kind": "sessions"})
        told = answer(result)
        read = await client.read_resource("session://talks")
    assert told["sessions"][0] | {"bytes": 0} == {
        "session": "talks", "conversations": 1, "messages_to_learn": 1, "broken_lines": 0, "bytes": 0,
    }  # fmt: skip
    assert "models" not in told
    assert "talks: 1 conversations, 1 messages to learn from" in text(result)
    content = getattr(read.contents[0], "text", "")
    assert json.loads(content)[0]["messages"][1]["content"] == "Thirty days."


async def test_tools_and_their_results_are_kept_as_they_were(shared_home: Home) -> None:
    messages = [
        {"role": "user", "content": "How is it in Rome?"},
        {"role": "assistant", "tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}, "id": "c1"}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
        {"role": "assistant", "content": "I guess.", "keep": False},
        {"role": "assistant", "content": "Sunny."},
    ]
    tools = [{"name": "weather", "description": "The weather", "parameters": {"type": "object"}}]
    async with shared_home.client() as client:
        told = await record(client, session="tools", messages=messages, tools=tools)
    assert told["learned"] == 2
    (line,) = lines(shared_home, "tools")
    assert line["messages"][1]["tool_calls"][0]["arguments"] == {"city": "Rome"}
    assert line["messages"][3]["keep"] is False
    assert line["tools"][0]["name"] == "weather"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "exactly one of messages and exchanges"),
        ({"messages": TALK, "exchanges": [{"job": "gen-0"}]}, "exactly one of messages and exchanges"),
        ({"session": "../../x", "messages": TALK}, "no session id"),
        ({"session": "/etc/x", "messages": TALK}, "no session id"),
        ({"session": "x" * 300, "messages": TALK}, "no session id"),
        ({"session": "a\0b", "messages": TALK}, "no session id"),
        ({"messages": TALK[:1]}, "no assistant's message to learn from"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no assistant's message"),
        ({"messages": [*TALK, {"role": "boss", "content": "x"}]}, "role"),
        ({"messages": TALK, "colour": "red"}, "colour"),
        ({"exchanges": [{"job": "gen-000000000000"}]}, "is not known"),
        ({"exchanges": [{"job": "../../etc/passwd"}]}, "is not known"),
        ({"exchanges": [{"job": "gen-000000000000"}], "system": "x"}, "system and tools go with messages"),
    ],
)
async def test_bad_input_gets_the_way_out(shared_home: Home, arguments: dict[str, Any], reason: str) -> None:
    async with shared_home.client() as client:
        assert reason in await refused(client, **{"session": "bad", **arguments})
    assert not (shared_home.folder / "state" / "recordings" / "bad.jsonl").exists()


async def test_a_person_can_look_export_split_and_delete(own_home: Home, tmp_path: Path) -> None:
    told: dict[str, Any] = {}
    async with own_home.client() as client:
        for i in range(5):
            told = await record(
                client, session="talks", messages=[{"role": "user", "content": f"What is {i}?"}, TALK[1]]
            )
    assert told["conversations"] == 5
    listed = own_home.command("sessions", "list").stdout
    assert "talks" in listed
    shown = own_home.command("sessions", "show", "talks").stdout
    assert "* assistant" in shown
    assert "What is 4?" in shown
    out = tmp_path / "talks.jsonl"
    assert own_home.command("sessions", "export", "talks", str(out), "--form", "chat").returncode == 0
    assert len(out.read_text().splitlines()) == 5
    again = own_home.command("sessions", "export", "talks", str(out))
    assert again.returncode == 1
    assert "exists already" in again.stderr
    data = tmp_path / "data"
    assert own_home.command("sessions", "split", "talks", str(data), "--valid", "0.2").returncode == 0
    assert len((data / "train.jsonl").read_text().splitlines()) == 4
    assert len((data / "valid.jsonl").read_text().splitlines()) == 1
    assert own_home.command("sessions", "import", "again", str(out)).returncode == 0
    assert "again" in own_home.command("sessions", "list").stdout
    assert "nothing is older" in own_home.command("sessions", "prune", "--days", "30").stdout
    assert own_home.command("sessions", "delete", "talks").returncode == 0
    missing = own_home.command("sessions", "show", "talks")
    assert missing.returncode == 1
    assert "there is no session 'talks'; there is again" in missing.stderr
