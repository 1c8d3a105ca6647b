"""Rows from JSONL files in the forms that mlx_lm takes: chat, tools, completions and text (mlx_lm/LORA.md).

A folder holds `train.jsonl`, and `valid.jsonl` where what is held back was chosen already.
"""

from pathlib import Path
from typing import Any

from adapters.datasets.rows import TrainingRow
from adapters.errors import InvalidRequest
from adapters.recordings.chat_form import images_of, read_chat
from adapters.recordings.jsonl import jsonl_entries, wrong


def dataset_rows(path: Path) -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Return what a file or folder has to train on, and what it says to hold back.

    Raises InvalidRequest with the file and line of what is wrong, FileRefused for what is no file.
    """
    if not path.is_dir():
        return file_rows(path), []
    train, valid = path / "train.jsonl", path / "valid.jsonl"
    if not train.is_file():
        raise InvalidRequest(f"{path} has no train.jsonl; name a JSONL file, or a folder with train.jsonl")
    return file_rows(train), file_rows(valid) if valid.is_file() else []


def file_rows(path: Path) -> list[TrainingRow]:
    """Return the rows of one JSONL file. Raises InvalidRequest with the line of what is wrong."""
    rows = [_row(entry, f"{path.name}, line {number}") for number, entry in jsonl_entries(path)]
    if not rows:
        raise InvalidRequest(f"{path.name} is empty; each line is a JSON object with `messages`, `prompt` or `text`")
    return rows


def _row(entry: dict[str, Any], origin: str) -> TrainingRow:
    if "messages" in entry:
        chat = read_chat(entry, origin)
        cut = chat.messages[: chat.learned[-1] + 1]
        return TrainingRow(origin, cut, chat.learned, chat.tools, images=images_of(cut))
    if "prompt" in entry and "completion" in entry:
        turns = (("user", entry["prompt"]), ("assistant", entry["completion"]))
        messages = [{"role": role, "content": _text(content, origin, role)} for role, content in turns]
        if not messages[1]["content"]:
            raise wrong(origin, "the completion is empty")
        return TrainingRow(origin, messages, (1,))
    if isinstance(entry.get("text"), str) and entry["text"].strip():
        return TrainingRow(origin, text=entry["text"])
    raise wrong(origin, "neither `messages`, nor `prompt` with `completion`, nor a `text` that says something")


def _text(value: Any, origin: str, name: str) -> str:
    if not isinstance(value, str):
        raise wrong(origin, f"{name} is no text")
    return value
