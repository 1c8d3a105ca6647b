"""Streamable HTTP for clients that start nothing: behind a token, Host and Origin checks, and limits."""

DEFAULT_PORT = 8765
