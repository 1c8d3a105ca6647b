"""What a commit must not hold, and what the package must."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def test_no_file_names_a_package_index() -> None:
    hosts = re.compile(r"https?://[^\s\"']*(pypi|pythonhosted|npmjs|debian)\.", re.IGNORECASE)
    texts = [
        path
        for path in tracked()
        if path.suffix in (".py", ".toml", ".txt", ".md", ".json", "") and path.stat().st_size < 1 << 20
    ]
    named = [path.name for path in texts if hosts.search(path.read_text(errors="ignore"))]
    assert named == []


def test_every_pinned_version_is_exact() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[\w.\-\[\]]+==[\w.+]+", line) for line in lines)


def test_the_starter_text_model_has_at_most_four_megabytes() -> None:
    files = list((ROOT / "adapters" / "starter" / "text").iterdir())
    assert sum(path.stat().st_size for path in files) <= 4_000_000
