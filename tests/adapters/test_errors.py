"""Errors cross the socket and come out as they were."""

import pytest

from adapters import errors
from adapters.errors import DoesNotFit, ServerError, from_wire, to_wire

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServerError)]


def test_a_foreseen_error_keeps_its_class_and_message() -> None:
    error = from_wire(to_wire(DoesNotFit("too large; take a smaller one")))
    assert type(error) is DoesNotFit
    assert str(error) == "too large; take a smaller one"


def test_an_unforeseen_error_names_its_type() -> None:
    error = from_wire(to_wire(KeyError("layers")))
    assert type(error) is ServerError
    assert "KeyError: 'layers'" in str(error)


def test_an_unknown_class_is_still_an_error() -> None:
    assert str(from_wire({"type": "FromTheFuture", "message": "m"})) == "m"


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_crosses_with_its_message_and_its_subject(kind: type[ServerError]) -> None:
    for subject in (None, "/a/b"):
        error = from_wire(to_wire(kind("what was wrong", subject=subject)))
        assert (type(error), str(error), error.subject) == (kind, "what was wrong", subject)
