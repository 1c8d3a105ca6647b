"""A person who reads aloud: five sentences of Jane Austen from LibriVox (public domain), 16 kHz, with what is said.

They lie in the test data of pocketsphinx, in its source archive.
"""

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.media.sound import probe, samples
from tests.real.packages import Package, made

PACKAGE = Package(
    "pocketsphinx", "5.1.1", "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355", source=True
)
INSIDE = "test/data/librivox/"
# A line of the transcription: <s> what is said </s> (the file's name)
LINE = re.compile(r"<s> (?P<text>.+?) +</s> \((?P<name>.+)\)")


@dataclass(frozen=True)
class Reading:
    text: str
    samples: np.ndarray


def readings() -> list[Reading]:
    """Return the sentences in their order. Skips the test when the package cannot be had."""
    folder = made("readings", PACKAGE, unpack)
    lines = LINE.finditer((folder / "transcription").read_text(encoding="utf-8"))
    return [Reading(line["text"], _sound(folder / f"{line['name']}.wav")) for line in lines]


def unpack(archive: Path, target: Path) -> None:
    """Write the sounds and their transcription into the folder."""
    with tarfile.open(archive) as members:
        for member in members:
            path = Path(member.name)
            content = members.extractfile(member) if f"{path.parent}/".endswith(INSIDE) else None
            if content and (path.suffix == ".wav" or path.name == "transcription"):
                (target / path.name).write_bytes(content.read())


def _sound(path: Path) -> np.ndarray:
    return np.concatenate(list(samples(probe(path))))
