"""The tools, in the order in which clients list them."""

from mcp_server.tools.definition import ToolDefinition
from mcp_server.tools.describe_image import DESCRIBE_IMAGE
from mcp_server.tools.generate import GENERATE
from mcp_server.tools.jobs import CANCEL_JOB, CHECK_JOB
from mcp_server.tools.library import LIST_LIBRARY
from mcp_server.tools.record_session import RECORD_SESSION
from mcp_server.tools.train_adapter import TRAIN_ADAPTER
from mcp_server.tools.transcribe import TRANSCRIBE

ALL_TOOLS = (GENERATE, DESCRIBE_IMAGE, TRANSCRIBE, RECORD_SESSION, TRAIN_ADAPTER, CHECK_JOB, CANCEL_JOB, LIST_LIBRARY)
# Left out by --read-only.
CHANGING_TOOLS = frozenset({RECORD_SESSION.name, TRAIN_ADAPTER.name, CANCEL_JOB.name})

__all__ = ["ALL_TOOLS", "CHANGING_TOOLS", "ToolDefinition"]
