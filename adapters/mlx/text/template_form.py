"""In which form a model's chat template reads messages, calls and tools. `template_probes.py` finds it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

# Content as text, as a list with one part of text, or with the text under `content` too, as some processors read it.
ContentForm = Literal["text", "parts", "parts with content"]
CONTENT_FORMS: tuple[ContentForm, ...] = ("text", "parts", "parts with content")


@dataclass(frozen=True)
class TemplateForm:
    """How a conversation is handed to one template.

    `contents` holds the roles whose content is no plain text. `plain_tools` is true where tools, calls and results are
    written in words (`plain_tools.py`): the marks of calls and their reader follow from it. The fields after it say how
    the template's own calls are handed over.
    """

    contents: dict[str, ContentForm] = field(default_factory=dict[str, ContentForm])
    has_system: bool = True
    has_system_with_calls: bool = True
    plain_tools: bool = True
    arguments_as_text: bool = False
    empty_content: Literal[""] | None = ""  # of a message that only calls; None: it has none
    short_ids: bool = False
    named_results: bool = False
    one_call_a_message: bool = False
    shows_words_beside_calls: bool = True

    def content(self, role: str, text: str) -> Any:
        """Return the content of a message of that role which says this text."""
        return content_of(self.contents.get(role, "text"), text)


# Without a template a model gets the texts one after another.
NO_TEMPLATE = TemplateForm()


def content_of(form: ContentForm, text: str) -> Any:
    """Return text as the content of a message in that form."""
    if form == "text":
        return text
    part = {"type": "text", "text": text}
    return [part | {"content": text} if form == "parts with content" else part]


def short_id(number: str) -> str:
    """Return an id of nine letters and digits, which Mistral's templates demand, for any other id."""
    if len(number) == 9 and number.isascii() and number.isalnum():
        return number
    return hashlib.sha256(number.encode()).hexdigest()[:9]
