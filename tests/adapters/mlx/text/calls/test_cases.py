"""Calls as models were seen to write them, each with what it is."""

import logging
from typing import Any

import pytest

from adapters.mlx.text.answer import AnswerText
from adapters.mlx.text.calls.families import FAMILIES
from adapters.mlx.text.calls.reader import CallReader
from tests.adapters.mlx.text.calls.reading import THINKS, TOOLS, WEATHER, read, tool

ROME = [("get_weather", {"city": "Rome"})]
ROME_AND_OSLO = [*ROME, ("get_weather", {"city": "Oslo"})]
JSON_ROME = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
JSON_OSLO = JSON_ROME.replace("Rome", "Oslo")
XML_ROME = "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>"
GLM_ROME = "get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n"

READ: dict[str, tuple[str, str, Any]] = {
    "parameters for arguments": (
        "json_tools", '<tool_call>\n{"name": "delete_files", "parameters": {"path": "/tmp/x", "older_than_days": 30}}\n</tool_call>',
        [("delete_files", {"path": "/tmp/x", "older_than_days": 30})],
    ),
    "arguments beside the name": ("json_tools", '<tool_call>{"name": "get_weather", "city": "Rome"}</tool_call>', ROME),
    "an id beside the arguments": (
        "json_tools", '<tool_call>{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}</tool_call>', ROME,
    ),
    "arguments as a JSON string": (
        "json_tools", '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}</tool_call>', ROME,
    ),
    "a call without arguments": ("json_tools", '<tool_call>{"name": "get_time", "arguments": null}</tool_call>', [("get_time", {})]),
    "a call with nothing but a name": ("json_tools", '<tool_call>{"name": "get_time"}</tool_call>', [("get_time", {})]),
    "a number in a string": (
        "json_tools", '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome", "days": "3"}}</tool_call>',
        [("get_weather", {"city": "Rome", "days": 3})],
    ),
    "two calls on two lines": ("json_tools", f"<tool_call>\n{JSON_ROME}\n{JSON_OSLO}\n</tool_call>", ROME_AND_OSLO),
    "a list of calls": ("json_tools", f"<tool_call>[{JSON_ROME}, {JSON_OSLO}]</tool_call>", ROME_AND_OSLO),
    "a blank line before the end mark": ("json_tools", f"<tool_call>\n{JSON_ROME}\n\n</tool_call>", ROME),
    "a blank line before the end mark of XML": ("qwen3_coder", f"<tool_call>\n{XML_ROME}\n\n</tool_call>", ROME),
    "the end mark in a string": (
        "json_tools", '<tool_call>{"name": "get_weather", "arguments": {"city": "a</tool_call>b"}}</tool_call>',
        [("get_weather", {"city": "a</tool_call>b"})],
    ),
    "no opening mark": ("json_tools", f"{JSON_ROME}\n</tool_call>", ROME),
    "no opening mark after words": ("json_tools", f"Let me see.\n{JSON_ROME}\n</tool_call>", ROME),
    "no opening mark, then a whole one": ("json_tools", f"{JSON_ROME}\n</tool_call>\n<tool_call>{JSON_OSLO}</tool_call>", ROME_AND_OSLO),
    "no opening mark in XML": ("qwen3_coder", f"I look.\n{XML_ROME}\n</tool_call>", ROME),
    "no opening mark in GLM": ("glm47", f"{GLM_ROME}</tool_call>", ROME),
    "no opening mark in Mistral": ("mistral", 'get_weather[ARGS]{"city": "Rome"}', ROME),
    "no closing mark before the next call": ("json_tools", f"<tool_call>{JSON_ROME}<tool_call>{JSON_OSLO}</tool_call>", ROME_AND_OSLO),
    "several calls of Llama 4": (
        "llama4", "[get_weather(city='Rome'), delete_files(path=\"/tmp/x\", older_than_days=30)]",
        [*ROME, ("delete_files", {"path": "/tmp/x", "older_than_days": 30})],
    ),
    "no closing mark": ("json_tools", f"<tool_call>{JSON_ROME}", ROME),
    "two functions in one block": (
        "qwen3_coder",
        f"<tool_call>\n<function=get_time>\n</function>\n{XML_ROME}\n</tool_call>", [("get_time", {}), *ROME],
    ),
    "a closing tag in a value": (
        "qwen3_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nRo</parameter>me\n</parameter>\n</function>\n</tool_call>",
        [("get_weather", {"city": "Ro</parameter>me"})],
    ),
    "a call in a value": (
        "qwen3_coder",
        f"<function=get_weather>\n<parameter=city>\n<tool_call>\n{JSON_ROME}\n</tool_call>\n</parameter>\n</function>",
        [("get_weather", {"city": f"<tool_call>\n{JSON_ROME}\n</tool_call>"})],
    ),
    "a zero": (
        "qwen3_coder",
        "<tool_call>\n<function=delete_files>\n<parameter=older_than_days>\n0\n</parameter>\n<parameter=path>\n7\n</parameter>\n</function>\n</tool_call>",
        [("delete_files", {"older_than_days": 0, "path": "7"})],
    ),
    "JSON from a model of XML": ("qwen3_coder", f"<tool_call>{JSON_ROME}</tool_call>", ROME),
    "GLM": ("glm47", f"<tool_call>{GLM_ROME}</tool_call>", ROME),
    "GLM without arguments": ("glm47", "<tool_call>get_time</tool_call>", [("get_time", {})]),
    "Mistral with an id": ("mistral", '[TOOL_CALLS]get_weather[CALL_ID]abc123def[ARGS]{"city": "Rome"}', ROME),
    "Mistral, two calls": (
        "mistral", '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}', ROME_AND_OSLO,
    ),
    "a list of Mistral": ("mistral", f"[TOOL_CALLS] [{JSON_ROME}]", ROME),
    "a list of Mistral, then words": ("mistral", f"[TOOL_CALLS][{JSON_ROME}]\nI have asked.", ROME),
    "Gemma, nested": (
        "function_gemma", "<start_function_call>call:f{opts:{a:1},days:3,words:[<escape>x,y}<escape>]}<end_function_call>",
        [("f", {"opts": {"a": 1}, "days": 3, "words": ["x,y}"]})],
    ),
    "Gemma 4": ("gemma4", '<|tool_call>call:get_weather{city:<|"|>Rome<|"|>}<tool_call|>', ROME),
    "Python": ("pythonic", '<|tool_call_start|>[get_weather(city="Rome"), get_time()]<|tool_call_end|>', [*ROME, ("get_time", {})]),
    "Llama 4": ("llama4", "[get_weather(city='Rome', days=2)]", [("get_weather", {"city": "Rome", "days": 2})]),
    "Llama 3": ("llama3", '{"name": "get_weather", "parameters": {"city": "Rome"}}', ROME),
    "Llama 3, several": (
        "llama3", '{"name": "get_weather", "parameters": {"city": "Rome"}}; {"name": "get_weather", "parameters": {"city": "Oslo"}}', ROME_AND_OSLO,
    ),
    "Llama 3 with its mark": ("llama3", '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Rome", "days": "2"}}', [("get_weather", {"city": "Rome", "days": 2})]),
    "Kimi K2": (
        "kimi_k2",
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Rome"}<|tool_call_end|><|tool_call_begin|>functions.get_weather:1<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>',
        ROME_AND_OSLO,
    ),
    "MiniMax": (
        "minimax_m2", '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n</invoke>\n<invoke name="get_weather">\n<parameter name="city">Oslo</parameter>\n</invoke>\n</minimax:tool_call>', ROME_AND_OSLO,
    ),
    "LongCat": (
        "longcat", "<longcat_tool_call>get_weather\n<longcat_arg_key>city</longcat_arg_key>\n<longcat_arg_value>Rome</longcat_arg_value>\n</longcat_tool_call>", ROME,
    ),
    "DeepSeek V3": (
        "deepseek", '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Rome"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>', ROME,
    ),
    "DeepSeek V3.1": (
        "deepseek", '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>', ROME,
    ),
    "DeepSeek V3.2": (
        "deepseek_32", '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Rome</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>', ROME,
    ),
    "MiniCPM": ("minicpm5", '<function name="get_weather"><param name="city"><![CDATA[Rome]]></param></function>', ROME),
    "Kimi K3": (
        "kimi_k3", '<|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" type="string"<|sep|>Rome<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>', ROME,
    ),
    "Muse": ("muse_spark", '<atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="city">Rome</atem:parameter>\n</atem:invoke>\n</atem:function_calls>', ROME),
    "Seed": ("seed_oss", f"<seed:tool_call>\n{XML_ROME}\n</seed:tool_call>", ROME),
    "Granite 3": ("granite", f"<|tool_call|>[{JSON_ROME}]", ROME),
    "Phi 4": ("phi4", f"<|tool_call|>[{JSON_ROME}]<|/tool_call|>", ROME),
    "Command": ("command", '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Rome"}}]<|END_ACTION|>', ROME),
    "Nemotron": ("nemotron", f"<TOOLCALL>[{JSON_ROME}]</TOOLCALL>", ROME),
    "gpt-oss": (
        "harmony", '<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Rome"}<|call|>', ROME,
    ),
    "gpt-oss with the function first": (
        "harmony", '<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{"city": "R<|end|>"}', [("get_weather", {"city": "R<|end|>"})],
    ),
}  # fmt: skip
READ_WITH = {"Gemma, nested": [tool("f", opts={"type": "object"}, days={"type": "integer"}, words={"type": "array"})]}

TEXT: dict[str, tuple[str, str]] = {
    "prose in a GLM block": ("glm47", "<tool_call>I think I should call it</tool_call>"),
    "nothing in a GLM block": ("glm47", "<tool_call></tool_call>"),
    "one word in a GLM block": ("glm47", "<tool_call>unknown</tool_call>"),
    "a tool that was not offered": ("json_tools", '<tool_call>{"name": "rm", "arguments": {"path": "/"}}</tool_call>'),
    "no arguments where the tool has some": ("json_tools", '<tool_call>{"name": "delete_files"}</tool_call>'),
    "null where the tool has arguments": ("json_tools", '<tool_call>{"name": "delete_files", "arguments": null}</tool_call>'),
    "an empty text where the tool has arguments": ("json_tools", '<tool_call>{"name": "delete_files", "arguments": ""}</tool_call>'),
    "a required argument is missing": ("json_tools", '<tool_call>{"name": "get_weather", "arguments": {"days": 2}}</tool_call>'),
    "another type": ("json_tools", '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome", "days": "soon"}}</tool_call>'),
    "arguments in two places": (
        "json_tools", '<tool_call>{"name": "delete_files", "arguments": {}, "path": "/tmp/x"}</tool_call>',
    ),
    "both arguments and parameters": (
        "json_tools", '<tool_call>{"name": "delete_files", "arguments": {}, "parameters": {"path": "/tmp/x"}}</tool_call>',
    ),
    "an argument twice": ("json_tools", '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome", "city": "Oslo"}}</tool_call>'),
    "half a character": ("json_tools", '<tool_call>{"name": "get_weather", "arguments": {"city": "\\ud83d"}}</tool_call>'),
    "a number that is none": ("json_tools", '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome", "days": NaN}}</tool_call>'),
    "an invented argument within a value": (
        "qwen3_coder",
        "<tool_call>\n<function=delete_files>\n<parameter=path>\na</parameter>\n<parameter=older_than_days>\n0\n</parameter> b\n</parameter>\n</function>\n</tool_call>",
    ),
    "a value that ends its call": (
        "qwen3_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\na\n</parameter>\n</function>\n</tool_call>b\n</parameter>\n</function>\n</tool_call>",
    ),
    "a call in a value of a call that is none": (
        "qwen3_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\n<tool_call>\n<function=delete_files>\n</function>\n</tool_call>\n</parameter>\n</function>\n</tool_call>",
    ),
    "an argument of XML twice": (
        "qwen3_coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
    ),
    "an argument that is not the tool's": (
        "qwen3_coder", "<tool_call>\n<function=get_weather>\n<parameter=town>\nRome\n</parameter>\n</function>\n</tool_call>",
    ),
    "a quote that ends a string": ("pythonic", '<|tool_call_start|>[get_weather(city="say "Rome"")]<|tool_call_end|>'),
    "an argument without a name": ("pythonic", '<|tool_call_start|>[get_weather("Rome")]<|tool_call_end|>'),
    "code": ("pythonic", '<|tool_call_start|>[get_weather(city=open("/etc/passwd").read())]<|tool_call_end|>'),
    "an example in prose": ("llama3", f"You can write this:\n{JSON_ROME}"),
    "an example of XML in a fence": ("qwen3_coder", f"```\n{XML_ROME}\n```"),
    "an example in a fence": ("llama3", f"```json\n{JSON_ROME}\n```"),
    "JSON that is followed by words": ("llama3", f"{JSON_ROME}\nThis would ask for the weather."),
    "JSON that is no call": ("llama3", '{"name": "Rome", "inhabitants": 2700000}'),
    "a word that is a tool's name": ("glm47", "get_time"),
    "a mark in prose": ("json_tools", "Write <tool_call> before it and </tool_call> after it."),
    "an empty block": ("json_tools", "<tool_call>\n</tool_call>"),
    "a call that gpt-oss writes to a tool it was not offered": ("harmony", '<|channel|>commentary to=python code<|message|>{"code": "1"}<|call|>'),
    "no JSON for gpt-oss": ("harmony", "<|channel|>commentary to=functions.get_weather<|message|>Rome<|call|>"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("size", [10_000, 7, 1])
def test_a_call_is_read_as_it_was_meant(name: str, size: int) -> None:
    family, text, calls = READ[name]
    answered = read(family, *pieces(text, size), tools=READ_WITH.get(name, TOOLS))
    assert answered.calls == calls
    assert "<" not in answered.shown
    assert "{" not in answered.shown
    assert family == "harmony" or answered.whole == text


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("size", [10_000, 7, 1])
def test_what_is_no_call_is_text_as_it_was_written(name: str, size: int) -> None:
    family, text = TEXT[name]
    answered = read(family, *pieces(text, size))
    assert answered.calls == []
    assert answered.shown == text


def test_every_family_has_a_case() -> None:
    assert FAMILIES.keys() - {"laguna", "jamba", "internlm"} <= {family for family, *_ in READ.values()}


def test_words_around_calls_stay_where_they_were() -> None:
    answered = read("json_tools", f"One.<tool_call>{JSON_ROME}</tool_call> Two. <tool_call>oh</tool_call> Three.")
    assert answered.calls == ROME
    assert answered.shown == "One. Two. <tool_call>oh</tool_call> Three."
    assert answered.made[0].after == 4


def test_a_good_call_is_made_though_the_one_beside_it_is_text() -> None:
    answered = read("json_tools", f'<tool_call>{JSON_ROME}\n{{"name": "rm", "arguments": {{}}}}</tool_call>')
    assert answered.calls == ROME
    assert '"rm"' in answered.shown
    assert "Rome" not in answered.shown


def test_a_call_in_a_thought_that_never_ends_is_made() -> None:
    answered = read("json_tools", f"<think>\nI look.\n<tool_call>{JSON_ROME}</tool_call>\n")
    assert answered.calls == ROME
    assert answered.reasoning == "\nI look.".lstrip()


@pytest.mark.parametrize(
    "text", [f"<tool_call>{JSON_ROME}</tool_call>, or not.", f"<tool_call>{JSON_ROME}</tool_call></think>No."]
)
def test_a_call_that_was_only_thought_of_is_not_made(text: str) -> None:
    answered = read("json_tools", "I could ", text, in_reasoning=True)
    assert answered.calls == []
    assert "Rome" in answered.reasoning


def test_a_thought_that_was_cut_makes_no_call() -> None:
    answered = read("json_tools", f"<tool_call>{JSON_ROME}</tool_call>", in_reasoning=True, cut=True)
    assert (answered.calls, answered.text) == ([], "")


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("json_tools", f"<tool_call>{JSON_ROME}"),
        ("qwen3_coder", f"<tool_call>\n{XML_ROME}"),
        ("glm47", f"<tool_call>{GLM_ROME}"),
        ("llama3", JSON_ROME),
        ("harmony", '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Rome"}'),
    ],
)
def test_a_call_that_was_cut_is_text(family: str, text: str) -> None:
    answered = read(family, text, cut=True)
    assert answered.calls == []
    assert answered.shown == text


def test_channels_are_reasoning_and_text() -> None:
    text = (
        "<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>Four.<|return|>"
    )
    for size in (1, 5, 1000):
        answered = read("harmony", *pieces(text, size))
        assert (answered.reasoning, answered.text) == ("Two and two.", "Four.")


def test_the_log_says_why_and_shows_no_values(caplog: pytest.LogCaptureFixture) -> None:
    secret = '<tool_call>{"name": "get_weather", "arguments": {"town": "my-secret"}}</tool_call>'
    with caplog.at_level(logging.WARNING):
        read("json_tools", secret)
        read("json_tools", '<tool_call>{"name": "rm", "arguments": {"path": "my-secret"}}</tool_call>')
        read("json_tools", '<tool_call>{"name": "get_weather" "my-secret"}</tool_call>')
    assert "required" in caplog.text
    assert "not offered" in caplog.text
    assert "could not be read" in caplog.text
    assert "my-secret" not in caplog.text


def test_json_that_is_no_call_is_given_out_as_it_comes() -> None:
    reader = CallReader(FAMILIES["llama3"], ["get_weather"])
    for said in ('{"name": "Rome", "inhabitants": ', '{"city": "Rome", "in": ', '[{"id": 1}, {"id": ', "[1, 2, "):
        answer = AnswerText(THINKS, calls=reader)
        assert "".join(answer.add(piece)[0] for piece in pieces(said, 3)).startswith(said[:-14])


def test_words_are_given_out_as_they_come() -> None:
    for family in FAMILIES:
        answer = AnswerText(THINKS, calls=CallReader(FAMILIES[family], ["get_weather"]))
        said = "The weather: <b>sunny</b>, (24 [degrees]) {and} so on.\n\n- call me\n- [x] done\n" * 3
        assert len("".join(answer.add(piece)[0] for piece in pieces(said, 3))) >= len(said) - 3


def test_a_form_that_only_a_library_reads_goes_through_the_gate_too() -> None:
    from dataclasses import replace

    def parser(text: str, tools: Any) -> Any:
        del tools
        name, city = text.split()
        return {"name": name, "arguments": {"city": city}}

    family = replace(FAMILIES["json_tools"], start="<<", end=">>", bodies=(), heads=(), bare=(), parser=parser)
    assert read(family, "<<get_weather Rome>> done").calls == ROME
    assert read(family, "<<rm Rome>> done").shown == "<<rm Rome>> done"
    assert read(family, "<<what is this>> done").shown == "<<what is this>> done"
    assert read(family, "<<get_weather Rome", tools=[WEATHER]).calls == []


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
