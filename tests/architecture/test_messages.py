"""What `adapters` says names no tool of the server and no flag of its command line: it is used without them as well."""

import ast
import re
from pathlib import Path

import pytest

from mcp_server.tools import ALL_TOOLS
from tests.architecture.source import module_name, sources, tree

_TOOLS = [definition.name for definition in ALL_TOOLS if "-" in definition.name]
_NAMED = re.compile(
    rf"\b({'|'.join(_TOOLS)})\b|(^|\s|`)--[a-z]|mcp-server-mlx [a-z]|\b(call|use|of) (generate|transcribe)\b"
)
# The models that come along, and how they were made; a client of the server, whose users call its tools; and the table of
# a client's options, whose help is for whoever starts the server.
_ELSEWHERE = ("adapters.starter", "adapters.strands", "adapters.options")


def _said(path: Path) -> list[str]:
    """The strings of a module that have more than one word: not its docstrings, flags of programs, or names."""
    strings = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    documents = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    return [str(node.value) for node in strings if id(node) not in documents and " " in str(node.value)]


@pytest.mark.parametrize(
    "path", [one for one in sources("adapters") if not module_name(one).startswith(_ELSEWHERE)], ids=module_name
)
def test_no_message_of_adapters_names_a_tool_or_a_flag(path: Path) -> None:
    assert [text for text in _said(path) if _NAMED.search(text)] == []


@pytest.mark.parametrize(
    "text",
    ["wait with check-job", "start it with --allow ", "run `mcp-server-mlx stop`", "the default model of transcribe"],
)
def test_a_message_that_does_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "module.py").write_text(f'"""Said by check-job."""\nraise ValueError(f"{{1}} {text}")\n')
    assert _NAMED.search(_said(tmp_path / "module.py")[0])
