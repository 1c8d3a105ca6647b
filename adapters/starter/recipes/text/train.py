"""Train the starter text model and write its folder: `python -m adapters.starter.recipes.text.train FOLDER`.

Needs the extra `recipes` (torch). On one CPU core the default of 22 million tokens takes about 50 minutes.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import argparse
import collections
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer

from adapters.starter.recipes.decoder import LanguageModel, Shape
from adapters.starter.recipes.optimisers import Optimisers, learning_rate
from adapters.starter.recipes.text import TASKS, Example, Source, draw
from adapters.starter.recipes.text.tokenizer import END_OF_TEXT, TURN_END, make_tokenizer

VOCABULARY = 1536
TOKENS_PER_BATCH = 2560
IGNORED = -100
# The part of conversations that are shown with thinking switched on.
THINKING = 0.3
Row = tuple[list[int], list[int]]  # tokens, and for each whether it is learned


def encode(tokenizer: Any, example: Example, thinking: bool) -> Row:
    """A conversation's tokens; what the assistant writes is learned, all else is given."""
    messages = [dict(message) for message in example.messages]
    if thinking and example.thought:
        messages[-1]["reasoning_content"] = example.thought

    def rendered(count: int, **options: bool) -> str:
        tools = example.tools or None
        return tokenizer.apply_chat_template(messages[:count], tools=tools, tokenize=False, **options)

    tokens: list[int] = []
    learned: list[int] = []
    text = ""
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        final = index == len(messages) - 1
        prompt = rendered(
            index, add_generation_prompt=True, **({} if thinking or not final else {"enable_thinking": False})
        )
        # The turn as written after its prompt; its last newline belongs to what follows.
        written = rendered(index + 1)[len(rendered(index, add_generation_prompt=True)) :].removesuffix("\n")
        for part, learn in ((prompt[len(text) :], 0), (written, 1)):
            ids = tokenizer.encode(part, add_special_tokens=False)
            tokens += ids
            learned += [learn] * len(ids)
        text = prompt + written
    return tokens, learned


def to_tensors(rows: list[Row], pad: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets [rows, length], padded to a multiple of 8; what is not learned is IGNORED."""
    length = -(-max(len(tokens) for tokens, _ in rows) // 8) * 8
    inputs, targets = torch.full((len(rows), length), pad), torch.full((len(rows), length), IGNORED)
    for i, (tokens, learned) in enumerate(rows):
        inputs[i, : len(tokens)] = torch.tensor(tokens)
        following = [t if use else IGNORED for t, use in zip(tokens[1:], learned[1:], strict=True)]
        targets[i, : len(following)] = torch.tensor(following)
    return inputs, targets


def batches(tokenizer: Any, source: Source, pad: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of about TOKENS_PER_BATCH tokens, each of rows of like length."""
    while True:
        rows = [encode(tokenizer, draw(source), thinking=source.random() < THINKING) for _ in range(4000)]
        rows.sort(key=lambda row: len(row[0]))
        found, start = [], 0
        while start < len(rows):
            longest = len(rows[min(start + 60, len(rows) - 1)][0])
            count = max(4, TOKENS_PER_BATCH // (-(-longest // 8) * 8))
            found.append(rows[start : start + count])
            start += count
        source.shuffle(found)
        for group in found:
            yield to_tensors(group, pad)


@torch.no_grad()
def held_out_accuracy(
    model: LanguageModel, tokenizer: Any, pad: int, thinking: bool, count: int = 40
) -> dict[str, float]:
    """For each task, the part of held-out examples whose last answer is predicted without a fault (teacher forced)."""
    source, result = Source(77), {}
    for name in TASKS:
        rows = []
        for _ in range(count):
            tokens, learned = encode(tokenizer, draw(source, "test", name), thinking)
            start = max(i for i in range(len(learned)) if learned[i] and not learned[i - 1])
            rows.append((tokens, [int(i >= start) for i in range(len(tokens))]))
        inputs, targets = to_tensors(rows, pad)
        predicted = model.logits(model(inputs)).argmax(-1)
        result[name] = ((predicted == targets) | (targets == IGNORED)).all(1).float().mean().item()
    return result


def train(folder: Path, budget: int) -> None:
    """Make the tokenizer, train on `budget` tokens, write config, weights in bfloat16 and what it scored."""
    make_tokenizer(folder, VOCABULARY)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    end, pad = tokenizer.convert_tokens_to_ids([TURN_END, END_OF_TEXT])
    pieces = (tokenizer.decode([i]).strip() for i in range(len(tokenizer)))
    Source.pieces = [piece for piece in pieces if piece.isalpha() and piece.isascii()]
    torch.manual_seed(0)
    shape = Shape(vocab_size=len(tokenizer))
    model = LanguageModel(shape)
    optimisers = Optimisers(model)
    losses: collections.deque[float] = collections.deque(maxlen=100)
    started, seen, step, next_check = time.monotonic(), 0, 0, 0.1
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    for inputs, targets in batches(tokenizer, Source(1), pad):
        chosen = targets != IGNORED
        loss = F.cross_entropy(model.logits(model(inputs)[chosen]), targets[chosen])
        loss.backward()
        optimisers.step(learning_rate(seen / budget, step))
        losses.append(loss.item())
        seen, step = seen + inputs.numel(), step + 1
        if step % 200 == 0:
            print(
                f"step {step}, {seen / budget:.0%}, loss {sum(losses) / len(losses):.4f}, {time.monotonic() - started:.0f} s",
                flush=True,
            )
        if seen / budget > next_check:
            next_check += 0.15
            print(
                " ".join(f"{k}:{v:.2f}" for k, v in held_out_accuracy(model, tokenizer, pad, False).items()), flush=True
            )
        if seen >= budget:
            break
    export(model, folder, shape.config(end, pad))
    for thinking in (False, True):
        scores = held_out_accuracy(model, tokenizer, pad, thinking, count=200)
        print(f"held out, thinking={thinking}:", json.dumps({k: round(v, 3) for k, v in scores.items()}), flush=True)


def export(model: LanguageModel, folder: Path, config: dict[str, object]) -> None:
    """Write config.json, generation_config.json and the weights, and round the model to what was written."""
    weights = {name: p.detach().to(torch.bfloat16).contiguous() for name, p in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    generation = {
        "eos_token_id": [config["eos_token_id"], config["pad_token_id"]],
        "pad_token_id": config["pad_token_id"],
        "do_sample": False,
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1), encoding="utf-8")
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(torch.bfloat16).float())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=22_000_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    random.seed(0)
    torch.set_num_threads(options.threads)
    train(options.folder, options.tokens)
