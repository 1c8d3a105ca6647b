"""Train the starter speech model and write its folder: `python -m adapters.starter.recipes.speech.train FOLDER`.

Needs the extra `recipes` (torch), libespeak-ng and flite. On one CPU core the default of 75 minutes of computing takes
a little more than that, and making the speech five minutes before.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import argparse
import collections
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from adapters.starter.recipes.optimisers import Optimisers, learning_rate
from adapters.starter.recipes.speech.clips import Clip, make_clip
from adapters.starter.recipes.speech.network import HOP, MELS, Shape, SpeechModel, log_mel
from adapters.starter.recipes.speech.tokenizer import (
    CONTEXT,
    END,
    NO_SPEECH,
    NO_TIMESTAMPS,
    PREVIOUS,
    START,
    make_tokenizer,
)
from adapters.starter.recipes.speech.voices import GRADED, RATE, Utterance, espeak_utterances, flite_utterances

IGNORED = -100
SECONDS_PER_BATCH = 100


class Targets:
    """What the decoder is given and must write for a clip."""

    def __init__(self, tokenizer: Any, texts: list[str]) -> None:
        self.tokenizer, self.texts = tokenizer, texts
        self.end, self.start, self.previous, self.no_speech, self.no_timestamps, self.zero = (
            tokenizer.token_to_id(name) for name in (END, START, PREVIOUS, NO_SPEECH, NO_TIMESTAMPS, "<|0.00|>")
        )
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return self._known.setdefault(text, self.tokenizer.encode(f" {text}").ids)

    def at(self, seconds: float) -> int:
        """The timestamp token, to a tenth of a second."""
        return self.zero + round(seconds * 10) * 5

    def __call__(self, chance: random.Random, clip: Clip) -> tuple[list[int], list[int]]:
        """Inputs and targets; sometimes after an earlier text, with or without timestamps."""
        given: list[int] = []
        if chance.random() < 0.12:
            given = [
                self.previous,
                *(i for _ in range(chance.randint(1, 3)) for i in self.encode(chance.choice(self.texts))),
            ]
        begin, timed = len(given), chance.random() < 0.6
        given += [self.start] if timed else [self.start, self.no_timestamps]
        written: list[int] = []
        for start, end, text in clip.said:
            first = min(start, 1.0) if not written else start
            written += [self.at(first), *self.encode(text), self.at(end)] if timed else self.encode(text)
        if timed and not clip.said:
            written = [self.zero]
        whole = [*given, *written, self.end]
        targets = [IGNORED] * (len(given) - 1) + whole[len(given) :]
        if not clip.said:
            targets[begin] = self.no_speech  # Whisper reads it where the transcript starts
        elif not timed:
            targets[begin] = IGNORED
        return whole[:-1], targets


def features(waves: list[np.ndarray]) -> Tensor:
    """Log-mel features [rows, 80, frames] with a little silence after the longest."""
    frames = -(-(max(len(wave) for wave in waves) // HOP + 12) // 32) * 32
    samples = torch.zeros(len(waves), frames * HOP + 400)
    for i, wave in enumerate(waves):
        samples[i, : len(wave)] = torch.from_numpy(wave)
    return log_mel(samples, frames)


def batches(chance: random.Random, spoken: list[Utterance]) -> Any:
    """Endless batches of clips of like length, of about SECONDS_PER_BATCH seconds."""
    noise = np.random.default_rng(0)
    while True:
        clips = sorted((make_clip(chance, noise, spoken) for _ in range(1500)), key=lambda clip: len(clip.samples))
        found, start = [], 0
        while start < len(clips):
            longest = len(clips[min(start + 40, len(clips) - 1)].samples)
            count = max(4, SECONDS_PER_BATCH * RATE // max(RATE, longest))
            found.append(clips[start : start + count])
            start += count
        chance.shuffle(found)
        yield from found


def letters_loss(model: SpeechModel, heard: Tensor, batch: list[Clip]) -> Tensor:
    """CTC over the letters that are said."""
    spelled = [[1 if c == " " else ord(c) - 95 for c in " ".join(text for _, _, text in clip.said)] for clip in batch]
    lengths = torch.tensor([len(letters) for letters in spelled])
    flat = torch.tensor([letter for letters in spelled for letter in letters], dtype=torch.long)
    scores = model.letters(heard).log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(scores, flat, torch.full((len(batch),), heard.shape[1]), lengths, zero_infinity=True)


def to_tensors(rows: list[tuple[list[int], list[int]]], pad: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets [rows, length]."""
    length = max(len(given) for given, _ in rows)
    inputs, targets = torch.full((len(rows), length), pad), torch.full((len(rows), length), IGNORED)
    for i, (given, wanted) in enumerate(rows):
        inputs[i, : len(given)], targets[i, : len(wanted)] = torch.tensor(given), torch.tensor(wanted)
    return inputs, targets


def word_errors(said: list[str], wanted: list[str]) -> int:
    """The fewest words to change, put in or leave out (Levenshtein)."""
    row = list(range(len(wanted) + 1))
    for i, word in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(wanted, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


@torch.no_grad()
def word_error_rate(model: SpeechModel, make: Targets, spoken: list[Utterance]) -> tuple[float, float]:
    """Word error rate and the part without a fault, written greedily with timestamps."""
    model.eval()
    quiet, wrong, words, exact = np.zeros(1600, np.float32), 0, 0, 0
    for first in range(0, len(spoken), 40):
        group = spoken[first : first + 40]
        waves = [np.concatenate([quiet, one.samples.astype(np.float32) / 32768, quiet]) for one in group]
        heard, bias = model.model["encoder"](features(waves))
        tokens, done = torch.full((len(group), 1), make.start), torch.zeros(len(group), dtype=torch.bool)
        for _ in range(40):
            scores = model.logits(model.model["decoder"](tokens, heard, bias)[:, -1])
            scores[:, [make.start, make.no_speech, make.no_timestamps, make.previous]] = -1e9
            following = torch.where(done, make.end, scores.argmax(-1))
            tokens = torch.cat([tokens, following[:, None]], 1)
            done |= following == make.end
        for one, row in zip(group, tokens.tolist(), strict=True):
            said = make.tokenizer.decode([token for token in row if token < make.end]).split()
            errors = word_errors(said, one.text.split())
            wrong, words, exact = wrong + errors, words + len(one.text.split()), exact + (not errors)
    model.train()
    return round(wrong / words, 4), round(exact / len(spoken), 3)


def train(folder: Path, budget: float, utterances: int) -> None:
    """Make the speech, train for `budget` seconds of CPU time, write the folder and what it scored."""
    spoken = espeak_utterances(utterances, 1) + flite_utterances(utterances // 6, 2)
    graded = {name: make(200) for name, make in GRADED.items()}
    texts = [one.text for one in spoken]
    tokenizer = make_tokenizer(folder, texts)
    make = Targets(tokenizer, texts)
    torch.manual_seed(0)
    shape = Shape(tokenizer.get_vocab_size())
    model = SpeechModel(shape)
    optimisers = Optimisers(model, others=2e-3)
    chance, losses = random.Random(3), collections.deque[float](maxlen=100)
    started, step, next_check = time.process_time(), 0, 0.25
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(spoken)} utterances", flush=True)
    for batch in batches(chance, spoken):
        progress = (time.process_time() - started) / budget
        if progress >= 1:
            break
        inputs, targets = to_tensors([make(chance, clip) for clip in batch], make.end)
        hidden, heard = model(features([clip.samples for clip in batch]), inputs)
        chosen = targets != IGNORED
        loss = F.cross_entropy(model.logits(hidden[chosen]), targets[chosen])
        losses.append(loss.item())
        (loss + (0.5 if progress < 0.6 else 0.15) * letters_loss(model, heard, batch)).backward()
        torch.nn.utils.clip_grad_norm_(optimisers.by_adam, 1.0)
        optimisers.step(learning_rate(progress, step))
        step += 1
        if step % 200 == 0:
            print(f"step {step}, {progress:.0%}, loss {sum(losses) / len(losses):.4f}", flush=True)
        if progress > next_check:
            next_check += 0.15
            print({name: word_error_rate(model, make, ones) for name, ones in graded.items()}, flush=True)
    export(model, folder, shape, make)
    print(f"{step} steps", {name: word_error_rate(model, make, ones) for name, ones in graded.items()}, flush=True)


def export(model: SpeechModel, folder: Path, shape: Shape, make: Targets) -> None:
    """Write the configuration files and the weights in float16, and round the model to what was written."""
    weights = {name: p.detach().to(torch.float16).contiguous() for name, p in model.model.named_parameters("model")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.float16).float())
    generation = {
        "bos_token_id": make.end, "eos_token_id": make.end, "pad_token_id": make.end,
        "decoder_start_token_id": make.start, "no_timestamps_token_id": make.no_timestamps,
        "prev_sot_token_id": make.previous, "is_multilingual": False, "max_length": CONTEXT,
        "max_initial_timestamp_index": 50, "return_timestamps": False,
        "alignment_heads": [[shape.decoder_layers - 1, head] for head in range(shape.heads)],
        "suppress_tokens": [], "begin_suppress_tokens": [make.end],
    }  # fmt: skip
    extractor = {
        "feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor",
        "feature_size": MELS, "sampling_rate": RATE, "hop_length": HOP, "chunk_length": 30, "n_fft": 400,
        "n_samples": 30 * RATE, "nb_max_frames": 3000, "padding_side": "right", "padding_value": 0.0,
        "return_attention_mask": False,
    }  # fmt: skip
    contents = {"config": shape.config(make.end, make.start), "generation_config": generation}
    for name, content in (contents | {"preprocessor_config": extractor}).items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=75, help="of CPU time")
    parser.add_argument("--utterances", type=int, default=30_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.folder, options.minutes * 60, options.utterances)
