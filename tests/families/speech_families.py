"""What each speech family of mlx_audio takes of a call, from the signature of its own `generate`."""

import ast
import importlib.util
from pathlib import Path

from adapters.mlx.speech.model import _HINTS, _LANGUAGES  # pyright: ignore[reportPrivateUsage]
from adapters.models.abilities import runs_remote_code, speech_family

# Parts of other families, and models that write down nothing.
_OTHERS = {"nemo", "wav2vec", "qwen3_forced_aligner"}


def families() -> dict[str, Path]:
    """Every family's folder."""
    spec = importlib.util.find_spec("mlx_audio")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations))) / "stt" / "models"
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if (path / "__init__.py").exists() and path.name not in _OTHERS
    }


def takes(folder: Path) -> set[str]:
    """The arguments of a family's `generate`."""
    found = set[str]()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "generate":
                found |= {one.arg for one in [*node.args.args, *node.args.kwonlyargs]}
    return found


def speech_rows() -> list[str]:
    """The table's lines; families that are refused have the reason."""
    rows = list[str]()
    for family, folder in families().items():
        if runs_remote_code(family):
            rows.append(f"| `{family}` | refused: its loader would fetch code from elsewhere and run it | | | |")
            continue
        known = takes(folder)
        cells = [
            "yes" if known & set(_LANGUAGES) else "",
            "yes" if known & set(_HINTS) else "",
            "yes" if "task" in known else "",
            "yes" if "word_timestamps" in known or family == "parakeet" else "",
        ]
        rows.append(f"| `{family}` | {' | '.join(cells)} |")
    return rows


def is_listed(family: str) -> bool:
    """Whether a model of that type is known as speech."""
    return speech_family({"model_type": family}) is not None
