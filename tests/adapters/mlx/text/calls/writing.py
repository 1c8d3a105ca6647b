"""How each family writes calls, as its chat template does."""

import json
from collections.abc import Callable, Sequence
from typing import Any

Call = tuple[str, dict[str, Any]]
Write = Callable[[Sequence[Call]], str]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _raw(value: Any) -> str:
    """A text as it is, anything else as JSON: what stands between tags."""
    return value if isinstance(value, str) else _json(value)


def _python(value: Any) -> str:
    """As Jinja's `string` writes what is no list and no object."""
    return _json(value) if isinstance(value, dict | list) else str(value)


def json_calls(start: str, end: str, *, name: str = "name", arguments: str = "arguments", text: bool = False) -> Write:
    def write(calls: Sequence[Call]) -> str:
        made = [_json({name: one, arguments: _json(given) if text else given}) for one, given in calls]
        return "\n".join(f"{start}\n{one}\n{end}" for one in made)

    return write


def json_list(start: str, end: str) -> Write:
    return lambda calls: f"{start}{json.dumps([{'name': name, 'arguments': given} for name, given in calls])}{end}"


def llama3(calls: Sequence[Call]) -> str:
    return "; ".join(_json({"name": name, "parameters": given}) for name, given in calls)


def mistral(calls: Sequence[Call]) -> str:
    return "".join(f"[TOOL_CALLS]{name}[CALL_ID]a1b2c3d4e[ARGS]{_json(given)}" for name, given in calls)


def qwen_xml(start: str, end: str) -> Write:
    def write(calls: Sequence[Call]) -> str:
        def one(name: str, given: dict[str, Any]) -> str:
            values = "".join(f"<parameter={key}>\n{_python(value)}\n</parameter>\n" for key, value in given.items())
            return f"{start}\n<function={name}>\n{values}</function>\n{end}"

        return "\n".join(one(*call) for call in calls)

    return write


def glm(prefix: str) -> Write:
    def write(calls: Sequence[Call]) -> str:
        def one(name: str, given: dict[str, Any]) -> str:
            values = "".join(
                f"<{prefix}arg_key>{key}</{prefix}arg_key>\n<{prefix}arg_value>{_raw(value)}</{prefix}arg_value>\n"
                for key, value in given.items()
            )
            return f"<{prefix}tool_call>{name}\n{values}</{prefix}tool_call>"

        return "\n".join(one(*call) for call in calls)

    return write


def invokes(start: str, end: str, tag: str = "", attribute: str = "") -> Write:
    def write(calls: Sequence[Call]) -> str:
        def one(name: str, given: dict[str, Any]) -> str:
            values = "".join(
                f'<{tag}parameter name="{key}"{attribute}>{_raw(value)}</{tag}parameter>\n'
                for key, value in given.items()
            )
            return f'<{tag}invoke name="{name}">\n{values}</{tag}invoke>\n'

        return f"{start}\n{''.join(one(*call) for call in calls)}{end}"

    return write


def minicpm(calls: Sequence[Call]) -> str:
    def value(given: Any) -> str:
        text = _raw(given)
        return f"<![CDATA[{text}]]>" if any(char in text for char in "<&\n") else text

    def one(name: str, given: dict[str, Any]) -> str:
        values = "".join(f'<param name="{key}">{value(inner)}</param>' for key, inner in given.items())
        return f'<function name="{name}">{values}</function>'

    return "\n".join(one(*call) for call in calls)


def kimi_2(calls: Sequence[Call]) -> str:
    made = (
        f"<|tool_call_begin|>functions.{name}:{at}<|tool_call_argument_begin|>{_json(given)}<|tool_call_end|>"
        for at, (name, given) in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{''.join(made)}<|tool_calls_section_end|>"


def kimi_3(calls: Sequence[Call]) -> str:
    def one(at: int, name: str, given: dict[str, Any]) -> str:
        values = "".join(
            f'<|open|>argument key="{key}" type="{"string" if isinstance(value, str) else "json"}"<|sep|>{_raw(value)}<|close|>argument<|sep|>'
            for key, value in given.items()
        )
        return f'<|open|>call tool="{name}" index="{at}"<|sep|>{values}<|close|>call<|sep|>'

    made = "".join(one(at, *call) for at, call in enumerate(calls))
    return f"<|open|>tools<|sep|>{made}<|close|>tools<|sep|>"


def deepseek_3(calls: Sequence[Call]) -> str:
    made = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{_json(given)}\n```<｜tool▁call▁end｜>"
        for name, given in calls
    )
    return f"<｜tool▁calls▁begin｜>{made}<｜tool▁calls▁end｜>"


def deepseek_31(calls: Sequence[Call]) -> str:
    made = "".join(
        f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{_json(given)}<｜tool▁call▁end｜>" for name, given in calls
    )
    return f"<｜tool▁calls▁begin｜>{made}<｜tool▁calls▁end｜>"


def gemma(start: str, end: str, quote: str) -> Write:
    def value(given: Any) -> str:
        if isinstance(given, str):
            return f"{quote}{given}{quote}"
        if isinstance(given, dict):
            return f"{{{','.join(f'{key}:{value(inner)}' for key, inner in given.items())}}}"
        if isinstance(given, list):
            return f"[{','.join(map(value, given))}]"
        return _json(given)

    return lambda calls: "".join(f"{start}call:{name}{value(given)}{end}" for name, given in calls)


def pythonic(start: str, end: str, literal: Callable[[Any], str]) -> Write:
    def one(name: str, given: dict[str, Any]) -> str:
        return f"{name}({', '.join(f'{key}={literal(value)}' for key, value in given.items())})"

    return lambda calls: f"{start}[{', '.join(one(*call) for call in calls)}]{end}"


def harmony(calls: Sequence[Call]) -> str:
    made = [
        f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{_json(given)}<|call|>"
        for name, given in calls
    ]
    return "<|channel|>analysis<|message|>So.<|end|><|start|>assistant" + "<|start|>assistant".join(made)


_TOOL_CALL = ("<tool_call>", "</tool_call>")
# What the family is called, and how it writes. Those of the second table leave values as they are, with nothing escaped.
ESCAPED: dict[str, tuple[str, Write]] = {
    "Hermes": ("json_tools", json_calls(*_TOOL_CALL)),
    "Hermes with parameters": ("json_tools", json_calls(*_TOOL_CALL, arguments="parameters")),
    "Granite 4": ("json_tools", json_calls(*_TOOL_CALL, text=True)),
    "Granite 3": ("granite", json_list("<|tool_call|>", "")),
    "Phi 4": ("phi4", json_list("<|tool_call|>", "<|/tool_call|>")),
    "Nemotron": ("nemotron", json_list("<TOOLCALL>", "</TOOLCALL>")),
    "Jamba": ("jamba", json_list("<tool_calls>", "</tool_calls>")),
    "InternLM": ("internlm", json_calls("<|action_start|><|plugin|>", "<|action_end|>", arguments="parameters")),
    "Command": ("command", json_calls("<|START_ACTION|>", "<|END_ACTION|>", name="tool_name", arguments="parameters")),
    "Llama 3": ("llama3", llama3),
    "Llama 4": ("llama4", pythonic("<|python_start|>", "<|python_end|>", repr)),
    "Llama 4 without marks": ("llama4", pythonic("", "", repr)),
    "Hermes without marks": ("json_tools", json_calls("", "")),
    "LFM": ("pythonic", pythonic("<|tool_call_start|>", "<|tool_call_end|>", _json)),
    "Mistral": ("mistral", mistral),
    "Mistral's list": ("mistral", json_list("[TOOL_CALLS]", "")),
    "Kimi K2": ("kimi_k2", kimi_2),
    "DeepSeek V3": ("deepseek", deepseek_3),
    "DeepSeek V3.1": ("deepseek", deepseek_31),
    "gpt-oss": ("harmony", harmony),
}
RAW: dict[str, tuple[str, Write]] = {
    "Qwen3-Coder": ("qwen3_coder", qwen_xml(*_TOOL_CALL)),
    "Seed": ("seed_oss", qwen_xml("<seed:tool_call>", "</seed:tool_call>")),
    "GLM": ("glm47", glm("")),
    "Laguna": ("laguna", glm("")),
    "LongCat": ("longcat", glm("longcat_")),
    "MiniMax": ("minimax_m2", invokes("<minimax:tool_call>", "</minimax:tool_call>")),
    "Muse": ("muse_spark", invokes("<atem:function_calls>", "</atem:function_calls>", "atem:")),
    "DeepSeek V3.2": (
        "deepseek_32",
        invokes("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", "｜DSML｜", ' string="true"'),
    ),
    "MiniCPM": ("minicpm5", minicpm),
    "Kimi K3": ("kimi_k3", kimi_3),
    "FunctionGemma": ("function_gemma", gemma("<start_function_call>", "<end_function_call>", "<escape>")),
    "Gemma 4": ("gemma4", gemma("<|tool_call>", "<tool_call|>", '<|"|>')),
}
