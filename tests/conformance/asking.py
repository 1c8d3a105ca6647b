"""The suite's tools and prompt that answer with a question (2026-07-28), and go on when they are asked again with its answer."""

from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

Given = Context[Any, Any]
Result = CallToolResult | InputRequiredResult


def form(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(text: str, most: int) -> CreateMessageRequest:
    asked = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[asked], max_tokens=most))


def question(requests: dict[str, InputRequest], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def filled(ctx: Given, key: str, name: str) -> Any:
    """What the user wrote into a form, or None when that is missing or of another kind."""
    given = (ctx.input_responses or {}).get(key)
    return (given.content or {}).get(name) if isinstance(given, ElicitResult) else None


def said(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)])


def register(server: MCPServer[Any]) -> None:
    """Add them to a server."""
    _single(server)
    _with_state(server)

    @server.prompt()
    def test_input_required_result_prompt(ctx: Context) -> str | InputRequiredResult:
        """Asks for its context."""
        context = filled(ctx, "user_context", "context")
        if context is None:
            return question({"user_context": form("What context should the prompt use?", "context")})
        return f"Use this context: {context}"


def _single(server: MCPServer[Any]) -> None:
    @server.tool()
    def test_input_required_result_elicitation(ctx: Given) -> Result:
        """Ask for a name."""
        name = filled(ctx, "user_name", "name")
        return said(f"Hello, {name}!") if name else question({"user_name": form("What is your name?", "name")})

    @server.tool()
    async def test_streaming_elicitation(ctx: Given) -> Result:
        """Report progress, then ask."""
        await ctx.report_progress(1, 2)
        name = filled(ctx, "user_name", "name")
        return said(f"Hello, {name}!") if name else question({"user_name": form("What is your name?", "name")})

    @server.tool()
    def test_input_required_result_sampling(ctx: Given) -> Result:
        """Ask the client's model."""
        given = (ctx.input_responses or {}).get("capital_question")
        if not isinstance(given, CreateMessageResult):
            return question({"capital_question": sampling("What is the capital of France?", 100)})
        return said(getattr(given.content, "text", ""))

    @server.tool()
    def test_input_required_result_list_roots(ctx: Given) -> Result:
        """Ask for the client's folders."""
        given = (ctx.input_responses or {}).get("client_roots")
        if not isinstance(given, ListRootsResult):
            return question({"client_roots": ListRootsRequest()})
        return said(", ".join(str(root.uri) for root in given.roots))

    @server.tool()
    def test_input_required_result_capabilities(ctx: Given) -> Result:
        """Ask only what the client can answer."""
        able, asked = ctx.client_capabilities, dict[str, InputRequest]()
        if able and able.sampling is not None:
            asked["sample"] = sampling("Say hello", 50)
        if able and able.elicitation is not None:
            asked["form"] = form("What is your name?", "name")
        return question(asked) if asked and not ctx.input_responses else said("done")

    @server.tool()
    def test_missing_capability(ctx: Given) -> Result:
        """Needs a client that has a model."""
        able = ctx.client_capabilities
        if able is None or able.sampling is None:
            needed = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message="this needs sampling", data=needed)
        return said("ok")


def _with_state(server: MCPServer[Any]) -> None:
    @server.tool()
    def test_input_required_result_request_state(ctx: Given) -> Result:
        """Ask, and know the answer's question again."""
        if filled(ctx, "confirm", "ok") is None:
            return question({"confirm": form("Please confirm", "ok", "boolean")}, "asked")
        return said("state-ok" if ctx.request_state == "asked" else "state-lost")

    @server.tool()
    def test_input_required_result_tampered_state(ctx: Given) -> Result:
        """Ask, and take no other's answer."""
        if ctx.request_state is None:
            return question({"confirm": form("Please confirm", "ok", "boolean")}, "asked")
        if ctx.request_state != "asked":
            raise MCPError(code=INVALID_PARAMS, message="the state is not this server's")
        return said("state-ok")

    @server.tool()
    def test_input_required_result_multiple_inputs(ctx: Given) -> Result:
        """Ask three things at once."""
        given = ctx.input_responses or {}
        if not {"user_name", "greeting", "client_roots"} <= set(given):
            asked: dict[str, InputRequest] = {
                "user_name": form("What is your name?", "name"),
                "greeting": sampling("Generate a greeting", 50),
                "client_roots": ListRootsRequest(),
            }
            return question(asked, "asked")
        return said(f"all of it: {', '.join(sorted(given))}")

    @server.tool()
    def test_input_required_result_multi_round(ctx: Given) -> Result:
        """Ask one thing after another."""
        if ctx.request_state is None:
            return question({"step1": form("Step 1: What is your name?", "name")}, "one")
        if ctx.request_state == "one":
            return question({"step2": form("Step 2: What is your favorite color?", "color")}, "two")
        return said("both steps are done")
