"""The bundle's manifest (MCPB 0.4) and the registry's entry, made from what the package itself says.

Sources: github.com/anthropics/mcpb, MANIFEST.md; the registry's schema of 2025-12-11.
"""

from typing import Any

from adapters import __version__
from adapters.options import OPTIONS, ClientOption
from mcp_server.server import TITLE
from mcp_server.tools import ALL_TOOLS

NAME = "mcp-server-mlx"
# The registry's name for it. Its first part is the account that publishes, and the README repeats it.
REGISTRY_NAME = f"io.github.{NAME}/{NAME}"
DESCRIPTION = "Local MLX models for MCP clients: generate, describe images, transcribe, record, train adapters."
_LONG = """\
Text, vision and speech models that run on this machine, for private or cheap work: nothing that is passed to these tools \
leaves it. Its tools read only the folders that you choose. Record corrections, train a small adapter on them, and use it in \
the next call. Tiny demonstration models come with it; `models pull recommended` gets real ones."""
START = "start.py"
# The models that a person may choose in the bundle's form, with their titles there.
_MODELS = {"model": "Text model", "vision_model": "Vision model", "speech_model": "Speech model"}
_FOLDER_PICKER = {
    "type": "directory",
    "title": "Folders that its tools may read",
    "description": "Text files, pictures and recordings in these folders, and nothing else.",
    "multiple": True,
    "required": False,
    "default": [],
}


def bundle_manifest() -> dict[str, Any]:
    """Return the manifest of the bundle: a folder picker for what may be read, and the default models."""
    return {
        "manifest_version": "0.4",
        "name": NAME,
        "display_name": TITLE,
        "version": __version__,
        "description": DESCRIPTION,
        "long_description": _LONG,
        "author": {"name": "The developers of mcp-server-mlx"},
        "license": "Apache-2.0",
        "keywords": ["mlx", "local", "private", "transcription", "vision", "lora"],
        "server": {
            "type": "uv",
            "entry_point": START,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--no-dev", "--directory", "${__dirname}", START, "${user_config.folders}"],
                "env": {f"MCP_SERVER_MLX_{name.upper()}": f"${{user_config.{name}}}" for name in _MODELS},
            },
        },
        "tools": [{"name": tool.name, "description": tool.description.split(". ")[0] + "."} for tool in ALL_TOOLS],
        "prompts_generated": True,
        "user_config": {"folders": _FOLDER_PICKER, **{name: _model_field(name) for name in _MODELS}},
        "compatibility": {"platforms": ["darwin", "linux"], "runtimes": {"python": ">=3.11"}},
    }


def registry_entry() -> dict[str, Any]:
    """server.json, for the registry of MCP servers."""
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": REGISTRY_NAME,
        "title": TITLE,
        "description": DESCRIPTION,
        "version": __version__,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": NAME,
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": [_argument(OPTIONS[name]) for name in ("allow", *_MODELS, "reply_within")],
            }
        ],
    }


def _model_field(name: str) -> dict[str, Any]:
    return {
        "type": "string",
        "title": _MODELS[name],
        "description": f"{OPTIONS[name].help}: one of the hub, or auto for the best recommended one on this machine.",
        "default": "auto",
        "required": False,
    }


def _argument(option: ClientOption) -> dict[str, Any]:
    named = {"type": "named", "name": option.flag, "description": option.help, "isRequired": False}
    return named | ({"isRepeated": True, "format": "filepath"} if option.kind == "folders" else {})
