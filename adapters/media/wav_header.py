"""The header of a wav whose recorder was killed: it tells no length, or more than there is."""

import os
from dataclasses import dataclass

import miniaudio

_SEARCHED = 1 << 20
_MOST = 0xFFFFFFF0
# What may truly follow after no samples at all.
_LATER_CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"smpl", b"cue ", b"fact", b"JUNK", b"PEAK", b"iXML", b"_PMX")


@dataclass(frozen=True)
class Unfinished:
    """Where the samples begin, how many bytes there truly are, and how long they sound."""

    begin: int
    length: int
    seconds: float


def unfinished(descriptor: int) -> Unfinished | None:
    """Return what a wav truly holds whose header was not finished, or None for one whose header is right."""
    head = os.pread(descriptor, _SEARCHED, 0)
    if head[:4] != b"RIFF":
        return None
    there, at, bytes_per_second, block = os.fstat(descriptor).st_size, 12, 0, 1
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt ":
            bytes_per_second = int.from_bytes(head[at + 8 : at + 12], "little")
            block = max(1, int.from_bytes(head[at + 12 : at + 14], "little"))
        if name == b"data":
            real = min((there - at) // block * block, _MOST)
            right = length <= there - at and (length or head[at : at + 4] in _LATER_CHUNKS)
            return None if right or real <= 0 or not bytes_per_second else Unfinished(at, real, real / bytes_per_second)
        at += length + length % 2
    return None


class FinishedWav(miniaudio.StreamableSource):
    """The file with the right length in its header."""

    def __init__(self, descriptor: int, found: Unfinished) -> None:
        self._descriptor, self._found, self._at = descriptor, found, 0

    def read(self, num_bytes: int) -> bytes:
        """Return the next bytes."""
        content = bytearray(os.pread(self._descriptor, num_bytes, self._at))
        for index, value in enumerate(self._found.length.to_bytes(4, "little")):
            place = self._found.begin - 4 + index - self._at
            if 0 <= place < len(content):
                content[place] = value
        self._at += len(content)
        return bytes(content)

    def seek(self, offset: int, origin: miniaudio.SeekOrigin) -> bool:
        """Go on elsewhere."""
        self._at = offset if origin == miniaudio.SeekOrigin.START else self._at + offset
        return self._at >= 0
