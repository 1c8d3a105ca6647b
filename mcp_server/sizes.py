"""Bytes, times and progress as a person reads them."""

from adapters.protocol.jobs import Progress


def size(count: float) -> str:
    """Return bytes in decimal units, as disks and downloads are measured."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def span(seconds: float) -> str:
    """Return a time span, coarse where it is long."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def progress_text(progress: Progress) -> str:
    """Return what a job is doing and how far it is, such as `loading 1.00 GB of 2.00 GB` or `writing 2 of 9 tokens`."""
    if progress.done is None:
        return progress.phase
    amount = size if progress.unit == "bytes" else "{:.0f}".format
    unit = "" if progress.unit in ("", "bytes") else f" {progress.unit}"
    total = f" of {amount(progress.total)}" if progress.total else ""
    return f"{progress.phase} {amount(progress.done)}{total}{unit}"
