"""Tests on real weights: SmolLM2-135M-Instruct and Whisper tiny.en, and a person who reads aloud.

They are run by `make test-real`, not by `make test`. What they need comes from Python packages, as `packages` says.
"""
