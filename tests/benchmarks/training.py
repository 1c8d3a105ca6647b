"""Trained tokens a second against `mlx_lm.lora` on the same data and model; from "trained" to the first token with it."""

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from adapters.starter.recipes.text.words import NOUNS
from tests.benchmarks.measure import Measured, median
from tests.running import Home, answer
from tests.tiny_models import random_qwen3

_ROWS, _ITERATIONS, _BATCH, _ROUNDS = 160, 40, 4, 2


def rows(count: int, seed: int = 1) -> list[dict[str, str]]:
    """Questions and answers of the many lengths that real ones have."""
    chance = random.Random(seed)

    def words(low: int, high: int) -> str:
        return " ".join(chance.choice(NOUNS) for _ in range(round(low * (high / low) ** chance.random())))

    return [{"prompt": words(5, 120), "completion": words(2, 40)} for _ in range(count)]


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = random_qwen3(folder / "model", hidden_size=256, intermediate_size=768, num_hidden_layers=4)
        data = folder / "data"
        data.mkdir()
        (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(_ROWS)))
        ours, theirs = list[float](), list[float]()
        async with home.client("--allow", name) as client:
            for number in range(_ROUNDS):
                theirs.append(await asyncio.to_thread(_mlx_lm, home, model, data, folder / f"theirs{number}"))
                arguments = {
                    "adapter": f"a{number}", "dataset": str(data), "model": str(model), "iterations": _ITERATIONS,
                    "batch_size": _BATCH, "validation": 0, "learning_rate": 1e-4, "checkpoint_every": 1000,
                }  # fmt: skip
                told = answer(await client.call_tool("train-adapter", arguments))
                while told["state"] != "done":
                    told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 40}))
                ours.append(told["training"]["tokens_per_second"])
            answer(await client.call_tool("generate", {"prompt": "Hi", "model": str(model), "max_tokens": 1}))
            waited = list[float]()
            for number in range(_ROUNDS):
                began = time.perf_counter()
                answer(await client.call_tool("generate", {"prompt": "Hi", "adapter": f"a{number}", "max_tokens": 1}))
                waited.append(time.perf_counter() - began)
    faster = median(ours) / median(theirs)
    return [
        Measured(
            "training: learned tokens per second against mlx_lm.lora, same data and model",
            f"{median(ours):.1f} against {median(theirs):.1f}: {faster:.2f} of it",
            "at least 1.10",
            faster >= 1.1,
        ),
        Measured(
            'from "trained" to the first token with the new adapter, its model in memory',
            f"{median(waited) * 1000:.0f} ms",
        ),
    ]


def _mlx_lm(home: Home, model: Path, data: Path, out: Path) -> float:
    """What mlx_lm's own command says of its speed."""
    config = out.with_suffix(".yaml")
    config.write_text("lora_parameters:\n  rank: 16\n  scale: 20.0\n  dropout: 0.0\n")
    command = [
        sys.executable, "-m", "mlx_lm", "lora", "--train", "--model", str(model), "--data", str(data),
        "--adapter-path", str(out), "--iters", str(_ITERATIONS), "--batch-size", str(_BATCH), "--num-layers", "-1",
        "--mask-prompt", "--steps-per-report", str(_ITERATIONS), "--val-batches", "1", "--steps-per-eval", "1000000",
        "--learning-rate", "1e-4", "--save-every", "1000000", "-c", str(config),
    ]  # fmt: skip
    # Without compilation, as ours: on the CPU each kernel would be compiled by g++ first.
    environment = home.environment | {"MLX_DISABLE_COMPILE": "1", "COLUMNS": "300", "NO_COLOR": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=600)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)
    # Its table: iteration, loss with an arrow, tokens a second, tokens.
    said = re.search(rf"^\s*{_ITERATIONS}\s+[\d.]+\s+\S?\s*([\d.,]+)\s", shown, re.MULTILINE)
    if ran.returncode or said is None:
        raise RuntimeError(f"mlx_lm.lora said: {ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    return float(said.group(1).replace(",", ""))
