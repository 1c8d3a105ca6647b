"""Tools in words, for models whose chat template has no place for them, or whose calls no parser reads.

The tools stand in the system turn, one JSON object a line within <tools></tools>. A call is written
`<tool_call>{"name": …, "arguments": {…}}</tool_call>`, its result comes back within <tool_response></tool_response>: the
form of Hermes (NousResearch) and Qwen, which many models have seen.
"""

import json
from typing import Any

CALL_START, CALL_END = "<tool_call>", "</tool_call>"

_HEAD = """\
You may call functions to help with what the user asks. Each line within <tools></tools> describes one function as JSON:
<tools>
"""
_FOOT = f"""
</tools>

To call a function, write a JSON object with its name and its arguments within {CALL_START}{CALL_END}, and nothing after it:
{CALL_START}
{{"name": "the function's name", "arguments": {{"argument": "value"}}}}
{CALL_END}
The result of the call comes within <tool_response></tool_response>. Call only functions that are described above."""


def described(tools: list[dict[str, Any]]) -> str:
    """Return the words that offer these tools in a system turn."""
    return _HEAD + "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools) + _FOOT


def written_call(name: str, arguments: Any) -> str:
    """Return a call as a model is to write it."""
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"{CALL_START}\n{call}\n{CALL_END}"


def written_result(text: str) -> str:
    """Return the result of a call as a user's turn shows it."""
    return f"<tool_response>\n{text}\n</tool_response>"
