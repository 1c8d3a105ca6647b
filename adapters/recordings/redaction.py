"""Taking secrets and personal numbers out of text before it is kept.

Secrets are found by the plugins of detect-secrets and by the token forms that it does not know; e-mail addresses by
their form; phone numbers by phonenumbers (Google's library, by each country's numbering plan); numbers of cards and bank
accounts by their check digits. What is found is replaced by its kind: `[EMAIL]`.
"""

import contextlib
import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import phonenumbers
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from adapters.recordings.account_numbers import account_numbers
from adapters.recordings.token_forms import TOKENS

Span = tuple[int, int, str]  # start, end, kind

_DETECTORS: tuple[RegexBasedDetector, ...] = (
    ArtifactoryDetector(), AWSKeyDetector(), AzureStorageKeyDetector(), DiscordBotTokenDetector(),
    GitHubTokenDetector(), GitLabTokenDetector(), MailchimpDetector(), NpmDetector(), PypiTokenDetector(),
    SendGridDetector(), SlackDetector(), SquareOAuthDetector(), StripeDetector(), TelegramBotTokenDetector(),
    TwilioKeyDetector(),
)  # fmt: skip
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)
# The password in an address, whatever its scheme: detect-secrets wants letters and digits only.
_IN_ADDRESS = re.compile(r"://[^\s/:@\[\]]{1,128}:([^\s/@]{1,256})@")
_INTERNATIONAL = re.compile(r"(?<![\w+])\+\d[\d ().-]{5,18}\d(?![\w]|[.,]\d)")
_NORTH_AMERICAN = re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-]|\.\d)")
# What stands where a secret would, and is none.
_PLACEHOLDER = re.compile(
    r"^(?:[<\[{$%(].*|x+|\*+|\.+|your[\w-]*|my[\w-]*|example\w*|changeme|secret|password|token|none|null|true|false|env\w*|os\.\w.*|process\.\w.*|\w+\(.*|\w+(?:\.\w+)+)$",
    re.IGNORECASE,
)


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return the text without what was found, and how many of each kind."""
    spans = _without_overlap(_found(text))
    counts: Counter[str] = Counter(kind for _, _, kind in spans)
    for start, end, kind in reversed(spans):
        text = f"{text[:start]}[{kind.upper().replace(' ', '_')}]{text[end:]}"
    return text, counts


def redact_all(value: Any, counts: Counter[str]) -> Any:
    """Return the same for every string in a JSON value; adds to the counts."""
    if isinstance(value, str):
        clean, found = redact(value)
        counts.update(found)
        return clean
    if isinstance(value, list):
        return [redact_all(one, counts) for one in value]
    if isinstance(value, dict):
        return {name: redact_all(one, counts) for name, one in value.items()}
    return value


def _found(text: str) -> Iterator[Span]:
    for match in TOKENS.finditer(text):
        yield match.start(), match.end(), "secret"
    for detector in _DETECTORS:
        for pattern in detector.denylist:
            for match in pattern.finditer(text):
                yield match.start(), match.end(), "secret"
    for match in _IN_ADDRESS.finditer(text):
        yield match.start(1), match.end(1), "secret"
    yield from _assigned(text)
    for match in _EMAIL.finditer(text):
        yield match.start(), match.end(), "email"
    yield from account_numbers(text)
    yield from _phones(text)


@functools.cache
def _keyword() -> KeywordDetector:
    return KeywordDetector()


def _assigned(text: str) -> Iterator[Span]:
    """Yield what is given to a name that means a secret: `password = "..."`."""
    at = 0
    for line in text.splitlines(keepends=True):
        if any(sign in line for sign in "=:"):
            for value in set(_keyword().analyze_string(line)):
                if len(value) >= 6 and not _PLACEHOLDER.match(value) and re.search(r"[\d\W_]", value):
                    start = line.rfind(value)
                    yield at + start, at + start + len(value), "secret"
        at += len(line)


def _phones(text: str) -> Iterator[Span]:
    """Numbers in international form anywhere, and in North American form where they are written as such."""
    for pattern, region in ((_INTERNATIONAL, None), (_NORTH_AMERICAN, "US")):
        for match in pattern.finditer(text):
            with contextlib.suppress(phonenumbers.NumberParseException):
                if phonenumbers.is_valid_number(phonenumbers.parse(match.group(), region)):
                    yield match.start(), match.end(), "phone number"


def _without_overlap(spans: Iterable[Span]) -> list[Span]:
    """Of those that lie over one another, the one that begins first; of these a secret, or else the longest."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one[0], one[2] != "secret", -one[1])):
        if span[1] > span[0] and (not kept or span[0] >= kept[-1][1]):
            kept.append(span)
    return kept
