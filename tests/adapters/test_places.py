"""Where things are kept."""

import os
from pathlib import Path

from adapters.places import log_file, open_log


def test_a_log_that_has_grown_is_set_aside_by_the_next_process_and_by_nobody_who_looks(isolated: Path) -> None:
    path = log_file("host")
    path.write_bytes(b"old\n" * (1 << 19))
    assert log_file("host").stat().st_size == 2 << 20
    descriptor = open_log("host")
    os.write(descriptor, b"new\n")
    os.close(descriptor)
    assert path.read_bytes() == b"new\n"
    assert path.with_suffix(".old.log").stat().st_size == 2 << 20
    assert path.stat().st_mode & 0o777 == 0o600
