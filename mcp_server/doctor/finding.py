"""What doctor found, and what to do about it."""

from collections.abc import Callable, Iterable
from typing import Literal

from pydantic import BaseModel

State = Literal["ok", "note", "problem"]


class Finding(BaseModel):
    """One thing that was looked at. `remedy` says what to do, where there is something to do."""

    about: str
    state: State
    says: str
    remedy: str | None = None

    @classmethod
    def ok(cls, about: str, says: str) -> "Finding":
        return cls(about=about, state="ok", says=says)

    @classmethod
    def note(cls, about: str, says: str, remedy: str | None = None) -> "Finding":
        return cls(about=about, state="note", says=says, remedy=remedy)

    @classmethod
    def problem(cls, about: str, says: str, remedy: str) -> "Finding":
        return cls(about=about, state="problem", says=says, remedy=remedy)


Check = Callable[[], Iterable[Finding]]
