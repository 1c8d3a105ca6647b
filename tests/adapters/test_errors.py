"""Errors cross the socket and come out as they were."""

from adapters.errors import DoesNotFit, ServerError, from_wire, to_wire


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
