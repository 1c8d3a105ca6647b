"""A Strands agent on local models: what it thinks with, what it uses, and what it leaves to learn from."""

from adapters.strands.model import MLXModel
from adapters.strands.recorder import TrainingRecorder
from adapters.strands.tools import local_tools

__all__ = ["MLXModel", "TrainingRecorder", "local_tools"]
