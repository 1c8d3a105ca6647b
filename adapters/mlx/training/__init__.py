"""Training an adapter, in a process of its own: `python -m adapters.mlx.training RUN_FOLDER`."""
