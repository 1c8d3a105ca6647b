"""What is taken out of a recording, and what is not: sixty of each, counted."""

import pytest

from adapters.recordings.redaction import redact, redact_all

# Made up for this test; none of them opens anything.
_A = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_H = "0123456789abcdef" * 2
SECRETS = [
    "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", f"ghp_{_A[:36]}", f"gho_{_A[:36]}", f"ghs_{_A[5:41]}",
    f"github_pat_{_A[:22]}_{_A[:59]}", f"glpat-{_A[:20]}", f"hf_{_A[:34]}", f"sk-proj-{_A[:40]}", f"sk-ant-api03-{_A[:40]}",
    f"sk-{_A[:48]}", f"AIza{_A[:35]}", "xoxb-123456789012-abcdefghijklmnop", "xoxp-123456789012-abcdefghijkl",
    f"sk_live_{_A[:24]}", f"rk_live_{_A[:24]}", f"SG.{_A[:22]}.{_A[:43]}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    f"Authorization: Bearer {_A[:32]}", "Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
    "https://admin:s3cr3t-pw@db.example.com:5432/x", "postgres://app:hunter2!@localhost/app", "password = 'hunter2-secret'",
    'api_key: "9f8a7c6d5e4b3a2f"', 'DB_PASSWORD="p4ssw0rd!x"', 'secret_key = "a1b2c3d4e5f6"', f"npm_{_A[:36]}",
    f"pypi-AgEIcHlwaS5vcmc{_A}{_A[:20]}",
    f"sk-or-v1-{_H * 2}", f"gsk_{_A[:52]}", f"xai-{_A}{_A[:18]}", f"pplx-{_A[:48]}", f"r8_{_A[:37]}", f"GOCSPX-{_A[:28]}",
    f"ya29.{_A}", f"whsec_{_A[:32]}", f"xapp-1-A0123456789-1234567890123-{_H}", f"key-{_H}", f"dop_v1_{_H * 2}", f"shpat_{_H}",
    f"lin_api_{_A[:40]}", f"ntn_{_A[:46]}", f"secret_{_A[:43]}", f"figd_{_A[:40]}", f"hvs.{_A[:40]}", f"dapi{_H}", f"ATATT3{_A}",
    f"dckr_pat_{_A[:27]}", f"sntrys_{_A}", "NRAK-ABCDEFGHIJKLMNOPQRSTUVWXYZ0", f"AGE-SECRET-KEY-1{'QPZRY9X8' * 8}"[:74],
    f"https://a.blob.core.windows.net/c?sv=2024&sig={_A[:43]}%3D", f"https://example.com/v1?api_key={_H}",
]  # fmt: skip
EMAILS = [
    "anna@example.com", "a.b+c@example.co.uk", "first_last@sub.domain.org", "x@y.io", "UPPER@CASE.COM", "me@müller.example.de",
    "dots.in.name@example.museum", "user-1@host-2.net", "<tom@example.com>", "mailto:lucy@example.org",
]  # fmt: skip
PHONES = [
    "+1 415-555-2671", "+1 (212) 736-5000", "+44 20 7946 0958", "+49 30 901820", "+33 6 12 34 56 78", "+81 3-3224-5000",
    "+61 2 9374 4000", "+91 22 6178 5000", "(415) 555-2671", "415-555-2671", "212.736.5000", "+14155552671",
]  # fmt: skip
CARDS = [
    "4111 1111 1111 1111",
    "4111111111111111",
    "5555-5555-5555-4444",
    "378282246310005",
    "6011 1111 1111 1117",
    "3530111333300000",
    "5105105105105100",
    "4222222222222",
    "4111.1111.1111.1111",
    "4111\u00a01111\u00a01111\u00a01111",
]
ACCOUNTS = [
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "FR14 2004 1010 0505 0001 3M02 606",
    "NO9386011117947",
    "CH93 0076 2011 6238 5295 7",
]
SOCIAL_SECURITY = ["123-45-6789", "078-05-1120"]  # fmt: skip
NEAR_MISSES = [
    "the quick brown fox jumps over the lazy dog", "commit 3f786850e387550fdab836ed7e6dc881de23001b", "version 1.2.3.4",
    "2026-11-22 15:24:45", "2026-11-22T15:24:45Z", "22/11/2026", "192.168.1.100", "10.0.0.1:8080", "password: is required",
    "password = os.environ['DB_PASSWORD']", "api_key = config.api_key", "token = get_token()", 'secret = "<your secret>"',
    'password: "${PASSWORD}"', "the password is case sensitive", "reset your password here", "a token is about four letters",
    "name@localhost", "@mention me", "a @ b", "user@", "@example.com", "foo@bar", "order 1234567890123456", "4111 1111 1111 1112",
    "1111 1111 1111 1111", "0000 0000 0000 0000", "isbn 978-3-16-148410-0", "isbn 9783161484100", "pi 3.141592653589793",
    "12345", "1,234,567.89", "$1,000,000", "room 415-555", "ext. 2671", "room 415 555 seats 2671 people", "UUID 123e4567-e89b-12d3-a456-426614174000",
    "#ff8800", "0xDEADBEEF", "sk-learn", "import sklearn as sk", "hf_hub_download(repo)", "AIza is a prefix", "ghp_ is a prefix",
    "xoxo and kisses", "Bearer of bad news", "Basic instinct", "-----BEGIN CERTIFICATE-----", "https://example.com/a?b=c",
    "https://example.org/user:name", "ssh git@github", "git clone git://host/repo.git", "1 + 1 = 2",
    "lat 52.520008, lon 13.404954", "5 x 10^12", "page 12-345-678", "chapter 3.4.5.6", "score 123-456", "the year 2026 had 365 days",
    "Bearer token-based-authentication-scheme", "DE00 3704 0044 0532 0130 00", "GB12 is a form", "000-12-3456", "666-12-3456", "912-34-5678",
    "key: value", "eyJ is how they begin", "SG.1 and SG.2",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (text, kind)
        for kind, texts in (
            ("secret", SECRETS),
            ("email", EMAILS),
            ("phone number", PHONES),
            ("card number", CARDS),
            ("bank account", ACCOUNTS),
            ("social security number", SOCIAL_SECURITY),
        )
        for text in texts
    ],
)
def test_what_is_private_is_taken_out(text: str, kind: str) -> None:
    clean, counts = redact(f"Here it is: {text} and so on.")
    assert counts[kind] == 1, (clean, counts)
    assert clean.startswith("Here it is: ")
    assert clean.endswith(" and so on.")


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redact(f"Look: {text} .") == (f"Look: {text} .", {})


def test_there_are_sixty_of_each() -> None:
    assert len(SECRETS) + len(EMAILS) + len(PHONES) + len(CARDS) >= 60
    assert len(NEAR_MISSES) >= 60


def test_everything_in_a_text_is_counted_and_the_rest_is_kept() -> None:
    text = "Write to anna@example.com or tom@example.com, call +49 30 901820, pay with 4111 1111 1111 1111."
    clean, counts = redact(text)
    assert clean == "Write to [EMAIL] or [EMAIL], call [PHONE_NUMBER], pay with [CARD_NUMBER]."
    assert counts == {"email": 2, "phone number": 1, "card number": 1}


def test_strings_at_any_depth_are_redacted_and_their_names_are_not() -> None:
    from collections import Counter

    counts: Counter[str] = Counter()
    value = {"email": ["anna@example.com", {"deep": "tom@example.com"}], "n": 5, "ok": None}
    assert redact_all(value, counts) == {"email": ["[EMAIL]", {"deep": "[EMAIL]"}], "n": 5, "ok": None}
    assert counts == {"email": 2}
