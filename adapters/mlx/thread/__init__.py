"""The one thread that runs MLX, and how a long function on it pauses so that others are served."""
