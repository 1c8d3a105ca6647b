"""What is tried: every family of mlx-lm, a dozen of them quantised, and what is known not to work, with the reason."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.families import asked_of_text, asked_of_vision
from tests.families.asked_of_text import TextFamily
from tests.families.asked_of_vision import VisionFamily
from tests.families.checkpoints import quantized_checkpoint, text_checkpoint, vision_checkpoint
from tests.families.more_text_configurations import RARE
from tests.families.text_configurations import COMMON, configuration
from tests.families.vision_configurations import VISION, vision_configuration

QUANTIZATIONS = ("4-bit", "mxfp4", "mixed")
QUANTIZED = (
    "llama", "mistral3", "qwen3", "qwen3_5", "qwen3_moe", "gemma3_text", "gpt_oss", "lfm2", "granitemoehybrid",
    "deepseek_v3", "phi3", "glm4_moe",
)  # fmt: skip
# One of each kind of cache, batch and refusal: tried with every change. `make test-families` tries all.
QUICK = (
    "qwen3",
    "qwen3_5",
    "gemma3_text",
    "gemma2",
    "nemotron_h",
    "llama4",
    "gemma3n",
    "rwkv7",
    "qwen3_5 4-bit",
    "qwen3_5 vision",
    "paligemma vision",
    "mllama vision",
)


@dataclass(frozen=True)
class Case:
    """A family as it is tried: `quantization` is None for weights as they were trained."""

    family: str
    quantization: str | None = None
    sees: bool = False

    @property
    def name(self) -> str:
        return " ".join([self.family, *(["vision"] if self.sees else []), *filter(None, [self.quantization])])

    def checkpoint(self, folder: Path) -> Path:
        if self.sees:
            return vision_checkpoint(folder / self.family, vision_configuration(self.family))
        config = configuration(self.family, (COMMON | RARE)[self.family])
        made = text_checkpoint(folder / self.family, config)
        return quantized_checkpoint(folder / "quantized", made, self.quantization) if self.quantization else made

    def made(self, folder: Path) -> "TextFamily":
        """The checkpoint, served and by its library."""
        kind = VisionFamily if self.sees else TextFamily
        return kind(self.checkpoint(folder))

    @property
    def questions(self) -> tuple[str, ...]:
        if self.quantization:
            return ("alone", "batch", "cache")
        return asked_of_vision.QUESTIONS if self.sees else asked_of_text.QUESTIONS


CASES = {
    case.name: case
    for case in [
        *(Case(family) for family in sorted(COMMON | RARE, key=str.lower)),
        # mlx_lm has no recipe of mixed bits for LFM2.
        *(Case(family, how) for family in QUANTIZED for how in QUANTIZATIONS if (family, how) != ("lfm2", "mixed")),
        *(Case(family, sees=True) for family in sorted(VISION)),
    ]
}

# Families of which no checkpoint can be made here, and why.
NOT_TRIED = {
    "bitnet": "its layers are written for Metal alone; elsewhere it is refused",
    "gear": "transformers knows no configuration with its kinds of layers, so that its tokenizer is not read",
    "muse_spark": "transformers takes its configuration for another one, so that its tokenizer is not read",
    "olmo": "mlx-lm loads it with the package ai2-olmo, which is not part of this; OLMo 2 and 3 need no package",
    "phi3small": "mlx-lm's code for it writes beyond its memory (tried alone, it ends its process), so it is refused",
    "prism_hadamard_qwen35": "a pack of weights of its own, which nobody but its maker writes",
}
# What is refused, or not done, and how: (case, question) to what is said.
LIMITS: dict[tuple[str, str], str] = {
    ("afm7", "adapter"): "layers of its own kind",
    ("deepseek_v41", "adapter"): "cannot be trained by lora",
    ("gemma3n", "adapter"): "cannot be trained by lora",
    ("kimi_k3", "adapter"): "cannot be trained by lora",
    ("recurrent_gemma", "adapter"): "cannot be trained",
    ("paligemma vision", "cache"): "0 of .* were cached",  # all of its prompt attends to all of it
    **{("mllama vision", question): "about pictures alone" for question in asked_of_vision.QUESTIONS},
}


def as_known(case: Case, question: str, wrong: str | None) -> bool:
    """Whether an answer is as it should be: nothing wrong, or what is known to be refused, in those words."""
    limit = LIMITS.get((case.name, question))
    if limit is None or wrong is None:
        return wrong is None and limit is None
    return re.search(limit, wrong) is not None and not wrong.startswith("NOT FORESEEN")
