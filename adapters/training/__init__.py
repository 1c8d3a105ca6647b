"""What surrounds a training: its folder, its process, its plot. No MLX here."""
