"""`mcp-server-mlx demo`: the real command as a client's subprocess, and what a person would want to see of it."""

import asyncio
import contextlib
import io
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from adapters.engine import EngineClient
from adapters.errors import InvalidRequest
from adapters.lora import trained_adapters as lora
from adapters.models.starters import STARTER
from adapters.protocol.messages import EngineStatus
from adapters.recordings import store as sessions
from mcp_server.host.launch import host_process
from mcp_server.host.memory import memory_of
from mcp_server.sizes import size, span

_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_SHAPE = {
    "type": "object",
    "properties": {"color": {"type": "string"}, "shape": {"type": "string"}},
    "required": ["color", "shape"],
    "additionalProperties": False,
}
# A behaviour that the starter model does not have: what it is taught on, and what it is then asked.
_TAUGHT = (  # noqa: SIM905
    "apple ball banana basket bear bird boat book bottle box bread bridge cake car castle chair cheese clock "
    "cloud coat coin cow cup dog door dress drum duck egg engine farm fish flower fox frog garden hammer hat "
    "horse house island jar key king kitten lamp"
).split()
_UNSEEN = ("lemon", "mirror")
SAMPLES = STARTER / "samples"
_STORIES = [
    f"Tell me a story about a {animal} named {name}."
    for animal in ("lion", "frog", "owl", "cat")
    for name in ("Tom", "Lucy", "Max", "Mia") * 8
]


# Wide enough for what is shown, in characters.
_PICTURE_WIDTH = 108
# A font from the network, which a file that stands alone does not ask for.
_FONT_FACES = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def run(console: Console) -> None:
    """Show the server at work. Needs no download and no network."""
    asyncio.run(_Demo(console).run())


def draw(path: Path) -> None:
    """The scenes that say most, as they were just now, in an SVG file."""
    console = Console(
        record=True, width=_PICTURE_WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    asyncio.run(_Demo(console).run_briefly())
    svg = console.export_svg(title="mcp-server-mlx demo", theme=SVG_EXPORT_THEME)
    path.write_text(_FONT_FACES.sub("", svg).replace("Fira Code", "ui-monospace, monospace"), encoding="utf-8")


def server(*options: str) -> StdioServerParameters:
    """Return how a client starts the server, with the models that are in the package."""
    models = ["--model", "starter", "--vision-model", "starter-vision", "--speech-model", "starter-speech"]
    command = [sys.executable, "-m", "mcp_server", "--offline", *models, *options]
    return StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))


class _Demo:
    def __init__(self, console: Console) -> None:
        self._console = console

    async def run_briefly(self) -> None:
        await self._one_client()
        await self._sees()
        await self._learns()

    async def run(self) -> None:
        self._console.print()
        self._console.print(Text("mcp-server-mlx", style="bold"), Text("local models for any MCP client", style="dim"))
        await self._one_client()
        await self._sees()
        await self._hears()
        await self._learns()
        await self._three_clients()
        await self._deadline()
        self._title("That is all")
        self._say(
            "`mcp-server-mlx setup` puts it into your client, `models recommend` shows real models that suit this machine. "
            "The host and the engine end by themselves when nobody needs them; `mcp-server-mlx stop` ends them now."
        )
        self._console.print()

    # --- scenes

    async def _one_client(self) -> None:
        started = time.perf_counter()
        async with Client(server()) as client:
            tools = (await client.list_tools()).tools
            self._title(
                "A client starts the server", f"connected and tools listed in {span(time.perf_counter() - started)}"
            )
            table = Table.grid(padding=(0, 2, 0, 0))
            for tool in tools:
                table.add_row(Text(tool.name, style="cyan"), tool.title or "")
            self._show(table)

            self._title("A local model answers")
            await self._ask(client, "Reverse the words: red green blue")
            await self._ask(client, "Tom lives in Paris. Anna has a red hat. What colour is Anna's hat?")
            await self._ask(client, "What is 34 + 57?", thinking=True)

            self._title("An answer that follows a JSON schema", "enforced while the model writes, or the call fails")
            await self._ask(
                client, "Lucy is 31 years old and lives in Oslo. Write the name, age as JSON.", json_schema=_PERSON
            )

            self._title("A mistake is answered with the way out")
            await self._ask(client, "Hello", temperature=-1)

    async def _sees(self) -> None:
        self._title("It sees", "pictures by path, from a folder that was granted")
        shapes, before, after = (str(SAMPLES / f"{name}.png") for name in ("shapes", "before", "after"))
        async with Client(server("--allow", str(SAMPLES))) as client:
            await self._look(client, [shapes], "What is in this photo?")
            await self._look(client, [shapes], "What color is the square?")
            await self._look(client, [before, after], "What changed between them?")
            await self._look(client, [before], "Give the color and shape as JSON.", json_schema=_SHAPE)

    async def _look(self, client: Client, images: list[str], prompt: str, **options: Any) -> None:
        result = await client.call_tool("describe-image", {"images": images, "prompt": prompt, **options})
        names = ", ".join(Path(image).name for image in images)
        self._line("asked", f"{prompt}  ", Text(names + (f"  {json.dumps(options)}" if options else ""), style="dim"))
        if result.is_error:
            self._line("error", Text(texts(result.content), style="red"))
            return
        told = structured(result)
        self._line("answer", Text(json.dumps(told["json"]) if "json" in told else told["text"], style="green"))
        usage = told["usage"]
        read = f"{usage['prompt_tokens']} tokens read, the picture among them ({usage['cached_tokens']} known already)"
        self._line("", Text(f"{read}, {span(told['timing']['total_s'])}", style="dim"))

    async def _hears(self) -> None:
        self._title("It hears", "a recording becomes subtitles")
        async with Client(server("--allow", str(SAMPLES))) as client:
            audio = SAMPLES / "commands.ogg"
            told = structured(await client.call_tool("transcribe", {"audio": str(audio), "format": "srt"}))
            self._line("heard", f"{audio.name}, {told['duration_s']:.1f} s in {span(told['timing']['total_s'])}")
            for line in told["text"].splitlines():
                self._line("", Text(line, style="dim" if "-->" in line or line.isdigit() else "green"))

    async def _learns(self) -> None:
        self._title(
            "It learns", "answers are corrected, recorded, and trained on; the adapter is used in the next call"
        )
        name = f"demo-{secrets.token_hex(4)}"
        try:
            async with Client(server()) as client:
                await self._teach(client, name)
        finally:
            for remove in (sessions.delete, lora.delete):
                with contextlib.suppress(InvalidRequest):
                    remove(name)

    async def _teach(self, client: Client, name: str) -> None:
        asked = [f"Wobble {word}." for word in _TAUGHT]
        await self._ask(client, f"Wobble {_UNSEEN[0]}.")
        wrong = await self._whole(client, "generate", {"prompts": asked, "max_tokens": 16})
        exchanges = [{"job": wrong["job"], "index": i, "answer": f"{one}-{one}!"} for i, one in enumerate(_TAUGHT)]
        kept = structured(await client.call_tool("record-session", {"session": name, "exchanges": exchanges}))
        shown = f"{kept['recorded']} answers with what they should have been, such as  "
        self._line("recorded", shown, Text(f"{_TAUGHT[0]}-{_TAUGHT[0]}!", style="green"))
        started = time.perf_counter()
        settings = {
            "adapter": name,
            "sessions": [name],
            "iterations": 40,
            "batch_size": 8,
            "scale": 10,
            "validate_every": 20,
        }
        told = await self._whole(client, "train-adapter", settings)
        if told["state"] != "done":
            raise RuntimeError(told.get("error") or told["state"])
        found = told["training"]["evaluation"]
        self._line("trained", f"{told['training']['iteration']} iterations in {span(time.perf_counter() - started)}")
        losses = f"loss on rows held back: {found['base_loss']:.2f} before, {found['adapter_loss']:.2f} after"
        self._line("", Text(losses, style="dim"))
        for word in _UNSEEN:
            await self._ask(client, f"Wobble {word}.", adapter=name)

    async def _whole(self, client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return a tool's answer, waited for past its deadline."""
        told = structured(await client.call_tool(tool, arguments))
        while told["state"] not in ("done", "failed", "cancelled"):
            told = structured(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 50}))
        return told

    async def _three_clients(self) -> None:
        self._title("Three clients at once", "each has its own small process; the model is in memory once")
        questions = ("Count from 1 to 10.", "Uppercase: red small house", "What is the capital of France?")
        async with Client(server()) as one, Client(server()) as two, Client(server()) as three:
            clients = (one, two, three)
            answers = await asyncio.gather(
                *(
                    client.call_tool("generate", {"prompt": question})
                    for client, question in zip(clients, questions, strict=True)
                )
            )
            for number, (question, answer) in enumerate(zip(questions, answers, strict=True), 1):
                self._line(f"client {number}", f"{question}  ", Text(structured(answer)["text"], style="green"))
            await self._memory()

    async def _memory(self) -> None:
        engine = EngineClient()
        try:
            status: EngineStatus = await engine.status()
        finally:
            await engine.close()
        import psutil

        shims = [child for child in psutil.Process().children() if "mcp_server" in " ".join(child.cmdline())]
        host = host_process()
        held = ", ".join(f"{model.model} {size(model.bytes)}" for model in status.models)
        self._line("memory", f"engine {size(memory_of(status.pid))}, in it {held}, once")
        self._line(
            "",
            f"host {size(memory_of(host) if host else 0)}; shims {', '.join(size(memory_of(shim.pid)) for shim in shims)}",
        )

    async def _deadline(self) -> None:
        self._title("Work that outlives its deadline is not lost", "this client gives up after a second")
        async with Client(server("--reply-within", "1")) as client:
            started = time.perf_counter()
            answer = await client.call_tool("generate", {"prompts": _STORIES, "temperature": 0.7, "seed": 1})
            told = structured(answer)
            self._line(
                "generate",
                f"{len(_STORIES)} stories asked for; answered after {span(time.perf_counter() - started)}: ",
                Text(f"{told['state']}, {told.get('phase', 'all written')}", style="yellow"),
            )
            asked = 0
            while told["state"] not in ("done", "failed", "cancelled"):
                told = structured(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 50}))
                asked += 1
            took = span(time.perf_counter() - started)
            self._line(
                "check-job",
                f"{told['job']}, asked {asked} times: ",
                Text(f"{told['state']} after {took}", style="green"),
            )
            self._line("first", Text(told["results"][0]["text"], style="green"))
            self._line("last", Text(told["results"][-1]["text"], style="green"))

    # --- showing

    async def _ask(self, client: Client, prompt: str, **options: Any) -> None:
        result = await client.call_tool("generate", {"prompt": prompt, **options})
        self._line("asked", prompt, Text(f"  {json.dumps(options)}" if options else "", style="dim"))
        if result.is_error:
            self._line("error", Text(texts(result.content), style="red"))
            return
        answer = structured(result)
        if answer.get("reasoning"):
            self._line("thought", Text(answer["reasoning"], style="dim"))
        self._line("answer", Text(json.dumps(answer["json"]) if "json" in answer else answer["text"], style="green"))
        usage, timing = answer["usage"], answer["timing"]
        facts = [
            f"{usage['prompt_tokens']} tokens read ({usage['cached_tokens']} known already)",
            f"{usage['completion_tokens']} written at {timing.get('tokens_per_second') or 0:.0f} a second",
            f"first after {span(timing['first_token_s'])}"
            + (f", of it {span(timing['load_s'])} loading" if timing["load_s"] > 0.01 else ""),
        ]
        self._line("", Text(", ".join(facts), style="dim"))

    def _title(self, text: str, aside: str = "") -> None:
        self._console.print()
        self._console.print(Text(text, style="bold"), Text(aside, style="dim"))

    def _line(self, label: str, *parts: str | Text) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=10, style="cyan")
        grid.add_column()
        grid.add_row(label, Text.assemble(*parts))
        self._show(grid)

    def _say(self, text: str) -> None:
        self._show(Text(text))

    def _show(self, thing: Any) -> None:
        self._console.print(Padding(thing, (0, 0, 0, 2)))


def structured(result: CallToolResult) -> dict[str, Any]:
    """Return the structured part of a tool's answer. Raises RuntimeError with the error's text when it has none."""
    if result.structured_content is None:
        raise RuntimeError(texts(result.content))
    return dict(result.structured_content)


def texts(blocks: Sequence[Any]) -> str:
    """Return the text of content blocks."""
    return "\n".join(block.text for block in blocks if block.type == "text")
