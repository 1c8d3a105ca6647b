"""Sound of common formats becomes the same samples, and what is none is refused with the reason."""

import io
import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import psutil
import pytest

from adapters.errors import FileRefused
from adapters.media import programs
from adapters.media.containers import container_of
from adapters.media.sound import RATE, probe, samples
from tests.sounds import needs_ffmpeg, silence, wav


def tone(seconds: float = 1.5, rate: int = RATE, pitch: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def read(path: Path) -> np.ndarray:
    return np.concatenate([*samples(probe(path)), silence(0)])


def pitch_of(sound: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_any_channels_become_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(tone(rate=rate), rate, channels))
    sound = read(path)
    assert len(sound) == pytest.approx(1.5 * RATE, abs=RATE * 0.02)
    assert pitch_of(sound) == pytest.approx(440, abs=2)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.1)


CODECS = {
    "mp3": ["-c:a", "libmp3lame"], "flac": [], "ogg": ["-c:a", "libvorbis"], "opus": ["-c:a", "libopus"],
    "m4a": ["-c:a", "aac"], "aac": ["-c:a", "aac"], "webm": ["-c:a", "libopus"], "mp4": ["-c:a", "aac"],
    "mov": ["-c:a", "aac"], "aiff": [], "mkv": ["-c:a", "libvorbis"],
}  # fmt: skip


@needs_ffmpeg
@pytest.mark.parametrize("kind", CODECS)
def test_every_common_format_is_read(tmp_path: Path, kind: str) -> None:
    source, path = tmp_path / "source.wav", tmp_path / f"sound.{kind}"
    source.write_bytes(wav(tone()))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, *CODECS[kind], path], check=True)
    found = probe(path)
    assert found.seconds == pytest.approx(1.5, abs=0.15) or kind == "aac"  # a bare stream tells no sure length
    sound = read(path)
    assert len(sound) == pytest.approx(1.5 * RATE, abs=RATE * 0.15)
    assert pitch_of(sound) == pytest.approx(440, abs=5)


@needs_ffmpeg
def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path: Path) -> None:
    source, path = tmp_path / "source.wav", tmp_path / "sound.mp3"
    source.write_bytes(wav(tone()))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-f", "flac", path], check=True)
    assert probe(path).container.name == "flac"


@needs_ffmpeg
def test_the_sound_of_a_film_is_read_and_a_silent_film_is_refused(tmp_path: Path) -> None:
    film, silent = tmp_path / "film.mp4", tmp_path / "silent.mp4"
    picture = ["-f", "lavfi", "-i", "color=c=red:s=64x64:d=1:r=10"]
    voice = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, *voice, "-c:a", "aac", "-shortest", film], check=True)
    subprocess.run(["ffmpeg", "-v", "error", *picture, silent], check=True)
    assert pitch_of(read(film)) == pytest.approx(440, abs=5)
    with pytest.raises(FileRefused, match="no sound"):
        probe(silent)


def wav_of(channels: list[np.ndarray]) -> bytes:
    """A wav whose channels differ."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.stack(channels, axis=1) * 32767).astype("<i2").tobytes())
    return content.getvalue()


VOICES = {
    "opposite phase": [tone(), -tone()],
    "one side": [tone(), silence(1.5)],
    "one of six": [silence(1.5)] * 4 + [tone()] + [silence(1.5)],
}


@pytest.mark.parametrize("kind", VOICES)
def test_a_voice_is_loud_whichever_channels_it_is_in(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_of(VOICES[kind]))
    sound = read(path)
    assert pitch_of(sound) == pytest.approx(440, abs=2)
    assert 0.3 < np.abs(sound[RATE // 2 :]).max() < 0.55


@needs_ffmpeg
@pytest.mark.parametrize("kind", VOICES)
def test_a_voice_is_loud_in_any_channels_of_a_film_too(tmp_path: Path, kind: str) -> None:
    source, path = tmp_path / "a.wav", tmp_path / "a.mkv"
    source.write_bytes(wav_of(VOICES[kind]))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "flac", path], check=True)
    sound = read(path)
    assert pitch_of(sound) == pytest.approx(440, abs=2)
    assert 0.3 < np.abs(sound[RATE // 2 :]).max() < 0.55


def test_channels_that_agree_are_their_mean_sample_for_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_of([tone(), tone() * 0.8]))
    assert np.abs(read(path) - tone() * 0.9).max() < 0.001


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_sound_that_begins_after_the_picture_is_heard_when_it_is_played(tmp_path: Path, kind: str) -> None:
    source, path = tmp_path / "a.wav", tmp_path / f"late.{kind}"
    source.write_bytes(wav(tone()))
    picture = ["-f", "lavfi", "-i", "color=c=red:s=64x64:d=6:r=10"]
    late = ["-itsoffset", "3", "-i", source, "-map", "0:v", "-map", "1:a", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, *late, path], check=True)
    sound = read(path)
    assert np.flatnonzero(np.abs(sound) > 0.1)[0] / RATE == pytest.approx(3, abs=0.1)
    assert probe(path).seconds == pytest.approx(len(sound) / RATE, abs=0.1)


@needs_ffmpeg
@pytest.mark.parametrize(("usual", "quiet", "read_track"), [(0, None, 1), (1, None, 2), (0, 0, 2), (1, 1, 1)])
def test_of_several_sound_tracks_the_usual_one_is_read_unless_it_is_silent(
    tmp_path: Path, usual: int, quiet: int | None, read_track: int
) -> None:
    path, command = tmp_path / "a.mkv", ["ffmpeg", "-v", "error"]
    for place, pitch in enumerate((440, 880)):
        source = tmp_path / f"{place}.wav"
        source.write_bytes(wav(silence(1.5) if place == quiet else tone(pitch=pitch)))
        command += ["-i", str(source)]
    command += ["-map", "0:a", "-map", "1:a", "-c:a", "flac"]
    command += [f"-disposition:a:{1 - usual}", "0", f"-disposition:a:{usual}", "default", str(path)]
    subprocess.run(command, check=True)
    assert probe(path).notes == (f"the file has 2 sound tracks, and number {read_track} was read",)
    assert pitch_of(read(path)) == pytest.approx(440 * read_track, abs=5)


def lying_wav(told: int, real: bytes) -> bytes:
    """A header that promises `told` bytes of samples before the real ones."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        min(36 + told, 2**32 - 1),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        RATE,
        RATE * 2,
        2,
        16,
        b"data",
        told,
    )
    return head + real


def test_a_header_that_promises_too_much_gives_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "lying.wav"
    path.write_bytes(lying_wav(4_000_000_000, (tone() * 32767).astype("<i2").tobytes()))
    sound = read(path)
    assert len(sound) == pytest.approx(1.5 * RATE, abs=RATE * 0.1)


@pytest.mark.parametrize("told", [0, 2**32 - 1, 4_000_000_000])
def test_a_recording_whose_header_was_never_finished_is_read_to_its_end(tmp_path: Path, told: int) -> None:
    path = tmp_path / "killed.wav"
    path.write_bytes(lying_wav(told, (tone() * 32767).astype("<i2").tobytes()))
    found = probe(path)
    assert found.seconds == pytest.approx(1.5)
    assert "never finished" in found.notes[0]
    assert np.abs(read(path) - tone()).max() < 0.001


def test_a_finished_header_has_no_note(tmp_path: Path) -> None:
    path = tmp_path / "whole.wav"
    path.write_bytes(wav(tone()))
    assert probe(path).notes == ()


def test_a_header_that_promises_too_little_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "lying.wav"
    path.write_bytes(lying_wav(RATE, (tone() * 32767).astype("<i2").tobytes()))
    assert len(read(path)) == pytest.approx(0.5 * RATE, abs=RATE * 0.1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "neither"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "neither"),
        (b"hello", "neither"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "damaged|not installed"),
        (b"fLaC" + bytes(100), "damaged|not installed"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither"),
    ],
    ids=["empty", "playlist", "list of files", "text", "wav head", "flac head", "picture"],
)
def test_what_is_no_sound_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with pytest.raises(FileRefused, match=reason):
        read(path)


def test_a_format_that_needs_ffmpeg_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "memo.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(200))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "FOLDERS", ())
    with pytest.raises(
        FileRefused, match=r"ffprobe, and that is not installed: install it .*brew install ffmpeg.*or convert"
    ):
        probe(path)


def test_ffmpeg_is_found_where_homebrew_puts_it_though_path_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brew").mkdir()
    program = tmp_path / "brew" / "ffmpeg"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "FOLDERS", (str(tmp_path / "nowhere"), str(tmp_path / "brew")))
    assert programs.find_program("ffmpeg") == str(program)
    assert programs.find_program("ffprobe") is None


@needs_ffmpeg
def test_closing_a_sound_early_ends_its_decoder(tmp_path: Path) -> None:
    source, path = tmp_path / "source.wav", tmp_path / "sound.m4a"
    source.write_bytes(wav(tone(60)))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, path], check=True)
    pieces = samples(probe(path))
    next(pieces)
    assert [child.name() for child in psutil.Process().children()].count("ffmpeg") == 1
    pieces.close()
    assert not [child for child in psutil.Process().children() if child.name() == "ffmpeg"]


def test_a_frame_of_mpeg_audio_is_known_without_a_tag() -> None:
    assert container_of(b"\xff\xfb\x90\x64" + bytes(60)).name == "mp3"  # pyright: ignore[reportOptionalMemberAccess]
    assert container_of(b"\xff\xf1\x50\x80" + bytes(60)).name == "aac"  # pyright: ignore[reportOptionalMemberAccess]
    assert container_of(b"\xff\xd8\xff\xe0" + bytes(60)) is None  # a JPEG
