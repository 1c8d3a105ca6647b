"""A long document is read once, and questions about it are answered from the cache."""

import random
from pathlib import Path

import pytest
from mcp import Client

from tests.real.asking import ask

pytestmark = [pytest.mark.real, pytest.mark.anyio]

FACTS = {
    "What is the password of the archive?": ("The password of the archive is heron.", "heron"),
    "At what time does the museum open?": ("The museum opens at nine o'clock in the morning.", "nine"),
    "Who is the director of the museum?": ("The director of the museum is Maria Lopez.", "Lopez"),
}
NAMES = ["Adam", "Berta", "Carl", "Doris", "Emil", "Frida", "Georg", "Hanna", "Igor", "Julia"]
CITIES = ["Oslo", "Vienna", "Porto", "Dublin", "Krakow", "Ghent", "Turin", "Bergen"]
TRADES = ["baker", "teacher", "pilot", "nurse", "gardener", "painter", "lawyer"]


def document() -> str:
    """Return about 1,500 tokens: what is asked for, each far from the others, among what is not."""
    chosen = random.Random(5)
    lines = [
        f"{chosen.choice(NAMES)} lives in {chosen.choice(CITIES)} and works as a {chosen.choice(TRADES)}."
        for _ in range(105)
    ]
    for place, (line, _) in zip((15, 60, 100), FACTS.values(), strict=True):
        lines.insert(place, line)
    return "\n".join(lines)


async def test_a_document_is_read_once_for_three_questions(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "museum.txt"
    path.write_text(document())
    told = [await ask(client, prompt=question, files=[str(path)], max_tokens=16) for question in FACTS]
    read = told[0]["usage"]["prompt_tokens"]
    assert 1300 < read < 1700
    assert told[0]["usage"]["cached_tokens"] < 40
    assert all(read - 60 < one["usage"]["cached_tokens"] < one["usage"]["prompt_tokens"] for one in told[1:])
    for one, (_, known) in zip(told, FACTS.values(), strict=True):
        assert known.lower() in one["text"].lower(), [each["text"] for each in told]
