"""Who wants to hear of changes in the library, in either era, and how they are told. Used on the host's event loop.

Clients of 2026-07-28 open a stream with `subscriptions/listen`, which the SDK serves from a bus. Those of 2025-11-25 are
told of changed lists unasked, and of a resource once they have subscribed to it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged, ResourceUpdated
from mcp.types import INVALID_REQUEST, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

logger = logging.getLogger(__name__)

# A client that does not read is not waited for.
_TELLING_SECONDS = 5.0
MOST_SUBSCRIPTIONS = 1000


@dataclass(eq=False)
class _Follower:
    """A connection of the handshake era. Its session outlives the request that it was taken from."""

    session: ServerSession
    uris: set[str] = field(default_factory=set)


class Notices:
    """Everybody who is to be told, of all servers in this process."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._followers: dict[object, _Follower] = {}

    async def remember(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        """Middleware: a connection that has shaken hands is told of changes until it ends."""
        if ctx.method == "notifications/initialized" and ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            self._follower(ctx.session)
        return await call_next(ctx)

    def _follower(self, session: ServerSession) -> _Follower:
        connection = session._connection  # pyright: ignore[reportPrivateUsage]
        if connection not in self._followers:
            self._followers[connection] = _Follower(session)
            connection.exit_stack.callback(self._followers.pop, connection, None)
        return self._followers[connection]

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Tell this connection when that resource changes. Raises MCPError where it has too many already."""
        uris = self._follower(ctx.session).uris
        if len(uris) >= MOST_SUBSCRIPTIONS:
            raise MCPError(
                code=INVALID_REQUEST, message=f"{MOST_SUBSCRIPTIONS} subscriptions are the most; unsubscribe from some"
            )
        uris.add(str(params.uri))
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Tell it no more."""
        self._follower(ctx.session).uris.discard(str(params.uri))
        return EmptyResult()

    async def tell(self, uris: set[str], list_changed: bool) -> None:
        """Tell that these resources are not what they were, and whether the list of resources is another."""
        for uri in sorted(uris):
            await self.bus.publish(ResourceUpdated(uri=uri))
        if list_changed:
            await self.bus.publish(ResourcesListChanged())
        telling = [self._tell(follower, uris, list_changed) for follower in list(self._followers.values())]
        await asyncio.gather(*telling)

    async def _tell(self, follower: _Follower, uris: set[str], list_changed: bool) -> None:
        try:
            async with asyncio.timeout(_TELLING_SECONDS):
                for uri in sorted(uris & follower.uris):
                    await follower.session.send_resource_updated(uri)
                if list_changed:
                    await follower.session.send_resource_list_changed()
        except Exception as error:  # noqa: BLE001  one connection that is ending costs the others nothing
            logger.debug("error=<%s> | a client could not be told of a change", error)


NOTICES = Notices()
