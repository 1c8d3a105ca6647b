"""Rows from recorded sessions: one for each conversation, with the messages that are to be learned from."""

from adapters.datasets.rows import TrainingRow
from adapters.errors import BrokenSession
from adapters.recordings import store
from adapters.recordings.conversation import Conversation
from adapters.recordings.exports import as_chat, tools_of


def session_rows(session: str) -> list[TrainingRow]:
    """Return the rows of a session.

    Raises InvalidRequest when there is no such session, or it has lines that cannot be read.
    """
    found = store.read(session)
    if found.broken:
        raise BrokenSession(
            f"session {session}, line {found.broken[0]}: not a conversation"
            + (f", nor are {len(found.broken) - 1} more lines" if len(found.broken) > 1 else "")
            + "; correct it, or leave it out",
            subject=session,
        )
    return [_row(one, f"session {session}, conversation {n}") for n, one in enumerate(found.conversations, 1)]


def _row(conversation: Conversation, origin: str) -> TrainingRow:
    before = 1 if conversation.system else 0
    learned = [i + before for i, message in enumerate(conversation.messages) if message.learned]
    messages = as_chat(conversation)[: learned[-1] + 1]
    images = [image for message in conversation.messages[: learned[-1] + 1 - before] for image in message.images]
    for message, recorded in zip(messages[before:], conversation.messages, strict=False):
        if recorded.images:
            shown = [{"type": "image", "source": image} for image in recorded.images]
            message["content"] = [*shown, {"type": "text", "text": recorded.content}]
    return TrainingRow(origin, messages, tuple(learned), tools_of(conversation), images=tuple(images))
