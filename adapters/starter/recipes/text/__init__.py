"""The recipe of the starter text model: what it is taught, its tokenizer, its network and its training."""

from adapters.starter.recipes.text import dialogue_tasks, fact_tasks, text_tasks, tool_tasks
from adapters.starter.recipes.text.example import TASKS, Example, Source, draw

__all__ = ["TASKS", "Example", "Source", "dialogue_tasks", "draw", "fact_tasks", "text_tasks", "tool_tasks"]
