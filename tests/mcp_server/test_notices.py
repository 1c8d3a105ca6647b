"""Clients of both eras hear of what changed in the library, whoever changed it."""

import secrets
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated

from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage
from mcp_server.host import library_watch
from mcp_server.host.library_watch import changes
from tests.running import MODULE, Home

pytestmark = pytest.mark.anyio


def record(home: Home, session: str) -> None:
    messages = [RecordedMessage(role="user", content="Hello"), RecordedMessage(role="assistant", content="Hi")]
    with home.entered():
        store.append(session, [Conversation(source="test", messages=messages)])


async def test_a_modern_client_hears_of_a_new_session_and_of_its_growth(shared_home: Home) -> None:
    session = f"heard-{secrets.token_hex(4)}"
    uri, events = f"session://{session}", list[Any]()
    with anyio.fail_after(30):
        async with (
            shared_home.client() as client,
            client.listen(resources_list_changed=True, resource_subscriptions=[uri]) as changed,
        ):
            record(shared_home, session)
            async for event in changed:
                events.append(event)
                if ResourcesListChanged() in events:
                    break
            assert uri in [resource.uri for resource in (await client.list_resources()).resources]
            events.clear()
            record(shared_home, session)
            async for event in changed:
                events.append(event)
                break
    assert events == [ResourceUpdated(uri=uri)]


@pytest.mark.filterwarnings("ignore:resources")
async def test_a_client_of_the_handshake_era_hears_of_it_too(shared_home: Home) -> None:
    session = f"heard-{secrets.token_hex(4)}"
    uri, heard = f"session://{session}", list[str]()

    async def hear(message: Any) -> None:
        heard.append(f"{message.method} {getattr(message.params, 'uri', '')}".strip())

    command, *arguments = map(str, MODULE)
    parameters = StdioServerParameters(command=command, args=arguments, env=shared_home.environment)
    async with Client(parameters, mode="legacy", message_handler=hear) as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.list_changed
        assert client.server_capabilities.resources.subscribe
        await client.subscribe_resource(uri)
        record(shared_home, session)
        with anyio.fail_after(30):
            while len(heard) < 2:
                await anyio.sleep(0.05)
        assert heard[:2] == [f"notifications/resources/updated {uri}", "notifications/resources/list_changed"]
        await client.unsubscribe_resource(uri)
        heard.clear()
        other = f"heard-{secrets.token_hex(4)}"
        record(shared_home, session)
        record(shared_home, other)
        with anyio.fail_after(30):
            while "notifications/resources/list_changed" not in heard:
                await anyio.sleep(0.05)
        assert f"notifications/resources/updated {uri}" not in heard


async def test_a_library_that_cannot_be_looked_at_is_said_once_and_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks, told, later = (
        iter([OSError("gone"), OSError("gone"), {"a": (1, 1)}, {"a": (2, 1)}]),
        list[Any](),
        anyio.Event(),
    )

    def stamps() -> Any:
        found = next(looks, {"a": (2, 1)})
        if isinstance(found, OSError):
            raise found
        return found

    async def tell(uris: set[str], list_changed: bool) -> None:
        told.append((uris, list_changed))
        later.set()

    monkeypatch.setattr(library_watch, "stamps", stamps)
    monkeypatch.setattr(library_watch, "_SECONDS", 0.01)
    monkeypatch.setattr(library_watch.NOTICES, "tell", tell)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(library_watch.watch_library)
            await later.wait()
            tasks.cancel_scope.cancel()
    assert told == [({"a"}, False)]
    assert len([record for record in caplog.records if "cannot be looked at" in record.message]) == 1


def test_what_changed_is_what_is_new_gone_or_other() -> None:
    before = {"a": (1, 1), "b": (1, 1), "c": (1, 1)}
    assert changes(before, before) == (set(), False)
    assert changes(before, before | {"b": (2, 1)}) == ({"b"}, False)
    assert changes(before, {"a": (1, 1), "b": (1, 1), "d": (1, 1)}) == ({"c", "d"}, True)
