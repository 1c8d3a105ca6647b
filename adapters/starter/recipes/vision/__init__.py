"""The recipe of the starter vision model: its pictures, its questions, its network and its training."""
