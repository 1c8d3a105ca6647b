"""Streamable HTTP for clients that start nothing: behind a token, Host and Origin checks, and limits."""
