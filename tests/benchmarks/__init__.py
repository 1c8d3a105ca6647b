"""Ratios, each measured in one run with the same model on both sides. `make bench` prints them."""
