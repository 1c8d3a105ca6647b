"""Frames of a video, at even distances over its length, each with its time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

from adapters.errors import FileRefused
from adapters.files import open_file
from adapters.media.containers import container_of
from adapters.media.images import MOST_PIXELS, scaled

MOST_BYTES = 16 << 30
MOST_FRAMES = 16
# Pixels of a frame that a model sees: a video shows many.
MOST_PIXELS_SEEN = 300_000
_SECONDS_BETWEEN = 1.0


@dataclass(frozen=True)
class Frame:
    """A picture in RGB, and when it is shown, in seconds."""

    image: Image.Image
    seconds: float


@dataclass(frozen=True)
class Video:
    """Frames in order; width and height of the file; its length in seconds; what kind of file it truly is."""

    frames: list[Frame]
    format: str
    width: int
    height: int
    seconds: float


def read_video(path: Path, most_frames: int = MOST_FRAMES) -> Video:
    """Sample a video at a resolved path: a frame a second, fewer when it is long.

    Raises FileRefused when it is no video, damaged, or too large.
    """
    descriptor = open_file(path, MOST_BYTES)
    try:
        start = os.pread(descriptor, 4096, 0)
        container = container_of(start)
        if not start or container is None or not container.video:
            what = "empty" if not start else f"{container.name} sound" if container else "not a video"
            raise FileRefused(f"{path} is {what}; give a video such as mp4, mov, webm, mkv, avi or gif")
        with _capture(path, descriptor) as capture:
            return _sampled(path, container.name, capture, most_frames)
    finally:
        os.close(descriptor)


@contextmanager
def _capture(path: Path, descriptor: int) -> Iterator[Any]:
    # Only files are opened: what a file says to fetch is not fetched.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    capture = cv2.VideoCapture(f"/dev/fd/{descriptor}", cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise FileRefused(f"{path} is damaged, or in a format that is not known here; convert it to mp4")
        yield capture
    finally:
        capture.release()


def _sampled(path: Path, kind: str, capture: Any, most_frames: int) -> Video:
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MOST_PIXELS:
        raise FileRefused(f"{path} has frames of {width} x {height} pixels, which is too many; scale it down")
    rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if rate > 0 and count > 0:
        frames = _by_seeking(capture, rate, count, most_frames)
        seconds = count / rate
    else:
        frames, seconds = _by_reading(capture, rate if rate > 0 else 25.0, most_frames)
    if not frames:
        raise FileRefused(f"{path} is damaged: none of its frames can be read; convert it to mp4")
    return Video(frames, kind, width, height, round(seconds, 3))


def _by_seeking(capture: Any, rate: float, count: int, most_frames: int) -> list[Frame]:
    """Return frames at even distances, the first among them."""
    wanted = max(1, min(most_frames, round(count / rate / _SECONDS_BETWEEN), count))
    frames = []
    for index in sorted({i * count // wanted for i in range(wanted)}):
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        found, pixels = capture.read()
        if found:
            frames.append(_frame(pixels, index / rate))
    return frames


def _by_reading(capture: Any, rate: float, most_frames: int) -> tuple[list[Frame], float]:
    """Return frames of a stream that does not say its length: every n-th, n doubling when they get too many."""
    frames: list[Frame] = []
    index, every = 0, max(1, round(rate * _SECONDS_BETWEEN))
    while capture.grab():
        if index % every == 0:
            found, pixels = capture.retrieve()
            if found:
                frames.append(_frame(pixels, index / rate))
            if len(frames) > most_frames:
                frames, every = frames[::2], every * 2
        index += 1
    return frames, index / rate


def _frame(pixels: Any, seconds: float) -> Frame:
    image = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return Frame(scaled(image, MOST_PIXELS_SEEN), round(seconds, 2))
