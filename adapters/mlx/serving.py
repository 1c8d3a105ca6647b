"""All that the backend uses and that imports MLX. The backend imports this module on the MLX thread, at the first lease."""

from adapters.mlx.generation.pending import PendingAnswer
from adapters.mlx.loading import read_reader
from adapters.mlx.prepare import make_prompt, make_request, read_call
from adapters.mlx.residency import Leased, Residency

__all__ = ["Leased", "PendingAnswer", "Residency", "make_prompt", "make_request", "read_call", "read_reader"]
