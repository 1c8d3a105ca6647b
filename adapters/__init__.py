"""Everything that does the work: the engine, the models, MLX. Knows nothing of the Model Context Protocol."""

__version__ = "0.1.0"
