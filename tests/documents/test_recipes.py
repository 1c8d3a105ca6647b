"""docs/recipes.md lists every file that a change touches: the lists are held against the source."""

import re
import subprocess

import pytest

from tests.architecture.source import ROOT

RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
# Where a recipe looks: not in what tells of changes, and not in the recipes.
WHERE = ("adapters", "mcp_server", "tests", "README.md", "SECURITY.md", ":!adapters/starter")
_FOLLOW = re.compile(r"(?:Follow|Then the tool,) `([\w-]+)`")
_FILE = re.compile(r"^- `([^`]+)`", re.MULTILINE)


def recipes() -> list[tuple[str, set[str]]]:
    """Return each word that a recipe follows, and the files that it lists for it."""
    pieces = _FOLLOW.split(RECIPES)
    return [
        (word, set(_FILE.findall(text.split("\n## ")[0])))
        for word, text in zip(pieces[1::2], pieces[2::2], strict=True)
    ]


def mentioning(word: str) -> set[str]:
    command = [
        "git",
        "grep",
        "--untracked",
        "--files-with-matches",
        "--word-regexp",
        "--fixed-strings",
        word,
        "--",
        *WHERE,
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return set(ran.stdout.split())


@pytest.mark.parametrize(("word", "files"), recipes(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_recipe_lists_every_file_that_mentions_what_it_follows(word: str, files: set[str]) -> None:
    found = mentioning(word)
    tests = {path for path in files if path.startswith("tests/")}
    assert {path for path in found if not path.startswith("tests/")} == files - tests
    assert tests <= found


def test_there_is_a_recipe_for_each_kind_of_change() -> None:
    titles = re.findall(r"^## (.+)$", RECIPES, re.MULTILINE)
    for kind in ("sampling option", "tool", "setting", "client", "speech family", "text family"):
        assert any(kind in title for title in titles), kind


def test_every_file_that_a_document_names_is_there() -> None:
    for document in ("recipes.md", "architecture.md"):
        text = (ROOT / "docs" / document).read_text(encoding="utf-8")
        named = set(re.findall(r"\b((?:adapters|mcp_server|tests)/[\w/]+\.(?:py|json|toml))", text))
        assert named
        assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
