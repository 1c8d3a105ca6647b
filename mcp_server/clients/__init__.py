"""The MCP clients whose configuration this project can write and read."""
