"""The starter speech model's tokenizer: Whisper's English layout over a vocabulary of its own words."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CONTEXT = 256
TIMESTAMPS = 1501  # every 0.02 s of 30 s
END, START, TRANSCRIBE = "<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>"
PREVIOUS, NO_SPEECH, NO_TIMESTAMPS = "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"
# In the order that Whisper's tokens have.
MARKERS = [END, START, "<|en|>", "<|translate|>", TRANSCRIBE, "<|startoflm|>", PREVIOUS, NO_SPEECH, NO_TIMESTAMPS]


def make_tokenizer(folder: Path, texts: list[str]) -> Tokenizer:
    """Train a byte-level BPE on the words of `texts` and write the files of a WhisperProcessor."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    words = sorted(set(" ".join(texts).split()))
    trainer = trainers.BpeTrainer(
        vocab_size=2000, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    trained.train_from_iterator([f" {word}" for word in words for _ in range(50)], trainer)
    content = json.loads(trained.to_str())
    vocabulary: dict[str, int] = content["model"]["vocab"]
    first = len(vocabulary)
    added = MARKERS + [f"<|{i * 0.02:.2f}|>" for i in range(TIMESTAMPS)]
    vocabulary[END] = first
    content["added_tokens"] = [
        {
            "id": first + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": i < len(MARKERS),
        }
        for i, text in enumerate(added)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    settings = {
        "tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "bos_token": END,
        "eos_token": END, "unk_token": END, "pad_token": END, "add_prefix_space": False, "model_max_length": CONTEXT,
        "errors": "replace", "additional_special_tokens": MARKERS,
    }  # fmt: skip
    for name, value in {
        "tokenizer": content, "vocab": vocabulary, "tokenizer_config": settings,
        "added_tokens": {text: first + i for i, text in enumerate(added)},
    }.items():  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
