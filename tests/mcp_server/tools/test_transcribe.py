"""`transcribe` through the whole stack: a real client, a real stdio subprocess, held-out speech."""

import json
import os
import random
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import psutil
import pysubs2
import pytest
from mcp import Client

from adapters.media.sound import RATE
from tests.running import ERAS, Home, answer, text, until
from tests.sounds import Spoken, held_out, needs_ffmpeg, silence, wav, word_errors

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(shared_home: Home, tmp_path: Path) -> AsyncIterator[Client]:
    """A client with the test's folder granted."""
    async with shared_home.client("--allow", str(tmp_path)) as client:
        yield client


async def hear(client: Client, audio: Path, **arguments: Any) -> dict[str, Any]:
    return answer(await client.call_tool("transcribe", {"audio": str(audio), **arguments}))


async def refused(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("transcribe", arguments)
    assert result.is_error, result
    return text(result)


def spoken(kind: str, count: int, seed: int = 1) -> list[Spoken]:
    return random.Random(seed).sample([one for one in held_out() if one.kind == kind], count)


def write(path: Path, *pieces: np.ndarray, rate: int = RATE) -> Path:
    path.write_bytes(wav(np.concatenate(pieces), rate))
    return path


def errors(said: list[str], wanted: list[str]) -> float:
    """The word error rate."""
    wrong = sum(word_errors(a, b) for a, b in zip(said, wanted, strict=True))
    return wrong / sum(len(one.split()) for one in wanted)


def joined(count: int, pause: float = 0.6, seed: int = 3) -> tuple[np.ndarray, list[str]]:
    """Known utterances one after another, each a pause after the other, and what they say."""
    chosen = [one for one in held_out() if one.kind == "new voices"]
    random.Random(seed).shuffle(chosen)
    chosen = (chosen * (count // len(chosen) + 1))[:count]
    return np.concatenate([piece for one in chosen for piece in (one.samples, silence(pause))]), [
        o.text for o in chosen
    ]


async def warmed(home: Home, folder: Path) -> None:
    """Have the engine up with the model in memory: a short deadline then belongs to the work alone."""
    async with home.client("--allow", str(folder)) as client:
        await hear(client, write(folder / "warm.wav", spoken("new voices", 1)[0].samples))


# --- what it hears


@pytest.mark.parametrize("era", ERAS)
async def test_a_command_is_written_down_and_the_answer_says_by_whom(
    shared_home: Home, tmp_path: Path, era: Any
) -> None:
    (one,) = spoken("new voices", 1)
    path = write(tmp_path / "note.wav", one.samples)
    async with shared_home.client("--allow", str(tmp_path), era=era) as client:
        result = await client.call_tool("transcribe", {"audio": str(path)})
    told = answer(result)
    assert told["text"] == one.text
    assert (told["state"], told["model"], told["language"]) == ("done", "starter-speech", "en")
    assert told["audio_format"] == "wav"
    assert told["duration_s"] == pytest.approx(len(one.samples) / RATE, abs=0.1)
    assert told["job"].startswith("hear-")
    assert told["segments"][0]["text"] == one.text
    assert one.text in text(result)
    assert told["job"] in text(result)


@pytest.mark.parametrize(("kind", "rate"), [("new voices", 0.12), ("new sentences", 0.12)])
async def test_held_out_commands_are_written_down_right(client: Client, tmp_path: Path, kind: str, rate: float) -> None:
    chosen = spoken(kind, 12)
    said = [(await hear(client, write(tmp_path / f"{i}.wav", one.samples)))["text"] for i, one in enumerate(chosen)]
    assert errors(said, [one.text for one in chosen]) <= rate


async def test_nothing_is_lost_or_doubled_at_the_seams_of_a_long_file(client: Client, tmp_path: Path) -> None:
    sound, wanted = joined(60)
    seconds = len(sound) / RATE
    assert seconds > 100  # several windows
    told = await hear(client, write(tmp_path / "long.wav", sound))
    while told["state"] != "done":
        told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 50}))
    assert errors([told["text"]], [" ".join(wanted)]) < 0.15
    assert len(told["text"].split()) == pytest.approx(sum(len(one.split()) for one in wanted), rel=0.06)
    starts = [segment["start"] for segment in told["segments"]]
    assert starts == sorted(starts)
    assert told["segments"][-1]["end"] <= seconds + 0.01


async def test_subtitles_obey_the_rules_and_a_library_reads_them(client: Client, tmp_path: Path) -> None:
    sound, _ = joined(14)
    path = write(tmp_path / "talk.wav", sound)
    for kind in ("srt", "vtt"):
        told = await hear(client, path, format=kind, timestamps="word")
        cues = pysubs2.SSAFile.from_string(told["text"], format_=kind)
        assert len(cues) > 3
        for cue, following in zip(cues, [*cues[1:], None], strict=True):
            lines = cue.plaintext.splitlines()
            assert 1 <= len(lines) <= 2
            assert all(len(line) <= 42 for line in lines)
            assert 1000 <= cue.duration <= 7000
            assert cue.end <= told["duration_s"] * 1000 + 1
            assert following is None or cue.end <= following.start
        shown = " ".join(cue.plaintext for cue in cues).split()
        assert shown == " ".join(segment["text"] for segment in told["segments"]).split()
        assert told["segments"][0]["words"][0]["text"] == shown[0]


async def test_json_has_all_times(client: Client, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    told = await hear(client, write(tmp_path / "a.wav", silence(2), one.samples), format="json", timestamps="word")
    content = json.loads(told["text"])
    assert content["text"] == one.text
    assert content["segments"][0]["start"] == pytest.approx(2.1, abs=0.5)
    assert [word["text"].strip() for word in content["segments"][0]["words"]] == one.text.split()


async def test_timestamps_may_be_left_out(client: Client, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    assert "segments" not in await hear(client, write(tmp_path / "a.wav", one.samples), timestamps="none")


@pytest.mark.parametrize("seconds", [0.05, 5, 70])
async def test_silence_gives_an_empty_transcript(client: Client, tmp_path: Path, seconds: float) -> None:
    told = await hear(client, write(tmp_path / "a.wav", silence(seconds)))
    assert told["state"] == "done"
    assert told["text"] == ""
    assert "no speech was found" in told["note"]


async def test_noise_gives_no_invented_sentence(client: Client, tmp_path: Path) -> None:
    hiss = (np.random.default_rng(1).standard_normal(6 * RATE) * 0.01).astype(np.float32)
    told = await hear(client, write(tmp_path / "a.wav", hiss))
    assert len(told["text"].split()) <= 1


@pytest.mark.parametrize("rate", [8000, 44_100])
async def test_any_sample_rate_is_heard(client: Client, tmp_path: Path, rate: int) -> None:
    from scipy.signal import resample_poly

    (one,) = spoken("new voices", 1, seed=5)
    sound = np.asarray(resample_poly(one.samples, rate // 100, RATE // 100), np.float32)
    told = await hear(client, write(tmp_path / "a.wav", sound, rate=rate))
    assert word_errors(told["text"], one.text) <= (0 if rate > RATE else 2)


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["m4a", "opus", "mp4", "webm"])
async def test_what_phones_and_browsers_record_is_heard(client: Client, tmp_path: Path, kind: str) -> None:
    (one,) = spoken("new voices", 1)
    source = write(tmp_path / "a.wav", one.samples)
    path = tmp_path / f"memo.{kind}"
    picture = ["-f", "lavfi", "-i", "color=c=blue:s=64x64:r=5", "-shortest"] if kind in ("mp4", "webm") else []
    await anyio.run_process(["ffmpeg", "-v", "error", "-i", str(source), *picture, str(path)])
    assert (await hear(client, path))["text"] == one.text


async def test_hints_and_the_right_language_are_taken(client: Client, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    path = write(tmp_path / "a.wav", one.samples)
    told = await hear(client, path, language="English", prompt="kitchen")
    assert word_errors(told["text"], one.text) <= 1


# --- what it writes


async def test_a_transcript_is_saved_where_it_was_asked_for_and_never_over_another(
    client: Client, tmp_path: Path
) -> None:
    (one,) = spoken("new voices", 1)
    path = write(tmp_path / "a.wav", one.samples)
    told = await hear(client, path, save_to=str(tmp_path / "talk"), format="srt")
    saved = tmp_path / "talk.srt"
    assert told["file"] == str(saved)
    assert saved.read_text() == told["text"]
    assert saved.stat().st_mode & 0o077 == 0
    message = await refused(client, audio=str(path), save_to=str(saved), format="srt")
    assert "exists already" in message
    assert saved.read_text() == told["text"]
    assert "outside the granted folders" in await refused(client, audio=str(path), save_to="/etc/transcript.txt")
    assert "no folder" in await refused(client, audio=str(path), save_to=str(tmp_path / "no" / "such.txt"))
    assert "plain file name" in await refused(client, audio=str(path), save_to="../up.txt")


async def test_a_plain_name_goes_to_the_output_folder(shared_home: Home, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    path = write(tmp_path / "a.wav", one.samples)
    output = tmp_path / "out"
    output.mkdir()
    async with shared_home.client("--allow", str(tmp_path), "--output", str(output)) as client:
        told = await hear(client, path, save_to="note")
    assert told["file"] == str(output / "note.txt")
    assert (output / "note.txt").read_text() == one.text + "\n"


async def test_read_only_writes_no_file(shared_home: Home, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    path = write(tmp_path / "a.wav", one.samples)
    async with shared_home.client("--allow", str(tmp_path), "--read-only") as client:
        assert (await hear(client, path))["text"] == one.text
        assert "--read-only" in await refused(client, audio=str(path), save_to=str(tmp_path / "x.txt"))


# --- what it refuses


async def test_bad_files_get_the_reason_quickly_and_the_engine_lives(client: Client, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    good = write(tmp_path / "good.wav", one.samples)
    contents = {
        "empty.wav": b"", "text.wav": b"hello", "playlist.mp3": b"#EXTM3U\nfile:///etc/passwd\n",
        "cut.flac": b"fLaC" + bytes(50), "picture.wav": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to("/etc/hostname")
    cases = {
        "empty.wav": "empty", "text.wav": "neither a sound nor a video", "playlist.mp3": "neither a sound nor a video",
        "cut.flac": "damaged", "picture.wav": "neither a sound nor a video", "pipe.wav": "not a regular file",
        "folder.wav": "is a folder", "link.wav": "outside the granted folders", "missing.wav": "there is no file",
        "/dev/zero": "outside the granted folders", "https://example.com/a.wav": "read from a file",
        "data:audio/wav;base64,AAAA": "read from a file",
    }  # fmt: skip
    for name, reason in cases.items():
        began = time.monotonic()
        audio = name if name.startswith(("/", "https:", "data:")) else str(tmp_path / name)
        assert reason in await refused(client, audio=audio), name
        assert time.monotonic() - began < 5
    assert (await hear(client, good))["text"] == one.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"language": "klingon"}, "it knows en"),
        ({"language": "fr"}, "it knows en"),
        ({"task": "translate"}, "does not translate"),
        ({"task": "sing"}, "task"),
        ({"format": "docx"}, "format"),
        ({"speakers": 2}, "speakers"),
        ({"model": "starter"}, "starter is a text model and cannot hear"),
        ({"model": "starter-vision"}, "starter-vision is a vision model and cannot hear"),
        ({"model": "starter-speach"}, "starter-speech"),
    ],
)
async def test_bad_arguments_get_the_way_out(
    client: Client, tmp_path: Path, arguments: dict[str, Any], reason: str
) -> None:
    (one,) = spoken("new voices", 1)
    path = write(tmp_path / "a.wav", one.samples)
    assert reason in await refused(client, audio=str(path), **arguments)


async def test_ten_hours_are_refused_before_anything_is_decoded(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    seconds = 10 * 3600
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + seconds * RATE * 2, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16,
        b"data", seconds * RATE * 2,
    )  # fmt: skip
    with path.open("wb") as file:
        file.write(head)
        file.truncate(44 + seconds * RATE * 2)  # a hole: it takes no room
    began = time.monotonic()
    message = await refused(client, audio=str(path))
    assert "10.0 hours long and may be 8" in message
    assert "longest_audio_hours" in message
    assert time.monotonic() - began < 5


@needs_ffmpeg
async def test_a_file_whose_end_is_missing_says_so(client: Client, tmp_path: Path) -> None:
    (one,) = spoken("new voices", 1)
    hiss = (np.random.default_rng(1).standard_normal(40 * RATE) * 0.01).astype(np.float32)
    source, whole, cut = write(tmp_path / "a.wav", one.samples, hiss), tmp_path / "a.m4a", tmp_path / "cut.m4a"
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-b:a", "64k", "-movflags", "faststart", str(whole)]
    await anyio.run_process(command)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    told = await hear(client, cut)
    assert told["text"].startswith(one.text)
    assert "could be read: its end is missing or damaged" in told["note"]


async def test_a_recording_whose_header_was_never_finished_is_heard_whole_and_says_so(
    client: Client, tmp_path: Path
) -> None:
    (one,) = spoken("new voices", 1)
    content = bytearray(wav(one.samples))
    content[4:8] = content[40:44] = bytes(4)
    path = tmp_path / "killed.wav"
    path.write_bytes(content)
    told = await hear(client, path)
    assert told["text"] == one.text
    assert told["duration_s"] == pytest.approx(len(one.samples) / RATE, abs=0.01)
    assert "header was never finished" in told["note"]


# --- jobs


async def test_a_long_file_is_handed_over_goes_on_and_is_told_whole(own_home: Home, tmp_path: Path) -> None:
    sound, wanted = joined(70)
    path = write(tmp_path / "long.wav", sound)
    await warmed(own_home, tmp_path)
    async with own_home.client("--allow", str(tmp_path), "--reply-within", "1") as client:
        result = await client.call_tool("transcribe", {"audio": str(path), "save_to": str(tmp_path / "all.txt")})
        told = answer(result)
        assert told["state"] == "running"
        assert "check-job" in text(result)
    seen: list[str] = []
    async with own_home.client("--allow", str(tmp_path)) as client:
        while told["state"] == "running":
            told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 2}))
            seen.append(told["text"])
    assert told["state"] == "done"
    assert errors([told["text"]], [" ".join(wanted)]) < 0.15
    assert (tmp_path / "all.txt").read_text() == told["text"] + "\n"
    partial = [one for one in seen[:-1] if one]
    assert all(told["text"].startswith(one) for one in partial)


async def test_progress_is_told_upwards_in_seconds_heard(shared_home: Home, tmp_path: Path) -> None:
    sound, _ = joined(16)
    path = write(tmp_path / "talk.wav", sound)
    told: list[tuple[float, str]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del total
        told.append((progress, message or ""))

    async with shared_home.client("--allow", str(tmp_path)) as client:
        await client.call_tool("transcribe", {"audio": str(path)}, progress_callback=note)
    percents = [percent for percent, _ in told]
    assert percents == sorted(percents)
    assert any(message.startswith("listening ") and message.endswith("seconds") for _, message in told)


async def test_cancelling_ends_the_decoder_and_keeps_what_was_heard(own_home: Home, tmp_path: Path) -> None:
    sound, _ = joined(100)
    path = write(tmp_path / "long.wav", sound)
    await warmed(own_home, tmp_path)
    async with own_home.client("--allow", str(tmp_path), "--reply-within", "1") as client:
        told = await hear(client, path)
        engine = own_home.engines()[0]

        async def heard() -> None:
            while not answer(await client.call_tool("check-job", {"job": told["job"]}))["text"]:
                await anyio.sleep(0.1)

        with anyio.fail_after(60):
            await heard()
        began = time.monotonic()
        cancelled = answer(await client.call_tool("cancel-job", {"job": told["job"]}))
        assert time.monotonic() - began < 2
        assert cancelled["state"] == "cancelled"
        assert cancelled["text"]
        await until(lambda: not threads_named(engine, "decode"), "the decoding thread ends")
        (one,) = spoken("new voices", 1)
        short = await hear(client, write(tmp_path / "short.wav", one.samples))
        while short["state"] == "running":
            short = answer(await client.call_tool("check-job", {"job": short["job"], "wait_seconds": 5}))
        assert short["text"] == one.text


def threads_named(process: psutil.Process, name: str) -> list[str]:
    """Threads of a process by the name that the system knows; newer Pythons tell it theirs."""
    found = []
    for thread in Path(f"/proc/{process.pid}/task").glob("*/comm"):
        found += [thread.read_text().strip()] if thread.exists() and name in thread.read_text() else []
    return found


async def test_a_chat_is_answered_while_a_recording_is_heard(own_home: Home, tmp_path: Path) -> None:
    sound, _ = joined(60)
    path = write(tmp_path / "long.wav", sound)
    await warmed(own_home, tmp_path)
    async with own_home.client("--allow", str(tmp_path), "--reply-within", "1") as client:
        told = await hear(client, path)
        assert told["state"] == "running"
        async with own_home.client() as other:
            chat = answer(await other.call_tool("generate", {"prompt": "Reverse the words: red green blue"}))
        assert chat["text"] == "blue green red"
        state = answer(await client.call_tool("check-job", {"job": told["job"]}))["state"]
        assert state == "running"
        await client.call_tool("cancel-job", {"job": told["job"]})


async def test_a_killed_engine_says_what_happened_and_costs_no_session(own_home: Home, tmp_path: Path) -> None:
    sound, _ = joined(60)
    path = write(tmp_path / "long.wav", sound)
    await warmed(own_home, tmp_path)
    async with own_home.client("--allow", str(tmp_path), "--reply-within", "1") as client:
        told = await hear(client, path)
        own_home.engines()[0].kill()
        asked = {"job": told["job"], "wait_seconds": 1}
        while (found := await client.call_tool("check-job", asked)).is_error:
            assert "has not answered in time; ask again" in text(found)  # the engine starts anew, which takes a moment
        after = answer(found)
        assert after["state"] == "failed"
        assert "engine stopped" in after["error"]
        (one,) = spoken("new voices", 1)
        short = await hear(client, write(tmp_path / "short.wav", one.samples))
        while short["state"] == "running":
            short = answer(await client.call_tool("check-job", {"job": short["job"], "wait_seconds": 5}))
        assert short["text"] == one.text


def test_segments_of_a_long_recording_are_bounded(shared_home: Home, tmp_path: Path) -> None:
    from adapters.protocol.generation import Timing
    from adapters.protocol.jobs import JobView, Progress
    from adapters.protocol.transcription import Segment, Transcribed
    from adapters.settings import read_settings
    from mcp_server.tools.transcribe import MOST_SEGMENTS, transcript_of

    segments = [Segment(text=f"sentence number {i}", start=i, end=i + 1) for i in range(5000)]
    whole = " ".join(segment.text for segment in segments)
    outcome = Transcribed(
        model="m", text=whole, rendered=whole, format="text", language="en", duration_s=5000, segments=segments,
        audio_format="wav", timing=Timing(queued_s=0, load_s=0, first_token_s=None, total_s=1, tokens_per_second=None),
    )  # fmt: skip
    view = JobView(
        job="hear-000000000000", kind="transcribe", state="done", model="m", created=0, progress=Progress(phase="listening"),
        outcome=outcome,
    )  # fmt: skip
    with shared_home.entered():
        told = transcript_of(view, read_settings(output=tmp_path))
    assert told.truncated
    assert len(told.text) == 40_000
    assert len(told.segments or []) == MOST_SEGMENTS
    assert Path(str(told.file)).read_text() == whole
