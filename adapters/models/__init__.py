"""Models on disk: which one a name means, whether it is safe, how large it is, and how it gets here. No MLX."""
