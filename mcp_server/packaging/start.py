"""Started by Claude Desktop from the bundle: every word is a folder that a person picked."""

import sys

from mcp_server.shim import main

# A choice that was left open comes empty, or as the placeholder itself.
FOLDERS = [word for word in sys.argv[1:] if word and not word.startswith("${")]

if __name__ == "__main__":
    sys.exit(main([word for folder in FOLDERS for word in ("--allow", folder)]))
