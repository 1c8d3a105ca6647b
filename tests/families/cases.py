"""What is tried: every family of mlx-lm, a dozen of them quantised, and what is known not to work, with the reason."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.families.checkpoints import quantized_checkpoint, text_checkpoint
from tests.families.more_text_configurations import RARE
from tests.families.text_configurations import COMMON, configuration

QUANTIZATIONS = ("4-bit", "mxfp4", "mixed")
QUANTIZED = (
    "llama", "mistral3", "qwen3", "qwen3_5", "qwen3_moe", "gemma3_text", "gpt_oss", "lfm2", "granitemoehybrid",
    "deepseek_v3", "phi3", "glm4_moe",
)  # fmt: skip
# One of each kind of cache, batch and refusal: tried with every change. `make test-families` tries all.
QUICK = ("qwen3", "qwen3_5", "gemma3_text", "gemma2", "nemotron_h", "llama4", "gemma3n", "rwkv7", "qwen3_5 4-bit")


@dataclass(frozen=True)
class Case:
    """A family as it is tried: `quantization` is None for weights as they were trained."""

    family: str
    quantization: str | None = None

    @property
    def name(self) -> str:
        return f"{self.family} {self.quantization}" if self.quantization else self.family

    def checkpoint(self, folder: Path) -> Path:
        config = configuration(self.family, (COMMON | RARE)[self.family])
        made = text_checkpoint(folder / self.family, config)
        return quantized_checkpoint(folder / "quantized", made, self.quantization) if self.quantization else made


CASES = {
    case.name: case
    for case in [
        *(Case(family) for family in sorted(COMMON | RARE, key=str.lower)),
        *(Case(family, how) for family in QUANTIZED for how in QUANTIZATIONS),
    ]
}

# Families of which no checkpoint can be made here, and why.
NOT_TRIED = {
    "bitnet": "its layers are written for Metal alone",
    "olmo": "mlx-lm loads it with the package ai2-olmo, which is not part of this; OLMo 2 and 3 need no package",
    "prism_hadamard_qwen35": "a pack of weights of its own, which nobody but its maker writes",
}
# What is refused, or not done, and how: (family, question) to what is said.
LIMITS: dict[tuple[str, str], str] = {
    ("gemma3n", "adapter"): "cannot be trained by lora",
}


def as_known(case: Case, question: str, wrong: str | None) -> bool:
    """Whether an answer is as it should be: nothing wrong, or what is known to be refused, in those words."""
    limit = LIMITS.get((case.family, question))
    if limit is None or wrong is None:
        return wrong is None and limit is None
    return re.search(limit, wrong) is not None and not wrong.startswith("NOT FORESEEN")
