"""The recipe of the starter speech model: its phrases, its voices, its network and its training."""
