"""Sound from a file of any common format: 16,000 float32 samples a second, one channel, a few seconds at a time.

wav, mp3, flac and Ogg Vorbis are read by miniaudio, all else by ffmpeg in a process of its own. Memory does not grow
with the length.
"""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import miniaudio
import numpy as np

from adapters.errors import FileRefused
from adapters.files import open_file
from adapters.media.containers import Container, container_of
from adapters.media.mixing import Mixer
from adapters.media.programs import find_program
from adapters.media.wav_header import FinishedWav, unfinished

RATE = 16_000
MOST_BYTES = 64 << 30
_CHUNK = RATE * 4
_PROBE_SECONDS = 30
_AUDIBLE = 10 ** (-60 / 20)
_PLAIN = {
    "wav": miniaudio.wav_get_file_info,
    "mp3": miniaudio.mp3_get_file_info,
    "flac": miniaudio.flac_get_file_info,
    "ogg": miniaudio.vorbis_get_file_info,
}
_UNFINISHED = "the file's header was never finished, or its end is missing: it was read to where the file ends"
_READ = "wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov and more are read"
GET_FFMPEG = "install it (macOS: brew install ffmpeg; Debian and Ubuntu: sudo apt install ffmpeg; Windows: winget install ffmpeg)"


@dataclass(frozen=True)
class Track:
    """A sound track: its place among them, and when it ends by the file's clock, None where nothing says it."""

    place: int
    channels: int
    end: float | None


@dataclass(frozen=True)
class SoundFile:
    """A file that holds sound. `seconds` is what its header says, None where it says nothing; `notes` is what is odd.

    `track` is the sound track that is read, where ffmpeg reads it.
    """

    path: Path
    container: Container
    seconds: float | None
    notes: tuple[str, ...] = ()
    track: Track | None = None


def probe(path: Path) -> SoundFile:
    """Return what the sound file at a resolved path is.

    Raises FileRefused when there is no sound in it that can be read.
    """
    with _opened(path) as descriptor:
        start = os.pread(descriptor, 4096, 0)
        if not start:
            raise FileRefused(f"{path} is empty; give a file with sound in it")
        container = container_of(start)
        if container is None:
            raise FileRefused(f"{path} is neither a sound nor a video file; {_READ}")
        if container.name == "wav" and (found := unfinished(descriptor)) is not None:
            return SoundFile(path, container, found.seconds, (_UNFINISHED,))
        if container.plain:
            return SoundFile(path, container, _plain_seconds(descriptor, container))
        tracks = _tracks(path, descriptor, container)
        track = _audible_track(path, descriptor, container, tracks)
        several = f"the file has {len(tracks)} sound tracks, and number {track.place + 1} was read"
        return SoundFile(path, container, track.end, (several,) if len(tracks) > 1 else (), track)


def samples(sound: SoundFile) -> Generator[np.ndarray, None, None]:
    """Yield the sound, about four seconds at a time.

    Raises FileRefused when it is damaged; closing it ends the decoder.
    """
    with _opened(sound.path) as descriptor:
        if sound.container.plain and sound.seconds is not None:
            yield from _plain_samples(sound, descriptor)
        else:
            track = sound.track or _tracks(sound.path, descriptor, sound.container)[0]
            yield from _decoded_samples(sound.path, descriptor, sound.container, track)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = open_file(path, MOST_BYTES)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _by_descriptor(descriptor: int) -> str:
    """Return a name by which the file that is open here is opened again, whatever lies at its path meanwhile."""
    return f"/dev/fd/{descriptor}"


# --- miniaudio


def _plain_info(descriptor: int, container: Container) -> miniaudio.SoundFileInfo | None:
    """Return what the header says, or None when miniaudio cannot read this file: ffmpeg may."""
    try:
        return _PLAIN[container.name](_by_descriptor(descriptor))
    except (miniaudio.MiniaudioError, OSError):
        return None


def _plain_seconds(descriptor: int, container: Container) -> float | None:
    """Return the length; a wav's is no longer than its bytes allow, whatever its header says."""
    info = _plain_info(descriptor, container)
    if info is None or container.name != "wav":
        return info.duration if info else None
    bytes_per_second = max(1, info.sample_rate * info.nchannels * info.sample_width)
    return min(info.duration, os.fstat(descriptor).st_size / bytes_per_second) if info.sample_width else info.duration


def _plain_samples(sound: SoundFile, descriptor: int) -> Generator[np.ndarray, None, None]:
    try:
        # Mixed here: miniaudio's own mix of several channels is louder than each of them.
        info = _plain_info(descriptor, sound.container)
        channels = info.nchannels if info else 1
        as_asked = (miniaudio.SampleFormat.FLOAT32, channels, RATE)
        found = unfinished(descriptor) if sound.container.name == "wav" else None
        if found is None:
            stream = miniaudio.stream_file(_by_descriptor(descriptor), *as_asked, frames_to_read=_CHUNK)
        else:
            source = FinishedWav(descriptor, found)
            stream = miniaudio.stream_any(source, miniaudio.FileFormat.WAV, *as_asked, frames_to_read=_CHUNK)
        mixer = Mixer(channels)
        for chunk in stream:
            yield mixer.mix(np.frombuffer(chunk, np.float32).reshape(-1, channels))
    except miniaudio.MiniaudioError as error:
        raise FileRefused(f"{sound.path} is damaged ({error}); convert it again") from error


# --- ffmpeg


def _program(name: str, path: Path, container: Container) -> str:
    found = find_program(name)
    if found is not None:
        return found
    if container.plain:  # miniaudio has tried
        raise FileRefused(
            f"{path} is damaged, or {container.name} of a kind that only {name} reads; convert it again. If it plays elsewhere, {GET_FFMPEG}"
        )
    raise FileRefused(
        f"{path} is {container.name}, which is read with {name}, and that is not installed: {GET_FFMPEG}, or convert the file to wav, mp3 or flac"
    )


def _input(descriptor: int, container: Container) -> list[str]:
    # The container is told and only files are opened: what a file says to fetch is not fetched.
    return ["-protocol_whitelist", "file", "-f", container.demuxer, "-i", _by_descriptor(descriptor)]


def _tracks(path: Path, descriptor: int, container: Container) -> list[Track]:
    """Return the sound tracks, that which the file marks as the usual one first."""
    entries = "format=duration,start_time:stream=codec_type,channels,start_time,duration:stream_disposition=default"
    command = [_program("ffprobe", path, container), "-v", "error", "-show_entries", f"{entries}:stream_tags=DURATION"]
    try:
        done = subprocess.run(
            [*command, "-of", "json", *_input(descriptor, container)],
            pass_fds=[descriptor], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False,
        )  # fmt: skip
        told = json.loads(done.stdout or b"{}")
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise FileRefused(f"{path} cannot be read: ffprobe gave no answer; convert it to wav") from error
    if done.returncode or not told.get("streams"):
        raise FileRefused(f"{path} is damaged ({_last_line(done.stderr)}); convert it again")
    sounds = [stream for stream in told["streams"] if stream.get("codec_type") == "audio"]
    if not sounds:
        raise FileRefused(f"{path} has no sound in it; give another file")
    usual = [not stream.get("disposition", {}).get("default") for stream in sounds]
    tracks = [
        Track(place, max(1, int(stream.get("channels") or 1)), _end(stream, told.get("format", {})))
        for place, stream in enumerate(sounds)
    ]
    return sorted(tracks, key=lambda track: usual[track.place])


def _audible_track(path: Path, descriptor: int, container: Container, tracks: list[Track]) -> Track:
    """Return the first track that is not silent; each is decoded up to where something can be heard."""
    for track in tracks if len(tracks) > 1 else []:
        with contextlib.closing(_decoded_samples(path, descriptor, container, track)) as pieces:
            if any(len(piece) and float(np.abs(piece).max()) > _AUDIBLE for piece in pieces):
                return track
    return tracks[0]


def _end(stream: dict[str, Any], whole: dict[str, Any]) -> float | None:
    """Return when a track ends by the file's clock; the file as a whole may end later, or the track begin late."""
    length, start = _number(stream.get("duration")), _number(stream.get("start_time")) or 0.0
    if length is not None:
        return max(0.0, start - (_number(whole.get("start_time")) or 0.0)) + length
    tagged = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.get("tags", {}).get("DURATION", ""))
    if tagged:  # in Matroska, this is when it ends
        return int(tagged[1]) * 3600 + int(tagged[2]) * 60 + float(tagged[3])
    return _number(whole.get("duration"))


def _number(told: str | None) -> float | None:
    return float(told) if told and told != "N/A" else None


def _decoded_samples(
    path: Path, descriptor: int, container: Container, track: Track
) -> Generator[np.ndarray, None, None]:
    command = [_program("ffmpeg", path, container), "-nostdin", "-v", "error", *_input(descriptor, container)]
    command += ["-map", f"0:a:{track.place}", "-vn", "-sn", "-dn", "-ac", str(track.channels), "-ar", str(RATE)]
    # Sound that begins later than the picture is heard as late: times are those of the file's clock.
    command += ["-af", "aresample=async=1:first_pts=0", "-f", "f32le", "pipe:1"]
    decoder = subprocess.Popen(
        command, pass_fds=[descriptor], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert decoder.stdout is not None
    mixer, frame, count = Mixer(track.channels), track.channels * 4, 0
    try:
        while chunk := decoder.stdout.read(_CHUNK * frame):
            count += len(chunk)
            whole = np.frombuffer(chunk[: len(chunk) // frame * frame], np.float32)
            yield mixer.mix(whole.reshape(-1, track.channels)).copy()
        _, told = decoder.communicate()
        if decoder.returncode and not count:
            raise FileRefused(f"{path} is damaged ({_last_line(told)}); convert it again")
    finally:
        decoder.kill()
        decoder.communicate()


def _last_line(told: bytes) -> str:
    lines = told.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "nothing was decoded"
