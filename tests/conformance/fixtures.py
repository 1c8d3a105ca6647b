"""What the conformance suite expects a server to have: its tools, resources and prompts, registered in tests alone.

Their contracts are in the suite's scenarios (`@modelcontextprotocol/conformance`).
"""

import asyncio
import base64
import io
import json
import wave
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp.types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from PIL import Image


def _png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(content, "PNG")
    return content.getvalue()


def _wav() -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * 80)
    return content.getvalue()


PICTURE = ImageContent(type="image", data=base64.b64encode(_png()).decode(), mime_type="image/png")
SOUND = AudioContent(type="audio", data=base64.b64encode(_wav()).decode(), mime_type="audio/wav")


def _text(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)])


def _resource(uri: str, text: str, kind: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))


def register(server: MCPServer[Any]) -> None:
    """Add the suite's fixtures to a server."""
    _tools(server)
    _asking_tools(server)
    _resources(server)
    _prompts(server)

    async def set_level(ctx: object, params: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    server._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)  # pyright: ignore[reportPrivateUsage]


def _tools(server: MCPServer[Any]) -> None:
    @server.tool()
    def test_simple_text() -> CallToolResult:
        """Give text."""
        return _text("This is a simple text response for testing.")

    @server.tool()
    def test_image_content() -> CallToolResult:
        """Give a picture."""
        return CallToolResult(content=[PICTURE])

    @server.tool()
    def test_audio_content() -> CallToolResult:
        """Give sound."""
        return CallToolResult(content=[SOUND])

    @server.tool()
    def test_embedded_resource() -> CallToolResult:
        """Give a resource."""
        return CallToolResult(content=[_resource("test://embedded-resource", "This is an embedded resource content.")])

    @server.tool()
    def test_multiple_content_types() -> CallToolResult:
        """Give text, a picture and a resource."""
        data = _resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
        return CallToolResult(content=[TextContent(type="text", text="Multiple content types test:"), PICTURE, data])

    @server.tool()
    def test_error_handling() -> CallToolResult:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_tool_with_progress(ctx: Context[Any, Any]) -> CallToolResult:
        """Report progress."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await asyncio.sleep(0.05)
        return _text("done")

    async def logged(ctx: Context[Any, Any]) -> CallToolResult:
        """Send log messages, to a client that wants them."""
        for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.session.send_log_message("info", message, related_request_id=ctx.request_id)
            await asyncio.sleep(0.05)
        return _text("logged")

    server.tool(name="test_tool_with_logging")(logged)
    server.tool(name="test_logging_tool")(logged)

    @server.tool()
    async def test_trigger_tool_change(ctx: Context[Any, Any]) -> CallToolResult:
        """Say that the tools changed."""
        await ctx.notify_tools_changed()
        return _text("told")

    @server.tool()
    async def test_trigger_prompt_change(ctx: Context[Any, Any]) -> CallToolResult:
        """Say that the prompts changed."""
        await ctx.notify_prompts_changed()
        return _text("told")


def _asking_tools(server: MCPServer[Any]) -> None:
    """Tools of the handshake era that ask the client something while they run."""

    @server.tool()
    async def test_sampling(prompt: str, ctx: Context[Any, Any]) -> CallToolResult:
        """Ask the client's model."""
        asked = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        given = await ctx.session.create_message([asked], max_tokens=100, related_request_id=ctx.request_id)
        return _text(f"LLM response: {getattr(given.content, 'text', '')}")

    async def elicited(ctx: Context[Any, Any], message: str, schema: dict[str, Any], said: str) -> CallToolResult:
        given = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return _text(f"{said}: action={given.action}, content={json.dumps(given.content)}")

    @server.tool()
    async def test_elicitation(message: str, ctx: Context[Any, Any]) -> CallToolResult:
        """Ask the user."""
        properties = {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        }
        schema = {"type": "object", "properties": properties, "required": ["username", "email"]}
        return await elicited(ctx, message, schema, "User response")

    @server.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context[Any, Any]) -> CallToolResult:
        """Ask the user, with defaults."""
        properties = {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": True},
        }
        return await elicited(ctx, "Fill in", {"type": "object", "properties": properties}, "Elicitation completed")

    @server.tool()
    async def test_elicitation_sep1330_enums(ctx: Context[Any, Any]) -> CallToolResult:
        """Ask the user to choose."""
        names = [f"option{i}" for i in (1, 2, 3)]
        titled = [
            {"const": f"value{i}", "title": f"{word} Option"} for i, word in enumerate(("First", "Second", "Third"), 1)
        ]
        legacy = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
        properties = {
            "untitledSingle": {"type": "string", "enum": names},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {"type": "string"} | legacy,
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": names}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        }
        return await elicited(ctx, "Choose", {"type": "object", "properties": properties}, "Elicitation completed")


def _resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """Text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """Bytes."""
        return _png()

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """Something to watch."""
        return "watched"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002
        """Filled in."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _prompts(server: MCPServer[Any]) -> None:
    @server.prompt()
    def test_simple_prompt() -> str:
        """Plain."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Filled in."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803  the suite's own name
        """With a resource."""
        given = _resource(resourceUri, "Embedded resource content for testing.")
        return [UserMessage(content=given), UserMessage(content="Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[Message]:
        """With a picture."""
        return [UserMessage(content=PICTURE), UserMessage(content="Please analyze the image above.")]
