"""`mcp-server-mlx doctor`: what is here, what works, and what to do about what does not."""

import asyncio
import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from mcp_server.doctor import Finding, findings

console = Console()

_MARKS = {"ok": ("ok      ", "green"), "note": ("note    ", "yellow"), "problem": ("PROBLEM ", "red")}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False) -> None:
    """Look at everything that this server needs, and say what to do about what is wrong.

    Ends with 1 if something is.
    """
    found = asyncio.run(_all(quiet=as_json))
    problems = sum(finding.state == "problem" for finding in found)
    if as_json:
        told = {"problems": problems, "findings": [finding.model_dump(exclude_none=True) for finding in found]}
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    else:
        console.print(f"\n{problems} problems" if problems != 1 else "\n1 problem", style="bold", highlight=False)
    raise typer.Exit(1 if problems else 0)


async def _all(quiet: bool) -> list[Finding]:
    found = list[Finding]()
    async for finding in findings():
        found.append(finding)
        if not quiet:
            _show(finding)
    return found


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    line = Text.assemble((mark, colour), (f"{finding.about}: ", "bold"), finding.says)
    if finding.remedy:
        line.append(f"\n        -> {finding.remedy}")
    console.print(line, soft_wrap=True, highlight=False)
