"""Numbers that are a person's own, by their forms and check digits: cards, bank accounts, US social security numbers."""

import re
from collections.abc import Iterator

# Dots and no-break spaces stand between the groups of four as blanks and hyphens do.
_CARD = re.compile(r"(?<![\d.])(?:\d[ -]?){12,18}\d(?![\d.]?\d)|(?<![\d.])(?:\d{4}[.\u00a0\u202f]){3}\d{4}(?![\d.]?\d)")
# ISO 13616: a country, two check digits, up to thirty letters and digits, in groups of four or in one piece.
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0\u202f-]?[A-Z0-9]{4}){2,7}(?:[ \u00a0\u202f-]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)
# Never given: 000, 666 and 900 to 999 in front, 00 in the middle, 0000 at the end (Social Security Administration).
_SOCIAL_SECURITY = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)")


def account_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each begins and ends, and its kind."""
    for match in _CARD.finditer(text):
        if is_card(match.group()):
            yield match.start(), match.end(), "card number"
    for match in _IBAN.finditer(text):
        if is_iban(match.group()):
            yield match.start(), match.end(), "bank account"
    for match in _SOCIAL_SECURITY.finditer(text):
        yield match.start(), match.end(), "social security number"


def is_card(written: str) -> bool:
    """A number of a card scheme's length and beginning, whose last digit is the check digit of the others (Luhn)."""
    digits = [int(character) for character in written if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1 or digits[0] not in (2, 3, 4, 5, 6):
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def is_iban(written: str) -> bool:
    """An account number whose remainder modulo 97 is one, with letters as numbers from 10 on (ISO 7064, MOD 97-10)."""
    plain = "".join(character for character in written if character.isalnum())
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
