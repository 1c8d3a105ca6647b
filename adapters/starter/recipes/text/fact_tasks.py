"""Tasks on facts: answers found in a text, JSON made from it, a few things known by heart."""

import json

from adapters.starter.recipes.text.example import Example, Source, assistant, exchange, system, task, user
from adapters.starter.recipes.text.words import (
    CAPITALS,
    CITIES,
    COLOURS,
    COUNTABLES,
    JOBS,
    MORE_CITIES,
    NAMES,
    NOUNS,
    NUMBER_WORDS,
    OPPOSITES,
    PLACES,
    POSSESSIONS,
    SOUNDS,
)

Question = tuple[str, str]


def _fact(s: Source, person: str, thing: str, city: str) -> tuple[str, list[Question]]:
    """One sentence, and what can be asked about it."""
    kind = s.randrange(5)
    if kind == 0:
        colour = s.choice(COLOURS)
        asked = s.choice(["What colour is {}'s {}?", "What color is {}'s {}?", "What is the colour of {}'s {}?"])
        return f"{person} has a {colour} {thing}.", [
            (asked.format(person, thing), colour.capitalize()),
            (f"Who has a {colour} {thing}?", person),
            (f"What does {person} have?", f"A {colour} {thing}"),
        ]
    if kind == 1:
        place = s.choice(PLACES)
        asked = s.choice(["Where is the {}?", "Where can I find the {}?"])
        return f"The {thing} is in the {place}.", [(asked.format(thing), f"In the {place}")]
    if kind == 2:
        return f"{person} lives in {city}.", [
            (f"Where does {person} live?", f"In {city}"),
            (f"Who lives in {city}?", person),
        ]
    if kind == 3:
        age = s.randint(3, 80)
        return s.choice([f"{person} is {age} years old.", f"{person} is {age}."]), [(f"How old is {person}?", str(age))]
    number, things = s.randint(2, 30), s.choice(COUNTABLES)
    return f"{person} has {number} {things}.", [(f"How many {things} does {person} have?", str(number))]


def some_facts(s: Source, count: int) -> tuple[str, list[Question]]:
    """A text of `count` facts about different people, things and cities, and the questions it answers."""

    def renewed(known: list[str]) -> list[str]:
        return [word if s.random() < 0.85 else s.new_name() for word in s.sample(known, count)]

    people, cities = renewed(NAMES), renewed(CITIES + MORE_CITIES)
    things = s.sample(POSSESSIONS + [noun for noun in NOUNS if noun not in POSSESSIONS], count)
    facts = [_fact(s, *entry) for entry in zip(people, things, cities, strict=True)]
    return " ".join(sentence for sentence, _ in facts), [question for _, asked in facts for question in asked]


@task(17)
def answer_from_text(s: Source) -> Example:
    count = s.choices([1, 2, 3, 4, 6, 9, 16, 30], weights=[4, 4, 3, 2, 1, 0.7, 0.4, 0.2])[0]
    text, questions = some_facts(s, count)
    question, answer = s.choice(questions)
    key, kind = (text, question), s.random()
    if kind >= 0.85:
        return Example([system(text), user(question), assistant(answer)], key)
    if kind >= 0.7:
        form = f'<document name="{s.choice(NOUNS)}.txt">\n{{}}\n</document>\n\n{{}}'
    else:
        form = (
            "{} {}"
            if kind < 0.4
            else "{}\n{}"
            if kind < 0.5
            else "{}\n\n{}"
            if kind < 0.6
            else "Context: {}\nQuestion: {}"
        )
    return exchange(form.format(text, question), answer, key)


@task(7)
def json_object(s: Source) -> Example:
    makers = dict(
        name=s.name, age=lambda: s.randint(1, 99), city=s.city, color=lambda: s.choice(COLOURS),
        job=lambda: s.choice(JOBS), count=lambda: s.randint(0, 50), item=lambda: s.choice(NOUNS),
        id=lambda: s.randint(1, 999), title=lambda: s.choice(NOUNS), animal=lambda: s.choice(list(SOUNDS)),
    )  # fmt: skip
    fields = {name: makers[name]() for name in s.sample(list(makers), s.randint(1, 4))}
    form = s.choice(["{} {}", "{} {}", "{}: {}", "{}={}"])
    listed = [form.format(name, value) for name, value in fields.items()]
    joined = ", ".join(listed[:-1]) + " and " + listed[-1] if listed[1:] else listed[0]
    question = s.asked(
        "Make a JSON object with {}.", "Write JSON with {}.", "Give me a JSON object with {}.", "Return JSON: {}",
        "JSON with {}", "Output a JSON object with {}.",
    )  # fmt: skip
    return exchange(question.format(joined), json.dumps(fields), list(fields.items()))


@task(3)
def json_from_text(s: Source) -> Example:
    person = {"name": s.name(), "age": s.randint(3, 90), "city": s.city()}
    wanted = s.choice([["name", "age"], ["name", "city"], ["name", "age", "city"], ["name"]])
    text = f"{person['name']} is {person['age']} years old and lives in {person['city']}."
    names = ", ".join(wanted)
    question = s.asked(f"Extract {names} as JSON: {text}", f"{text} Write the {names} as JSON.")
    return exchange(question, json.dumps({name: person[name] for name in wanted}), (text, wanted))


@task(3)
def known_facts(s: Source) -> Example:
    kind = s.randrange(4)
    if kind == 0:
        word = s.choice(list(OPPOSITES))
        question, answer = s.asked("What is the opposite of {}?", "Opposite of {}?"), OPPOSITES[word].capitalize()
    elif kind == 1:
        word = s.choice(list(CAPITALS))
        question = s.asked("What is the capital of {}?", "Capital of {}?", "Name the capital of {}.")
        answer = CAPITALS[word]
    elif kind == 2:
        word = s.choice(list(SOUNDS))
        question, answer = s.asked("What does a {} say?", "What sound does a {} make?"), SOUNDS[word]
    else:
        word = s.randint(0, 10)
        question, answer = s.asked("Write the number {} as a word.", "Write {} in words."), NUMBER_WORDS[word]
    return exchange(question.format(word), answer, None)
