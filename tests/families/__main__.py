"""Try every family and write the table: `python -m tests.families docs/models.md [FAMILY...]`.

Each case has a process of its own, one after another. Ends with 1 when something is not as it is known to be.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import adapters.mlx as _  # noqa: F401  before anything imports MLX

# isort: split
from tests.families.cases import CASES, NOT_TRIED, as_known
from tests.families.table import Result, written

_MOST_SECONDS = 600


def try_one(name: str) -> Result:
    """What comes of a case, asked in this process."""
    from tests.families.asked_of_text import QUESTIONS, TextFamily
    from tests.families.serving import told

    with tempfile.TemporaryDirectory() as place:
        os.environ["MCP_SERVER_MLX_HOME"] = f"{place}/home"
        found: dict[str, str | None] = {}
        try:
            family = TextFamily(CASES[name].checkpoint(Path(place)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, the table says it
            return Result(name, {"load": told(error)})
        for question in QUESTIONS:
            try:
                found[question] = family.ask(question)
            except (Exception, SystemExit) as error:  # noqa: BLE001  as above
                found[question] = told(error)
        return Result(name, found, batch=family.batching(), kept=family.kept())


def try_in_its_own_process(name: str) -> Result:
    command = [sys.executable, "-m", "tests.families", "--case", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)
        return Result(**json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError, subprocess.TimeoutExpired) as error:
        return Result(name, {"load": f"NOT FORESEEN {type(error).__name__}: {str(error)[:200]}"})


def main(arguments: list[str]) -> int:
    if arguments[0] == "--case":
        print(json.dumps(vars(try_one(arguments[1]))))  # noqa: T201  read by the process that started this one
        return 0
    target, chosen = Path(arguments[0]), set(arguments[1:])
    results, wrong = list[Result](), 0
    for name, case in CASES.items():
        if case.family in NOT_TRIED or (chosen and case.family not in chosen):
            continue
        result = try_in_its_own_process(name)
        results.append(result)
        unknown = {asked: said for asked, said in result.found.items() if not as_known(case, asked, said)}
        wrong += len(unknown)
        sys.stderr.write(f"{name}: {unknown or 'as known'}\n")
    if not chosen:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(written(results), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
