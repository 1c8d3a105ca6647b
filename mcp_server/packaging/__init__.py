"""How this project is handed out beside the Python package: a bundle for Claude Desktop, an entry for the registry."""
