"""Whisper tiny.en hears a person who reads aloud, and a longer speech of a synthetic voice."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from mcp import Client

from tests.real import whisper_tiny
from tests.real.asking import finished
from tests.real.readings import readings
from tests.running import Home
from tests.sounds import silence, wav, word_errors

pytestmark = [pytest.mark.real, pytest.mark.anyio]

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="this voice is espeak-ng's, which is not here"
)
SPEECH = """The library opens early in the morning. Please bring your card and a pencil.
The train to the coast leaves from the second platform, and the journey takes about two hours.
When the rain had stopped, the children ran down to the river and looked for stones.
Most of the people in the village keep a garden, and some of them sell vegetables at the market.
The doctor asked me to come back next week, because the results were not ready yet."""


@pytest.fixture
async def client(shared_home: Home, tmp_path: Path) -> AsyncIterator[Client]:
    """A client that hears with Whisper."""
    folder = whisper_tiny.folder()
    granted = ("--allow", str(tmp_path), "--allow", str(folder.parent))
    async with shared_home.client("--speech-model", str(folder), *granted) as client:
        yield client


def words(text: str) -> str:
    """The words alone, in small letters."""
    return " ".join(re.findall(r"[a-z']+", text.lower().replace("mr.", "mister").replace("-", " ")))


def error_rate(told: dict[str, Any], wanted: str) -> float:
    return word_errors(words(told["text"]), words(wanted)) / len(words(wanted).split())


@pytest.mark.parametrize("pause", [0.5, 5.0])
async def test_a_person_who_reads_aloud_is_heard_through_pauses(client: Client, tmp_path: Path, pause: float) -> None:
    read = readings()
    path = tmp_path / "reading.wav"
    path.write_bytes(wav(np.concatenate([piece for one in read for piece in (one.samples, silence(pause))])))
    told = await finished(client, "transcribe", audio=str(path))
    assert error_rate(told, " ".join(one.text for one in read)) < 0.1
    starts = [segment["start"] for segment in told["segments"]]
    assert starts == sorted(starts)
    assert told["segments"][-1]["end"] <= told["duration_s"]


@needs_espeak
async def test_a_speech_longer_than_a_window_is_heard_whole(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    with anyio.fail_after(60):
        await anyio.run_process(["espeak-ng", "-s", "130", "-w", str(path), SPEECH])
    told = await finished(client, "transcribe", audio=str(path))
    assert told["duration_s"] > 30
    assert error_rate(told, SPEECH) < 0.2
