"""Calls of tools as models write them: read in the forms of all families, and let through only where they fit the tool."""
