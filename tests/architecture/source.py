"""The project's own source, read as syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("adapters", "mcp_server")


def sources(*packages: str) -> list[Path]:
    """Return the Python files of these packages, of all of them by default."""
    return sorted(path for package in packages or PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    """Return the name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _names() -> frozenset[str]:
    return frozenset(module_name(path) for path in sources())


def imported(path: Path) -> Iterator[str]:
    """Return every module that a file imports, wherever in it: at its top, in a function, or for type checks only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in _names() else node.module for name in inner)


def own_imports() -> dict[str, set[str]]:
    """Return, for every module of the project, which other modules of the project it imports."""
    return {module_name(path): {name for name in imported(path) if name in _names()} for path in sources()}
