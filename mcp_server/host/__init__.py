"""The host: one process that holds every client's MCP session. Imports `mcp`, never `mlx`."""
