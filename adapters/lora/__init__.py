"""Adapters on disk, in mlx_lm's own format: found by name, checked before use, with what is known of their making."""
