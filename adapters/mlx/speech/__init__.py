"""Speech models: what is said in a window of sound."""
