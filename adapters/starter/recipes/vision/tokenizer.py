"""The starter vision model's tokenizer, made from its own questions and answers, and its chat template."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from adapters.starter.recipes.text.tokenizer import SPLIT
from adapters.starter.recipes.vision.questions import WITHOUT_IMAGE, ask, draw_pair
from adapters.starter.recipes.vision.scenes import draw_scene

CONTEXT = 1024
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
IMAGE_START, IMAGE_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
ADDED = [END_OF_TEXT, TURN_START, TURN_END, IMAGE_START, IMAGE_END, "<|vision_pad|>", IMAGE, VIDEO]
TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def _texts() -> Iterator[str]:
    chance = random.Random(1)
    for index in range(4000):
        pair = draw_pair(chance) if index % 4 == 0 else None
        for question, answer in pair.asked if pair else ask(chance, draw_scene(chance), 9):
            yield from ("user\n", question, "assistant\n", answer)
        if pair:
            yield from pair.labels
    for question, answer in WITHOUT_IMAGE * 200:
        yield from (question, answer, "system\n")


def make_tokenizer(folder: Path) -> Tokenizer:
    """Train the tokenizer and write the files that Hugging Face loads. Its length is the vocabulary: no padding."""
    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), pieces])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=632, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, min_frequency=5
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ADDED])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    template = TEMPLATE.read_text(encoding="utf-8").rstrip("\n")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Qwen3VLProcessor",
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "bos_token": None,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
        "image_token": IMAGE,
        "video_token": VIDEO,
        "vision_bos_token": IMAGE_START,
        "vision_eos_token": IMAGE_END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    return tokenizer
