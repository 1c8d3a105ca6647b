"""The Model Context Protocol server: a thin shim for each client, one host for all of them, and the command line."""

from adapters import __version__

__all__ = ["__version__"]
