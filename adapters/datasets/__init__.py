"""Rows to train on, from recorded sessions and from files, each checked. No MLX here: tokens come later."""
