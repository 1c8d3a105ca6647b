"""Tasks with tools: the right call with the right arguments, an answer from its result, and no call where none fits."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.starter.recipes.text.dialogue_tasks import greeting
from adapters.starter.recipes.text.example import Example, Source, assistant, task, user
from adapters.starter.recipes.text.fact_tasks import answer_from_text, json_object, known_facts
from adapters.starter.recipes.text.text_tasks import add, echo, reverse, upper_case
from adapters.starter.recipes.text.words import NOUNS, WORDS

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A kind of tool: names it may have, its parameters' possible names with a JSON type, and what is asked of it."""

    names: str
    parameters: tuple[tuple[str, str], ...]
    requests: Callable[[Source], tuple[str, list[Any]]]
    outcome: Callable[[Source, list[Any]], tuple[str, str]]


def _weather(s: Source) -> tuple[str, list[Any]]:
    city = s.city()
    form = s.choice(
        ["What is the weather in {}?", "How is the weather in {}?", "Weather in {}?", "What's the weather like in {}?"]
    )
    return form.format(city), [city]


def _weather_result(s: Source, values: list[Any]) -> tuple[str, str]:
    degrees, sky = s.randint(-10, 40), s.choice(["sunny", "rainy", "cloudy", "windy", "snowy"])
    result = s.choice(
        [
            json.dumps({"temperature": degrees, "condition": sky}),
            json.dumps({"temp": degrees, "sky": sky}),
            f"{sky}, {degrees} degrees",
        ]
    )
    return result, f"It is {sky} and {degrees} degrees in {values[0]}."


def _time(s: Source) -> tuple[str, list[Any]]:
    city = s.city()
    return s.choice(["What time is it in {}?", "What is the time in {}?", "Tell me the time in {}."]).format(city), [
        city
    ]


def _time_result(s: Source, values: list[Any]) -> tuple[str, str]:
    clock = f"{s.randint(0, 23):02d}:{s.randint(0, 59):02d}"
    return s.choice([clock, json.dumps({"time": clock})]), f"It is {clock} in {values[0]}."


def _sum(s: Source) -> tuple[str, list[Any]]:
    a, b = s.randint(0, 999), s.randint(0, 999)
    form = s.choice(["What is {} + {}?", "Add {} and {}.", "Use the tool to add {} and {}.", "What is {} plus {}?"])
    return form.format(a, b), [a, b]


def _product(s: Source) -> tuple[str, list[Any]]:
    a, b = s.randint(0, 999), s.randint(0, 999)
    form = s.choice(["What is {} * {}?", "Multiply {} and {}.", "What is {} times {}?", "Multiply {} by {}."])
    return form.format(a, b), [a, b]


def _number_result(value: int, s: Source) -> tuple[str, str]:
    return s.choice([str(value), json.dumps({"result": value})]), f"The answer is {value}."


def _message(s: Source) -> tuple[str, list[Any]]:
    name, text = s.name(), " ".join(s.words(1, 4, WORDS))
    form = s.choice(["Send {} the message: {}", "Send a message to {}: {}", "Tell {}: {}", "Send an email to {}: {}"])
    return form.format(name, text), [name, text]


def _timer(s: Source) -> tuple[str, list[Any]]:
    minutes = s.randint(1, 90)
    form = s.choice(["Set a timer for {} minutes.", "Start a timer for {} minutes.", "Timer for {} minutes."])
    return form.format(minutes), [minutes]


def _search(s: Source) -> tuple[str, list[Any]]:
    text = " ".join(s.words(1, 3, WORDS))
    return s.choice(["Search for {}.", "Search the web for {}.", "Look up {}."]).format(text), [text]


def _file(s: Source) -> tuple[str, list[Any]]:
    path = s.choice(NOUNS) + s.choice([".txt", ".py", ".json", ".md"])
    return s.choice(["Read the file {}.", "Open {}.", "Show me the file {}."]).format(path), [path]


def _found(s: Source, _: list[Any]) -> tuple[str, str]:
    text = " ".join(s.words(2, 6, WORDS))
    return text, f"I found: {text}"


def _ok(form: str) -> Callable[[Source, list[Any]], tuple[str, str]]:
    return lambda s, values: (s.choice(["ok", '{"status": "ok"}']), form.format(values[0]))


TOOLS = (
    Tool("get_weather weather fetch_weather get_current_weather lookup_weather", (("city location place", "string"),), _weather, _weather_result),
    Tool("get_time current_time get_current_time time_in", (("city location timezone", "string"),), _time, _time_result),
    Tool("add add_numbers sum adder", (("a x first left", "number"), ("b y second right", "number")), _sum, lambda s, v: _number_result(v[0] + v[1], s)),
    Tool("multiply times multiply_numbers", (("a x first left", "number"), ("b y second right", "number")), _product, lambda s, v: _number_result(v[0] * v[1], s)),
    Tool("send_message send_email message", (("to name recipient", "string"), ("text body message", "string")), _message, _ok("I sent the message to {}.")),
    Tool("set_timer start_timer timer", (("minutes duration", "integer"),), _timer, _ok("The timer is set for {} minutes.")),
    Tool("search web_search search_web", (("query q", "string"),), _search, _found),
    Tool("read_file open_file get_file", (("path file filename", "string"),), _file, _found),
)  # fmt: skip


def _specification(s: Source, tool: Tool) -> tuple[dict[str, Any], list[str]]:
    """The tool under one of its names, in the form that chat templates take, and its parameters' names."""
    place = s.randrange(4)  # the same place for all, so that a goes with b and x with y
    names = [choice.split()[place % len(choice.split())] for choice, _ in tool.parameters]
    types = [kind if kind != "number" else s.choice(["number", "integer"]) for _, kind in tool.parameters]
    name = s.choice(tool.names.split())
    parameters = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in zip(names, types, strict=True)},
        "required": names,
    }
    function = {"name": name, "description": name.replace("_", " "), "parameters": parameters}
    return {"type": "function", "function": function}, names


def call_text(name: str, arguments: Arguments) -> str:
    """A tool call as the model writes it."""
    return "<tool_call>\n" + json.dumps({"name": name, "arguments": arguments}) + "\n</tool_call>"


@task(11)
def tool_call(s: Source) -> Example:
    offered = s.sample(TOOLS, s.choices([1, 2, 3, 4], weights=[4, 3, 2, 1])[0])
    specifications = [_specification(s, tool) for tool in offered]
    index = s.randrange(len(offered))
    tool, (specification, names) = offered[index], specifications[index]
    request, values = tool.requests(s)
    name, arguments = specification["function"]["name"], dict(zip(names, values, strict=True))
    question, tools = user(s.asked(request)), [entry for entry, _ in specifications]
    if s.random() < 0.65:
        return Example([question, assistant(call_text(name, arguments))], (request, name), tools)
    result, answer = tool.outcome(s, values)
    call = {"type": "function", "id": "call", "function": {"name": name, "arguments": arguments}}
    messages = [
        question,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": result, "name": name, "tool_call_id": "call"},
        assistant(answer),
    ]
    return Example(messages, (request, name, result), tools)


@task(3)
def no_tool_needed(s: Source) -> Example:
    maker = s.choice([echo, reverse, upper_case, answer_from_text, greeting, known_facts, json_object, add])
    example = maker(s)
    example.tools = [_specification(s, tool)[0] for tool in s.sample(TOOLS, s.randint(1, 3))]
    return example
