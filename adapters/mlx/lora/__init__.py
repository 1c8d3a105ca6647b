"""LoRA adapters in a loaded model."""
