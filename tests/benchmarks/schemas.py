"""How many schemas of the public JSON-Schema-Test-Suite are enforced, checked after the answer, or refused."""

from tests.benchmarks.measure import Measured
from tests.running import Home
from tests.schema_suite import DRAFTS, Found, run, suite


async def measure(home: Home) -> list[Measured]:
    del home  # nothing is served
    tests = suite()
    if isinstance(tests, str):
        return [Measured("schemas of the JSON-Schema-Test-Suite", f"not measured: {tests}")]
    found = {draft: run(tests, draft) for draft in DRAFTS}
    return [_row(draft, one) for draft, one in found.items()]


def _row(draft: str, found: Found) -> Measured:
    wrong = len(found.wrong) + len(found.unnamed)
    taken = f"{found.enforced} enforced, {found.checked} checked after, {found.refused} refused by name"
    return Measured(
        f"schemas of the JSON-Schema-Test-Suite, {draft}",
        f"{taken}, {wrong} wrong",
        "none accepted and wrong",
        not wrong,
    )
