"""`mcp-server-mlx sessions`: what was recorded, to look at and to decide on."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.errors import InvalidRequest
from adapters.files import write_new
from adapters.recordings import exports, store
from adapters.recordings.conversation import Conversation, RecordedMessage, check_session
from adapters.recordings.imports import from_file
from adapters.recordings.splits import split_conversations
from adapters.settings import read_settings
from mcp_server.sizes import size

app = typer.Typer(no_args_is_help=True, help="Recorded conversations: what a model may learn from.")
console = Console()

SessionName = Annotated[str, typer.Argument(help="The session, as `sessions list` shows it.")]
_SHOWN = 2000


@app.command("list")
def list_sessions() -> None:
    """Show every session: how many conversations, how many messages to learn from, what was redacted."""
    table = Table("session", "conversations", "to learn", "redacted", "size", "last", box=None, header_style="bold")
    for name in store.names():
        session = store.read(name)
        redacted = sum(sum(one.redacted.values()) for one in session.conversations)
        broken = f" ({len(session.broken)} broken lines)" if session.broken else ""
        table.add_row(
            name,
            f"{len(session.conversations)}{broken}",
            str(session.learned),
            str(redacted or ""),
            size(session.bytes),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(session.modified)),
        )
    console.print(table if table.row_count else "Nothing was recorded yet.")


@app.command()
def show(session: SessionName, limit: Annotated[int, typer.Option(help="Conversations, the latest.")] = 10) -> None:
    """Show conversations; what is marked with a star is learned from."""
    found = store.read(session)
    shown = found.conversations[-limit:]
    for conversation in shown:
        _show(conversation)
    for line in found.broken:
        console.print(f"line {line} cannot be read and is left out", style="yellow", highlight=False)
    console.print(f"{len(shown)} of {len(found.conversations)} conversations", style="dim", highlight=False)


@app.command()
def export(
    session: SessionName,
    file: Annotated[Path, typer.Argument(help="The JSONL file to write; never over another.")],
    form: Annotated[str, typer.Option(help="chat, tools or text: mlx_lm's forms.")] = "tools",
) -> None:
    """Write a session in a form that mlx_lm trains on."""
    if form not in ("chat", "tools", "text"):
        raise InvalidRequest(f"form {form!r} is none of chat, tools, text")
    found = store.read(session)
    write_new(file.expanduser().absolute(), exports.jsonl(found.conversations, form))
    console.print(f"{len(found.conversations)} rows in {file}", highlight=False, soft_wrap=True)


@app.command()
def split(
    session: SessionName,
    folder: Annotated[Path, typer.Argument(help="Gets train.jsonl and valid.jsonl, as mlx_lm wants its data.")],
    valid: Annotated[float, typer.Option(help="The part that is held back.", min=0.01, max=0.9)] = 0.1,
    seed: Annotated[int, typer.Option(help="Another seed holds back others.")] = 0,
    form: Annotated[str, typer.Option(help="chat, tools or text.")] = "tools",
) -> None:
    """Write a session as training and validation data, split by conversation."""
    if form not in ("chat", "tools", "text"):
        raise InvalidRequest(f"form {form!r} is none of chat, tools, text")
    kept, held_back = split_conversations(store.read(session).conversations, valid, seed)
    target = folder.expanduser().absolute()
    target.mkdir(parents=True, exist_ok=True)
    write_new(target / "train.jsonl", exports.jsonl(kept, form))
    write_new(target / "valid.jsonl", exports.jsonl(held_back, form))
    console.print(
        f"{len(kept)} rows to train on and {len(held_back)} held back, in {folder}", highlight=False, soft_wrap=True
    )


@app.command("import")
def import_file(
    session: SessionName,
    file: Annotated[Path, typer.Argument(help="JSONL in the OpenAI chat form, or a transcript of Claude Code.")],
) -> None:
    """Add the conversations of a file to a session, without their secrets."""
    check_session(session)
    made = from_file(file.expanduser().resolve())
    if read_settings().redact:
        made = [store.redacted(one) for one in made]
    store.append(session, made)
    taken = sum(sum(one.redacted.values()) for one in made)
    console.print(
        f"{len(made)} conversations added to {session}; {taken} secrets and numbers taken out", highlight=False
    )


@app.command()
def delete(session: SessionName) -> None:
    """Remove a session for good. What was trained on it stays as it is."""
    store.delete(session)
    console.print(f"{session} is gone", highlight=False)


@app.command()
def prune(days: Annotated[float, typer.Option(help="Remove conversations older than this.", min=0)]) -> None:
    """Remove old conversations from every session."""
    removed = store.prune(days)
    for name, count in removed.items():
        console.print(f"{name}: {count} conversations removed", highlight=False)
    if not removed:
        console.print(f"nothing is older than {days:g} days", highlight=False)


def _show(conversation: Conversation) -> None:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(conversation.created))
    facts = [when, conversation.source or "", " ".join(f"#{tag}" for tag in conversation.tags)]
    facts += [f"{count} x {kind} taken out" for kind, count in conversation.redacted.items()]
    console.rule(Text("  ".join(filter(None, facts)), style="dim"), align="left")
    if conversation.system:
        _line(" ", "system", conversation.system)
    if conversation.tools:
        _line(" ", "tools", ", ".join(tool.name for tool in conversation.tools))
    for message in conversation.messages:
        _line("*" if message.learned else " ", message.name or message.role, _said(message))
    console.print()


def _said(message: RecordedMessage) -> str:
    calls = [
        f"-> {call.name}({', '.join(f'{k}={v!r}' for k, v in call.arguments.items())})" for call in message.tool_calls
    ]
    thought = [f"(thought) {message.reasoning}"] if message.reasoning else []
    return "\n".join([*thought, *([message.content] if message.content else []), *message.images, *calls])


def _line(mark: str, who: str, text: str) -> None:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1, style="green")
    grid.add_column(width=10, style="cyan")
    grid.add_column()
    grid.add_row(mark, who, Text(text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ... {len(text)} characters"))
    console.print(grid)
