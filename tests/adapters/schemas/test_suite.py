"""Every schema of the public JSON-Schema-Test-Suite: enforced, checked after, or refused by name; never accepted and wrong."""

import pytest

from tests.schema_suite import DRAFTS, run, suite

# How many schemas of each draft are taken, at least: enforced while an answer is written, and checked after.
TAKEN = {
    "draft4": (161, 19),
    "draft6": (207, 29),
    "draft7": (217, 43),
    "draft2019-09": (274, 71),
    "draft2020-12": (270, 72),
}


@pytest.mark.parametrize("draft", DRAFTS)
def test_no_schema_of_the_public_suite_is_accepted_and_wrong(draft: str) -> None:
    tests = suite()
    if isinstance(tests, str):
        pytest.skip(tests)
    found = run(tests, draft)
    assert found.wrong == []
    assert found.unnamed == []
    assert found.enforced >= TAKEN[draft][0]
    assert found.enforced + found.checked >= sum(TAKEN[draft])
