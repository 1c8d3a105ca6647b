"""A model's folder as loaders may see it: without the code that came with it.

Libraries that know a family themselves still copy its original Python files and the entries that name them into their
conversions. Loaders that meet them may import them, some whatever they are told. So they are shown a folder of links in
which there is no code and nothing names any.
"""

import hashlib
import json
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapters.models.safety import CODE, NAMES_OF_CODE
from adapters.places import state_folder


def own_code(folder: Path) -> list[str]:
    """Return the names of the programs that came with a model."""
    return sorted(path.name for path in folder.rglob("*") if path.suffix.lower() in CODE)


def loadable(folder: Path) -> Path:
    """Return the folder itself where nothing in it is code or names code, else one that links to all the rest of it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return _loadable(folder, stamp)


@lru_cache(maxsize=64)
def _loadable(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Path:
    files = [Path(name) for name, *_ in stamp]
    named = {path: content for path in files if (content := _naming_code(path)) is not None}
    shown = [path for path in files if path.suffix.lower() not in CODE]
    if not named and shown == files:
        return folder
    place = state_folder() / "models" / hashlib.sha256(repr(stamp).encode()).hexdigest()[:24]
    if not place.exists():
        place.parent.mkdir(exist_ok=True, mode=0o700)
        draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=".part-"))
        for path in shown:
            link = draft / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path in named:
                link.write_text(json.dumps(named[path]), encoding="utf-8")
            else:
                link.symlink_to(path.resolve())
        try:
            draft.rename(place)
        except OSError:  # another process made it meanwhile
            shutil.rmtree(draft)
    return place


def _naming_code(path: Path) -> Any:
    """Return the content of a JSON file that names code, without those names; None where it names none."""
    if path.suffix.lower() != ".json":
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    clean = _without_names(content)
    return clean if clean != content else None


def _without_names(content: Any) -> Any:
    """Return the same JSON without the entries by which a loader would find code, at any depth."""
    if isinstance(content, dict):
        return {
            key: value if key == "vocab" else _without_names(value)
            for key, value in content.items()
            if not (key in NAMES_OF_CODE and isinstance(value, (dict, str)))
        }
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return [_without_names(entry) for entry in content]
    return content
