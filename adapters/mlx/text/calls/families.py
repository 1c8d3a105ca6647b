"""The families of models by what they write around calls and within them, told by a tokenizer's parser, template and words."""

from dataclasses import dataclass
from typing import Any

from adapters.mlx.text.calls.found import Body
from adapters.mlx.text.calls.gemma import Gemma
from adapters.mlx.text.calls.headed import DEEPSEEK_3, DEEPSEEK_31, KIMI, MISTRAL
from adapters.mlx.text.calls.json_objects import JsonObjects
from adapters.mlx.text.calls.pythonic import Pythonic
from adapters.mlx.text.calls.tagged import (
    DEEPSEEK_32,
    GLM,
    KIMI_3,
    LONGCAT,
    MINICPM,
    MINIMAX,
    MUSE,
    QWEN_XML,
)

JSON = JsonObjects()


@dataclass(frozen=True)
class Family:
    """What stands around calls, and the forms that are tried within, in order.

    `start` and `end` are empty where there is no such mark. `heads` begin a call whose mark is missing, at the start of
    a line. What `bare` words begin is a call without that mark only if it is the whole answer, or the mark at the end is
    there. `parser` is one of a library, for a form that is not known here.
    """

    name: str
    start: str
    end: str
    bodies: tuple[Body, ...]
    heads: tuple[str, ...] = ()
    bare: tuple[str, ...] = ("{", "[")
    parser: Any = None


_TOOL_CALL = ("<tool_call>", "</tool_call>")
FAMILIES = {
    family.name: family
    for family in (
        Family("json_tools", *_TOOL_CALL, (JSON, QWEN_XML), ("<function=",)),
        Family("qwen3_coder", *_TOOL_CALL, (QWEN_XML, JSON), ("<function=",)),
        Family("glm47", *_TOOL_CALL, (JSON, GLM)),
        Family("laguna", *_TOOL_CALL, (JSON, GLM)),
        Family("longcat", "<longcat_tool_call>", "</longcat_tool_call>", (JSON, LONGCAT)),
        Family("seed_oss", "<seed:tool_call>", "</seed:tool_call>", (QWEN_XML, JSON), ("<function=",)),
        Family("minimax_m2", "<minimax:tool_call>", "</minimax:tool_call>", (MINIMAX, JSON), ("<invoke name=",)),
        Family("muse_spark", "<atem:function_calls>", "</atem:function_calls>", (MUSE,), ("<atem:invoke ",)),
        Family("minicpm5", "", "", (MINICPM,), ("<function name=",)),
        Family("kimi_k2", "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", (KIMI,), ("<|tool_call_begin|>",)),
        Family("kimi_k3", "<|open|>tools<|sep|>", "<|close|>tools<|sep|>", (KIMI_3,), ("<|open|>call ",)),
        Family("mistral", "[TOOL_CALLS]", "", (JSON, MISTRAL)),
        Family("function_gemma", "<start_function_call>", "<end_function_call>", (Gemma(),), bare=("call:",)),
        Family("gemma4", "<|tool_call>", "<tool_call|>", (Gemma(),), bare=("call:",)),
        Family("pythonic", "<|tool_call_start|>", "<|tool_call_end|>", (Pythonic(), JSON)),
        Family("llama4", "<|python_start|>", "<|python_end|>", (Pythonic(), JSON)),
        Family("llama3", "<|python_tag|>", "", (JSON,)),
        Family("deepseek", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", (DEEPSEEK_3, DEEPSEEK_31), ("<｜tool▁call▁begin｜>",)),
        Family("deepseek_32", "<｜DSML｜function_calls>", "</｜DSML｜function_calls>", (DEEPSEEK_32,), ("<｜DSML｜invoke ",)),
        Family("granite", "<|tool_call|>", "", (JSON,)),
        Family("phi4", "<|tool_call|>", "<|/tool_call|>", (JSON,)),
        Family("command", "<|START_ACTION|>", "<|END_ACTION|>", (JSON,)),
        Family("nemotron", "<TOOLCALL>", "</TOOLCALL>", (JSON,)),
        Family("jamba", "<tool_calls>", "</tool_calls>", (JSON,)),
        Family("internlm", "<|action_start|><|plugin|>", "<|action_end|>", (JSON,)),
    )
}  # fmt: skip

# The parsers of mlx_lm and mlx_vlm, and what tells a family that they have none for: all of these in a template.
_BY_TEMPLATE = (
    ("seed_oss", ("<seed:tool_call>",)),
    ("deepseek_32", ("｜DSML｜",)),
    ("deepseek", ("<｜tool▁calls▁begin｜>",)),
    ("llama4", ("<|python_start|>",)),
    ("phi4", ("<|/tool_call|>",)),
    ("command", ("<|START_ACTION|>",)),
    ("nemotron", ("<TOOLCALL>",)),
    ("internlm", ("<|action_start|>", "<|plugin|>")),
    ("granite", ("<|tool_call|>",)),
    ("jamba", ("<tool_calls>",)),
    ("qwen3_coder", ("<tool_call>", "<function=")),
    ("json_tools", ("<tool_call>",)),
    ("llama3", ("<|python_tag|>",)),
)


def family_of(tokenizer: Any) -> Family:
    """Return the family of an `mlx_lm` tokenizer: by the parser that mlx_lm chose, else by its template, else by its
    words.

    Models of no family that is known are read as those that write JSON, with `<tool_call>` around it or nothing.
    """
    return known_family(tokenizer) or FAMILIES["json_tools"]


def known_family(tokenizer: Any) -> Family | None:
    """Return the family of a tokenizer as `family_of` does, None where nothing tells it."""
    chosen = getattr(tokenizer, "init_kwargs", {}).get("tool_parser_type")
    if chosen in FAMILIES:
        return FAMILIES[chosen]
    if tokenizer.tool_parser is not None:
        return Family(
            chosen or "", tokenizer.tool_call_start, tokenizer.tool_call_end or "", (), parser=tokenizer.tool_parser
        )
    template = _template(tokenizer)
    for name, words in _BY_TEMPLATE:
        if all(word in template for word in words):
            return FAMILIES[name]
    vocabulary = tokenizer.get_vocab()
    for name in ("llama4", "llama3"):
        if FAMILIES[name].start in vocabulary:
            return FAMILIES[name]
    return None


def has_channels(tokenizer: Any) -> bool:
    """Return whether a model writes its answers in the channels of gpt-oss."""
    template = _template(tokenizer)
    return "<|channel|>" in template and "<|message|>" in template


def _template(tokenizer: Any) -> str:
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("tool_use") or template.get("default") or ""
    return template if isinstance(template, str) else ""
