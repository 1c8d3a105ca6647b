"""The tools, in the order in which clients list them."""

from mcp_server.tools.cancel_job import CANCEL_JOB
from mcp_server.tools.check_job import CHECK_JOB
from mcp_server.tools.definition import ToolDefinition
from mcp_server.tools.describe_image import DESCRIBE_IMAGE
from mcp_server.tools.generate import GENERATE
from mcp_server.tools.list_library import LIST_LIBRARY
from mcp_server.tools.record_session import RECORD_SESSION
from mcp_server.tools.train_adapter import TRAIN_ADAPTER
from mcp_server.tools.transcribe import TRANSCRIBE

ALL_TOOLS = (GENERATE, DESCRIBE_IMAGE, TRANSCRIBE, RECORD_SESSION, TRAIN_ADAPTER, CHECK_JOB, CANCEL_JOB, LIST_LIBRARY)

__all__ = ["ALL_TOOLS", "ToolDefinition"]
