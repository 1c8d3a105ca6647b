"""An engine in the caller's own process."""

import subprocess
import sys

from tests.running import Home

START = "from adapters.engine.in_process import in_process_engine; print(in_process_engine())"


def test_what_keeps_it_from_starting_is_told_at_once(own_home: Home) -> None:
    environment = own_home.environment | {"MCP_SERVER_MLX_BATCH_SIZE": "many"}
    ran = subprocess.run(
        [sys.executable, "-c", START], env=environment, capture_output=True, text=True, timeout=25, check=False
    )
    assert ran.returncode == 1
    assert "InvalidRequest: setting batch_size: Input should be a valid integer" in ran.stderr


def test_it_ends_with_its_process_and_leaves_nothing(own_home: Home) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", START + "; in_process_engine()"], env=own_home.environment | {"TMPDIR": str(own_home.folder)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip().endswith("engine.sock")
    assert not list(own_home.folder.glob("mlx-*"))
