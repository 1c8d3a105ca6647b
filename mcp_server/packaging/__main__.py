"""`python -m mcp_server.packaging FOLDER`: writes the bundle for Claude Desktop there, and server.json beside the README."""

import json
import sys
import zipfile
from pathlib import Path

from adapters import __version__
from mcp_server.packaging.manifests import NAME, START, bundle_manifest, registry_entry

ROOT = Path(__file__).parent.parent.parent
_PACKAGES = ("mcp_server", "adapters")
_BESIDE = ("pyproject.toml", "README.md", "LICENSE", "SECURITY.md")
# What only makes the starter models again, and what Python makes by itself.
_LEFT_OUT = ("__pycache__", "recipes")
# Zip files hold times; all are the same, so that the same sources give the same bundle.
_TIME = (2026, 1, 1, 0, 0, 0)


def bundle(folder: Path) -> Path:
    """Write the bundle into a folder. Return its path. Its libraries are installed by uv when it is first started."""
    path = folder / f"{NAME}-{__version__}.mcpb"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "manifest.json", json.dumps(bundle_manifest(), indent=2, ensure_ascii=False).encode())
        _add(archive, START, Path(__file__).with_name("start.py").read_bytes())
        for name in _BESIDE:
            _add(archive, name, (ROOT / name).read_bytes())
        for package in _PACKAGES:
            for source in sorted((ROOT / package).rglob("*")):
                if source.is_file() and not set(_LEFT_OUT) & set(source.parts):
                    _add(archive, source.relative_to(ROOT).as_posix(), source.read_bytes())
    return path


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def registry_text() -> str:
    """server.json as it is kept in the repository."""
    return json.dumps(registry_entry(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (ROOT / "server.json").write_text(registry_text(), encoding="utf-8")
    sys.stderr.write(f"{bundle(Path(sys.argv[1] if len(sys.argv) > 1 else 'dist'))}\n")
