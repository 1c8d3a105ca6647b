"""An option is declared in one place, and reaches the wire, the tools and Strands from there."""

import ast

import pytest

from adapters.protocol.generation import Generate, GenerationOptions, Sampling
from adapters.protocol.training import Train, TrainingOptions
from adapters.protocol.transcription import Transcribe, TranscriptionOptions
from adapters.strands.model import PARAMS
from mcp_server.tools import ALL_TOOLS, ToolDefinition
from tests.architecture.source import module_name, sources, tree

OPTIONS = {
    "generate": (GenerationOptions, Generate),
    "describe-image": (GenerationOptions, Generate),
    "transcribe": (TranscriptionOptions, Transcribe),
    "train-adapter": (TrainingOptions, Train),
}


def declaring(name: str) -> list[str]:
    """Return the modules with a class that declares a field of that name."""
    return [
        module_name(path)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        for entry in node.body
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name) and entry.target.id == name
    ]


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"])
def test_a_sampling_option_is_declared_in_one_class(name: str) -> None:
    assert declaring(name) == ["adapters.protocol.generation"]


@pytest.mark.parametrize("name", ["learning_rate", "gradient_checkpointing", "validate_every"])
def test_a_training_option_is_declared_in_one_class(name: str) -> None:
    found = set(declaring(name)) - {"adapters.mlx.training.loop"}  # there it is what was chosen for one run
    assert found == {"adapters.protocol.training"}


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_a_tool_takes_every_option_of_its_work(tool: ToolDefinition) -> None:
    options, work = OPTIONS.get(tool.name, (None, None))
    if options is None or work is None:
        assert tool.jobs is None
        return
    assert issubclass(tool.arguments, options)
    assert issubclass(work, options)
    for name, field in options.model_fields.items():
        assert field.description
        assert tool.arguments.model_fields[name].description == field.description


def test_an_agent_may_give_every_sampling_option() -> None:
    assert set(Sampling.model_fields) <= PARAMS
