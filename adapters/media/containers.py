"""What a sound or video file truly is, by its first bytes.

A decoder is told the container and tries no other: playlists and the like, which name further files or addresses to
open, are never read as such.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """`name` for people, `demuxer` for ffmpeg; `video` when it may hold pictures; `plain` when it is read without
    ffmpeg.
    """

    name: str
    demuxer: str
    video: bool = False
    plain: bool = False


_WAV = Container("wav", "wav", plain=True)
_MP3 = Container("mp3", "mp3", plain=True)
_FLAC = Container("flac", "flac", plain=True)
_VORBIS = Container("ogg", "ogg", plain=True)
_OGG = Container("ogg", "ogg", video=True)
_MP4 = Container("mp4", "mov", video=True)
_M4A = Container("m4a", "mov")
_MATROSKA = Container("matroska", "matroska", video=True)
_AVI = Container("avi", "avi", video=True)
_GIF = Container("gif", "gif", video=True)
_MPEG_TS = Container("mpeg-ts", "mpegts", video=True)
_MPEG_PS = Container("mpeg", "mpeg", video=True)


def container_of(start: bytes) -> Container | None:
    """Return the container of a file that begins with these bytes (4 KiB are enough), or None for one that is not read."""
    found = _by_mark(start) or _by_brand(start)
    if found is None and _is_mpeg_audio(start):
        return Container("aac", "aac") if start[1] & 0xF6 == 0xF0 else _MP3
    return found


def _by_mark(start: bytes) -> Container | None:
    if start[:4] in (b"RIFF", b"RIFX", b"RF64") and start[8:12] == b"WAVE":
        return _WAV
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return _AVI
    if start[:4] == b"OggS":
        return _VORBIS if b"\x01vorbis" in start[:128] else _OGG
    marks: list[tuple[bytes, Container]] = [
        (b"ID3", _MP3), (b"fLaC", _FLAC), (b"\x1aE\xdf\xa3", _MATROSKA), (b"GIF8", _GIF),
        (b"caff", Container("caf", "caf")), (b"#!AMR", Container("amr", "amr")),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container("wma", "asf", video=True)),
        (b"FLV\x01", Container("flv", "flv", video=True)), (b"\x00\x00\x01\xba", _MPEG_PS),
    ]  # fmt: skip
    for mark, container in marks:
        if start.startswith(mark):
            return container
    if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
        return Container("aiff", "aiff")
    if start[:1] == b"G" and start[188:189] == b"G" and start[376:377] == b"G":
        return _MPEG_TS
    return None


def _by_brand(start: bytes) -> Container | None:
    """Return the family of MP4: a box of the type `ftyp`, or an older QuickTime file that begins with another box."""
    if start[4:8] == b"ftyp":
        return _M4A if start[8:11] in (b"M4A", b"M4B") else _MP4
    return _MP4 if start[4:8] in (b"moov", b"mdat", b"wide", b"free") else None


def _is_mpeg_audio(start: bytes) -> bool:
    """The sync word of an MPEG audio frame, of layer 1 to 3, or of AAC in ADTS."""
    return len(start) > 3 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 0x18 != 0x08
