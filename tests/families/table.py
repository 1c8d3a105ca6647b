"""The table of families, from what came of asking each."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass

from tests.families.cases import CASES, NOT_TRIED, QUANTIZATIONS
from tests.families.speech_families import speech_rows


@dataclass(frozen=True)
class Result:
    """What came of a case: what was wrong with each question, how its rows share a batch, what is kept of a prompt."""

    name: str
    found: dict[str, str | None]
    batch: str = ""
    kept: str = ""


_HEAD = """# Models

Which families of models work here, and how far. `python -m tests.families docs/models.md` writes this page: of every family
it makes a tiny model with random weights in the form in which such models are published, and asks it what is said below.
An answer counts when the log-probabilities of each of its tokens are those of the library itself.

Tried with {versions}, on Linux's CPU.

## Text

- **alone**: a greedy answer equals `mlx_lm.generate`.
- **batch**: so do four prompts of different lengths that are answered at once. *padded*: they are read in one go. *in equal
  pieces*: they are read together, but never padded, since the family's state would take padding for words. *one by one*: the
  family's own code computes one row only, so requests wait for each other.
- **cache**: a document of 650 tokens is read once; the second question about it starts where the first one's differs.
  *any prefix*: whatever a prompt shares with an earlier one is reused. *checkpoints*: what it shares is reused up to the ends
  of documents, paragraphs and turns, and every 512 tokens or more.
- **adapter**: two iterations of training give an adapter that answers as `mlx_lm.load(adapter_path=…)` does.
- Cancelled requests, and answers that are held to a schema, work for every family where nothing else is said.
- **quantised**: 4 bits, mxfp4, and 4 bits with 6 for what matters most answer as the library does. Tried for a dozen; the
  code is the same for all.

Tools and thinking are not a family's matter but a checkpoint's: its chat template says how calls are written and whether it
can think, and mlx_lm reads the calls of the templates that it knows. `list-library` shows what each model here can do.
"""

_VISION = """
## Vision

The same, asked about text alone and compared with mlx_vlm. Pictures need a processor of each family's own; they are tried
with Qwen3-VL, Qwen3.5, Gemma 4 and Mistral 3 (`test_vision.py` and `test_picture_families.py` in
`tests/adapters/mlx/generation`). Every other family of mlx-vlm that sees and writes is listed and loaded as one, by its
library's own table of names, and is not tried here. Adapters of vision models are trained
and used, and are not fused.
"""
_SPEECH = """
## Speech

Families of mlx-audio that are accepted, and what of a call each takes. Whisper and Parakeet are tried with weights
(`tests/adapters/mlx/speech/test_model.py`); of the others it is known only that their loader runs nobody's code.
"""


def written(results: Sequence[Result]) -> str:
    """The page, in Markdown."""
    packages = ("mlx", "mlx-lm", "mlx-vlm", "mlx-audio")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    by_name = {result.name: result for result in results}
    lines = ["", "| family | alone | batch | cache | adapter | quantised |", "|---|---|---|---|---|---|"]
    for name, case in CASES.items():
        if case.quantization is None and not case.sees and name in by_name:
            lines.append(_row(by_name[name], [by_name.get(f"{name} {how}") for how in QUANTIZATIONS]))
    lines += [_VISION, "| family | alone | batch | cache |", "|---|---|---|---|"]
    lines += [_seeing_row(by_name[name]) for name, case in CASES.items() if case.sees and name in by_name]
    lines += [_SPEECH, "| family | language | hints | translates | times of words |", "|---|---|---|---|---|"]
    lines += speech_rows()
    lines += ["", "## What is not supported, and why", ""]
    lines += [
        f"- `{result.name}`, {question}: {said}"
        for result in results
        for question, said in result.found.items()
        if said is not None
    ]
    lines += [f"- `{family}` is not tried: {why}." for family, why in NOT_TRIED.items()]
    return _HEAD.format(versions=versions) + "\n".join(lines) + "\n"


def _seeing_row(result: Result) -> str:
    found = result.found
    cells = [
        "yes" if not found.get("alone", found.get("load")) else "no",
        "no" if found.get("batch", found.get("load")) else result.batch,
        "no" if found.get("cache", found.get("load")) else result.kept,
    ]
    return f"| `{result.name.removesuffix(' vision')}` | {' | '.join(cells)} |"


def _row(result: Result, quantized: Sequence[Result | None]) -> str:
    found = result.found

    def cell(question: str, how: str = "yes") -> str:
        if "load" in found:
            return "no"
        return "no" if found.get(question) else how

    tried = [one for one in quantized if one is not None]
    works = [all(said is None for said in one.found.values()) for one in tried]
    cells = [
        f"`{result.name}`",
        cell("alone"),
        cell("batch", result.batch),
        cell("cache", result.kept),
        cell("adapter"),
        "" if not tried else "yes" if all(works) else f"{sum(works)} of {len(works)}",
    ]
    return f"| {' | '.join(cells)} |"
