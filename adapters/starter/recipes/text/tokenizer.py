"""The starter text model's tokenizer: a byte-level BPE made from its own training text, with Qwen's split."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from adapters.starter.recipes.text.example import Source, draw
from adapters.starter.recipes.text.words import CITIES, NAMES, WORDS

CONTEXT = 2048
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
MARKERS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
ADDED = [END_OF_TEXT, TURN_START, TURN_END, *MARKERS]
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
# Qwen's pattern: every digit is a token of its own, or sums cannot be learned.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _texts() -> Iterator[str]:
    source = Source(5)
    for _ in range(40_000):
        example = draw(source)
        for message in example.messages:
            # The trainer does not know the markers: they are cut out, or merges would spell them.
            text = message["content"].replace("<tool_call>", "").replace("</tool_call>", "")
            yield text
        for tool in example.tools:
            yield f"You can call these tools:\n{tool['function']['name']}({', '.join(tool['function']['parameters']['properties'])}: string)"
        yield example.thought
    for word in WORDS + NAMES + CITIES:
        yield from [f"{word} {word} {word.capitalize()} {word.capitalize()}\n{word}"] * 40
        yield from [f"{word.upper()} {word.upper()}"] * 8
    yield from ["system", "user", "assistant"] * 1000


def make_tokenizer(folder: Path, size: int) -> None:
    """Train a tokenizer of exactly `size` tokens, the markers last, and write the files that Hugging Face loads."""
    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), pieces])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(ADDED), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    ordinary = [AddedToken(text, special=text not in MARKERS, normalized=False) for text in ADDED]
    tokenizer.add_tokens(ordinary)
    assert tokenizer.get_vocab_size() == size, tokenizer.get_vocab_size()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    template = TEMPLATE.read_text(encoding="utf-8").rstrip("\n")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "bos_token": None,
        "unk_token": None,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "tool_parser_type": "json_tools",  # a library cannot tell it from this template
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
