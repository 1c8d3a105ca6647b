"""Write speech that the starter model was not trained on: `python -m adapters.starter.recipes.speech.held_out FOLDER`.

One Ogg Vorbis file with all utterances, half a second of silence before each and after the last, and a JSON list of
what is said where. Tests need these two files, and no synthesiser. Needs libespeak-ng, flite and ffmpeg.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

from adapters.starter.recipes.speech.voices import GRADED, RATE

PAUSE = 0.5


def write(folder: Path, count: int) -> None:
    """`count` utterances of each graded set."""
    quiet = np.zeros(int(PAUSE * RATE), np.int16)
    parts, listed, at = [quiet], list[dict[str, object]](), len(quiet)
    for name, make in GRADED.items():
        for utterance in make(count):
            start, end = at / RATE, (at + len(utterance.samples)) / RATE
            listed.append({"set": name, "text": utterance.text, "voice": utterance.voice, "start": start, "end": end})
            parts += [utterance.samples, quiet]
            at += len(utterance.samples) + len(quiet)
    folder.mkdir(parents=True, exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0"]
    command += [
        "-c:a",
        "libvorbis",
        "-q:a",
        "4",
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        str(folder / "held_out.ogg"),
    ]
    subprocess.run(command, input=np.concatenate(parts).tobytes(), check=True)
    (folder / "held_out.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    write(options.folder, options.count)
