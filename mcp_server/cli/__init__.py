"""The command line, for a person."""
