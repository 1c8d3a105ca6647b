"""Train the starter vision model and write its folder: `python -m adapters.starter.recipes.vision.train FOLDER`.

Needs the extra `recipes` (torch). On one CPU core the default of 70 minutes of computing takes a little more than that.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import argparse
import collections
import json
import random
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from adapters.starter.recipes.decoder import LanguageModel, Shape
from adapters.starter.recipes.optimisers import Optimisers, learning_rate
from adapters.starter.recipes.vision.network import MROPE_SECTION, MultimodalRope, VisionShape, VisionTower
from adapters.starter.recipes.vision.questions import ask, draw_pair
from adapters.starter.recipes.vision.rows import IGNORED, Batch, Rows
from adapters.starter.recipes.vision.scenes import COLOURS, PLACES, SHAPES, draw_scene
from adapters.starter.recipes.vision.tokenizer import (
    CONTEXT,
    END_OF_TEXT,
    IMAGE,
    IMAGE_END,
    IMAGE_START,
    TURN_END,
    VIDEO,
    make_tokenizer,
)

# What each image token shows, told during training only: without it the model stays at chance on shapes.
LABELS = [len(COLOURS) + 1, len(SHAPES) + 1, len(PLACES) + 1]


class VisionLanguageModel(nn.Module):
    def __init__(self, shape: Shape, vision: VisionShape, image_token: int) -> None:
        super().__init__()
        self.lm, self.visual, self.image_token = LanguageModel(shape), VisionTower(vision), image_token
        self.labels = nn.Linear(vision.out, sum(LABELS))
        self.rope = MultimodalRope(shape)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Hidden states [rows, length, hidden], and what the tower made of the pictures [images, tokens, hidden]."""
        x, seen = self.lm.model.embed_tokens(batch.tokens), None
        if batch.pixels is not None:
            seen = self.visual(batch.pixels, batch.grid)
            x = x.masked_scatter((batch.tokens == self.image_token)[..., None], seen)
        return self.lm.decode(x, *self.rope(batch.positions), batch.mask), seen

    def loss(self, batch: Batch, labels_weight: float) -> Tensor:
        hidden, seen = self(batch)
        chosen = batch.targets != IGNORED
        loss = F.cross_entropy(self.lm.logits(hidden[chosen]), batch.targets[chosen])
        if seen is None or batch.labels is None:
            return loss
        scores, shown = self.labels(seen).reshape(-1, sum(LABELS)).split(LABELS, -1), batch.labels.reshape(-1, 3)
        for i, score in enumerate(scores):
            weight = torch.ones(LABELS[i])
            weight[0] = 0.2  # most tokens show the ground
            loss = loss + labels_weight * F.cross_entropy(score, shown[:, i], weight)
        return loss


@torch.no_grad()
def held_out_accuracy(model: VisionLanguageModel, rows: Rows, count: int) -> dict[str, float]:
    """By kind of question, the part of held-out answers that are predicted without a fault (teacher forced)."""
    chance, result = random.Random(99), collections.defaultdict[str, list[bool]](list)
    for _ in range(count // 20):
        scenes = [draw_scene(chance, "test") for _ in range(20)]
        pairs = [draw_pair(chance, "test") for _ in range(10)]
        single = [ask(chance, scene, 9) for scene in scenes]
        named = [["caption " + scene.kind] + ["-"] * 9 for scene in scenes]
        batch = rows.with_images([[scene] for scene in scenes], [[(one,) for one in asked] for asked in single])
        _grade(model, batch, single, named, result)
        double = rows.with_images(
            [pair.scenes for pair in pairs],
            [[(one,) for one in pair.asked] for pair in pairs],
            [p.labels for p in pairs],
        )
        kinds = [["changed", "first of two", "second of two"] for _ in pairs]
        _grade(model, double, [pair.asked for pair in pairs], kinds, result)
    return {name: round(sum(right) / len(right), 3) for name, right in sorted(result.items())}


def _grade(
    model: VisionLanguageModel,
    batch: Batch,
    asked: list[list[tuple[str, str]]],
    kinds: list[list[str]],
    result: dict[str, list[bool]],
) -> None:
    predicted = model.lm.logits(model(batch)[0]).argmax(-1)
    for i, answers in enumerate(asked):
        places = (batch.targets[i] != IGNORED).nonzero().flatten().tolist()
        for j, (question, _) in enumerate(answers):
            # The answers of a row follow one another; a gap of more than one place begins the next.
            end = next((k for k in range(1, len(places)) if places[k] != places[k - 1] + 1), len(places))
            mine, places = places[:end], places[end:]
            right = bool((predicted[i, mine] == batch.targets[i, mine]).all())
            kind = kinds[i][j]
            result[" ".join(question.split()[:2]) if kind == "-" else kind].append(right)


def train(folder: Path, budget: float) -> None:
    """Make the tokenizer, train for `budget` seconds of CPU time, write the folder and what it scored."""
    tokenizer = make_tokenizer(folder)
    vision = VisionShape()
    shape = Shape(
        vocab_size=tokenizer.get_vocab_size(),
        num_hidden_layers=4,
        intermediate_size=320,
        max_position_embeddings=CONTEXT,
    )
    torch.manual_seed(0)
    rows = Rows(tokenizer, vision)
    model = VisionLanguageModel(shape, vision, rows.image_token)
    optimisers = Optimisers(model)
    chance, losses = random.Random(3), collections.deque[float](maxlen=100)
    started, step, next_check = time.process_time(), 0, 0.2
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, vocabulary {shape.vocab_size}", flush=True)
    while (progress := (time.process_time() - started) / budget) < 1:
        loss = model.loss(rows.training(chance), 0.5 if progress < 0.6 else 0.1)
        loss.backward()
        optimisers.step(learning_rate(progress, step))
        losses.append(loss.item())
        step += 1
        if step % 200 == 0:
            print(f"step {step}, {progress:.0%}, loss {sum(losses) / len(losses):.4f}", flush=True)
        if progress > next_check:
            next_check += 0.2
            print(json.dumps(held_out_accuracy(model, rows, 100)), flush=True)
    export(model, folder, shape, vision, tokenizer)
    print(f"{step} steps, held out:", json.dumps(held_out_accuracy(model, rows, 600)), flush=True)


def export(model: VisionLanguageModel, folder: Path, shape: Shape, vision: VisionShape, tokenizer: Any) -> None:
    """Write the configuration files and the weights in bfloat16, and round the model to what was written."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.bfloat16).float())
    weights = {
        f"model.language_model.{name.removeprefix('model.')}": p.detach() for name, p in model.lm.named_parameters()
    }
    weights |= model.visual.exported()
    halved = {name: p.to(torch.bfloat16).contiguous() for name, p in weights.items()}
    save_file(halved, folder / "model.safetensors", metadata={"format": "pt"})
    end, pad = tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT)
    text = shape.config(end, pad) | {
        "model_type": "qwen3_vl_text",
        "rope_scaling": {"rope_type": "default", "mrope_section": MROPE_SECTION, "mrope_interleaved": True},
    }
    for key in ("architectures", "torch_dtype", "use_sliding_window", "sliding_window"):
        del text[key]
    config = {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "text_config": text,
        "vision_config": vision.config(), "image_token_id": tokenizer.token_to_id(IMAGE),
        "video_token_id": tokenizer.token_to_id(VIDEO), "vision_start_token_id": tokenizer.token_to_id(IMAGE_START),
        "vision_end_token_id": tokenizer.token_to_id(IMAGE_END), "tie_word_embeddings": True,
        "torch_dtype": "bfloat16", "eos_token_id": end, "pad_token_id": pad,
    }  # fmt: skip
    image = vision.processor() | {"image_processor_type": "Qwen2VLImageProcessorFast"}
    video = vision.processor() | {
        "video_processor_type": "Qwen3VLVideoProcessor",
        "fps": 2,
        "min_frames": 2,
        "max_frames": 16,
    }
    generation = {"eos_token_id": [end, pad], "pad_token_id": pad, "do_sample": False}
    for name, content in {
        "config": config, "preprocessor_config": image, "video_preprocessor_config": video, "generation_config": generation,
    }.items():  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=70, help="of CPU time")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.folder, options.minutes * 60)
