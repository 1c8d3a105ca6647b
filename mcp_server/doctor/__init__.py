"""What a person on a bad day asks: what is here, what works, and what to do about what does not."""

from collections.abc import AsyncIterator

from mcp_server.doctor.finding import Check, Finding
from mcp_server.doctor.installation import (
    folders,
    http_service,
    machine,
    models,
    programs,
    recent_errors,
    settings,
    versions,
)
from mcp_server.doctor.processes import client_entries, engine, host, sockets

__all__ = ["Finding", "findings"]


async def findings() -> AsyncIterator[Finding]:
    """Yield every finding, the quick ones first.

    One check that fails is a finding itself, and costs the others nothing.
    """
    for check in (machine, versions, settings, folders, sockets, host, http_service, programs, models, recent_errors):
        for finding in checked(check):
            yield finding
    yield await engine()
    async for finding in client_entries():
        yield finding


def checked(check: Check) -> list[Finding]:
    """Return what a check finds. Raises nothing."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001  whatever is broken here is what is asked about
        return [
            Finding.problem(check.__name__, f"could not be looked at: {error}", "read the message; it says what fails")
        ]
