"""The workflows that a person picks from a menu. Each tells the client's model which tools to use, and how."""

from collections.abc import Container
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.mcpserver.prompts import Prompt
from pydantic import Field

if TYPE_CHECKING:
    from mcp.server import MCPServer

_Path = Annotated[str, Field(description="The file's absolute path, in a folder that was granted.")]


def ask_private_file(path: _Path, question: Annotated[str, Field(description="What you want to know.")]) -> str:
    """Have a local model answer from a text file that this conversation never sees."""
    return (
        f"Call the tool `generate` with `files` [{path!r}] and this prompt, word for word:\n\n{question}\n\n"
        "Do not open the file in any other way: it is private, and only the local model may read it. Give me the "
        "answer as it is, say which model gave it, and say so if it was cut or failed."
    )


def look_at_picture(
    path: _Path, question: Annotated[str, Field(description="What you want to know.")] = "What is in this picture?"
) -> str:
    """Have a local model look at a picture or video that never leaves this machine."""
    return (
        f"Call the tool `describe-image` on {path!r} (as `video` if it is one, in `images` otherwise) with this "
        f"prompt, word for word:\n\n{question}\n\nDo not open the file in any other way. Give me the answer as it is."
    )


def write_down_recording(
    path: _Path,
    format: Annotated[str, Field(description="text, or subtitles: srt, vtt; or json with times.")] = "text",  # noqa: A002
) -> str:
    """Write down what is said in a sound or video file, as text or subtitles beside it."""
    return (
        f"Call the tool `transcribe` on {path!r} with `format` {format!r}, and with `save_to` the same path with an "
        "ending that fits the format. Call `check-job` until it is done if it takes longer. Then tell me where the "
        "file is, how long the recording is, and what it is about in three lines."
    )


def teach_local_model(
    session: Annotated[str, Field(description="The recorded session to learn from.")],
    adapter: Annotated[str, Field(description="A name for what is learned.")],
) -> str:
    """Train an adapter on a recorded session, and show what it changed."""
    return (
        f"Look at the session {session!r} with `list-library` (kind `sessions`): say if it has too few messages to "
        f"learn from, and how to record more with `record-session`. Otherwise call `train-adapter` with `adapter` "
        f"{adapter!r} and `sessions` [{session!r}], tell me its pre-flight, and call `check-job` until it is done. "
        "Show me the model without and with the adapter on the rows that were held back, in a table, and say "
        f"plainly whether it became better. At the end show me one `generate` call with `adapter` {adapter!r}."
    )


# Each with the tool that it cannot do without.
_PROMPTS = (
    ("ask-private-file", "Ask about a private file", ask_private_file, "generate"),
    ("look-at-picture", "Look at a picture", look_at_picture, "describe-image"),
    ("write-down-recording", "Write down a recording", write_down_recording, "transcribe"),
    ("teach-local-model", "Teach the local model", teach_local_model, "train-adapter"),
)


def add_prompts(server: "MCPServer[Any]", tools: Container[str]) -> None:
    """Register the prompts that these tools can carry out."""
    for name, title, function, needed in _PROMPTS:
        if needed in tools:
            server.add_prompt(Prompt.from_function(function, name=name, title=title))
