"""The starter models: small, real checkpoints that make the first run, the demo and the tests work offline."""
