"""Where ffmpeg and ffprobe are."""

import os
import shutil

# A client that was started from the desktop knows nothing of a shell's PATH.
FOLDERS = ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin")


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH, or else where Homebrew and MacPorts install it; None when it is nowhere."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(FOLDERS))
