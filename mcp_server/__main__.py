"""The command `mcp-server-mlx`: the shim when a client starts it, the command line when a person names a command."""

import sys

# Options that come first belong to the shim, all but these.
_FOR_A_PERSON = ("--help", "-h", "--version", "--install-completion", "--show-completion")


def main() -> int:
    """Run as the shim or as a command. Ctrl-C ends either without a word, at whatever moment it comes."""
    try:
        return _run()
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _FOR_A_PERSON):
        # Only this: a client's every start pays for what is imported here.
        from mcp_server.shim import main as run_shim

        return run_shim(arguments)
    from mcp_server.cli.app import main as run_command

    return run_command()


if __name__ == "__main__":
    sys.exit(main())
