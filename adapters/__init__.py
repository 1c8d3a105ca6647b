"""Everything that does the work, and what it reaches: MLX, Strands, the disk. Knows nothing of the Model Context Protocol.

An adapter here is a part that connects this project to something outside. What is trained and put beside a model's weights
is a LoRA adapter, and is called so everywhere. PyPI has another package of the name `adapters` (for Hugging Face
transformers): the two cannot be installed in one environment, and `mcp-server-mlx doctor` looks for it.
"""

__version__ = "0.1.0"
