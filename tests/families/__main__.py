"""Try every family and write the table: `python -m tests.families docs/models.md [FAMILY...]`.

Cases are tried one after another, some in each process. Ends with 1 when something is not as it is known to be.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import adapters.mlx as _  # noqa: F401  before anything imports MLX

# isort: split
from tests.families.cases import CASES, NOT_TRIED, as_known
from tests.families.table import Result, written

_AT_A_TIME = 20


def try_one(name: str) -> Result:
    """What comes of a case, asked in this process."""
    from tests.families.serving import told

    with tempfile.TemporaryDirectory() as place:
        os.environ["MCP_SERVER_MLX_HOME"] = f"{place}/home"
        found: dict[str, str | None] = {}
        try:
            family = CASES[name].made(Path(place))
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, the table says it
            return Result(name, {"load": told(error)})
        for question in CASES[name].questions:
            try:
                found[question] = family.ask(question)
            except (Exception, SystemExit) as error:  # noqa: BLE001  as above
                found[question] = told(error)
        return Result(name, found, batch=family.batching(), kept=family.kept())


def try_in_other_processes(names: list[str]) -> Iterator[Result]:
    """Try cases in processes of their own, some at a time: what a family breaks is not the next one's."""
    left = list(names)
    while left:
        some = left[:_AT_A_TIME]
        command = [sys.executable, "-m", "tests.families", "--cases", *some]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                if line.startswith('{"name"'):
                    result = Result(**json.loads(line))
                    left.remove(result.name)
                    some.remove(result.name)
                    yield result
        if some:  # the process ended in the middle of this one
            left.remove(some[0])
            yield Result(some[0], {"load": "NOT FORESEEN the process ended"})


def main(arguments: list[str]) -> int:
    if arguments[0] == "--cases":
        for name in arguments[1:]:
            print(json.dumps(vars(try_one(name))), flush=True)  # noqa: T201  read by who started this process
        return 0
    target, chosen = Path(arguments[0]), set(arguments[1:])
    names = [
        name for name, case in CASES.items() if case.family not in NOT_TRIED and (not chosen or case.family in chosen)
    ]
    results, wrong = list[Result](), 0
    for result in try_in_other_processes(names):
        results.append(result)
        case = CASES[result.name]
        unknown = {asked: said for asked, said in result.found.items() if not as_known(case, asked, said)}
        wrong += len(unknown)
        sys.stderr.write(f"{result.name}: {unknown or 'as known'}\n")
    if not chosen:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(written(results), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
