"""Tasks over turns: memory, the system prompt's name and style, greetings, stories."""

from adapters.starter.recipes.text.example import Example, Message, Source, assistant, exchange, system, task, user
from adapters.starter.recipes.text.fact_tasks import answer_from_text, known_facts
from adapters.starter.recipes.text.text_tasks import add, echo, upper_case
from adapters.starter.recipes.text.words import COLOURS, NAMES, SOUNDS, WORDS

# What a person tells about themselves: how they say it, what is answered, how it is asked back, what is right then.
MEMORIES: dict[str, tuple[list[str], str, list[str], str]] = {
    "name": (
        ["My name is {}.", "Hi, I am {}.", "Hello, my name is {}.", "I'm {}."], "Nice to meet you, {}!",
        ["What is my name?", "Who am I?", "Do you remember my name?"], "Your name is {}.",
    ),
    "colour": (
        ["My favourite colour is {}.", "My favorite color is {}."], "I will remember that you like {}.",
        ["What is my favourite colour?", "What is my favorite color?", "Which colour do I like?"],
        "Your favourite colour is {}.",
    ),
    "city": (
        ["I live in {}.", "I am from {}."], "{} is a nice city.",
        ["Where do I live?", "Where am I from?"], "You live in {}.",
    ),
    "number": (
        ["Remember the number {}.", "My number is {}.", "The secret number is {}."], "I will remember {}.",
        ["What is the number?", "What was the number?", "Which number did I say?"], "The number is {}.",
    ),
    "pet": (["I have a {}."], "That is a nice {}.", ["What pet do I have?", "What animal do I have?"], "You have a {}."),
}  # fmt: skip


def _remembered(s: Source, kind: str) -> str:
    return {
        "name": s.name,
        "colour": lambda: s.choice(COLOURS),
        "city": s.city,
        "number": lambda: str(s.randint(1, 9999)),
        "pet": lambda: s.choice(list(SOUNDS)),
    }[kind]()


@task(6)
def memory(s: Source) -> Example:
    messages: list[Message] = []
    known: dict[str, str] = {}
    for kind in s.sample(list(MEMORIES), s.randint(1, 3)):
        said, reply, _, _ = MEMORIES[kind]
        known[kind] = _remembered(s, kind)
        messages += [user(s.choice(said).format(known[kind])), assistant(reply.format(known[kind]))]
        if s.random() < 0.25:
            messages += s.choice([echo, known_facts, upper_case])(s).messages
    kind = s.choice(list(known))
    _, _, asked, answer = MEMORIES[kind]
    messages += [user(s.choice(asked)), assistant(answer.format(known[kind]))]
    return Example(messages, (kind, known[kind], len(messages)))


@task(4)
def named_by_system(s: Source) -> Example:
    pets = ["Pip", "Bolt", "Luna", "Robo", "Nova", "Kiki"]
    name = s.choice(NAMES + pets) if s.random() < 0.7 else s.invented().capitalize()
    told = [
        "You are {}.",
        "Your name is {}.",
        "You are a helpful assistant called {}.",
        "You are {}, a helpful assistant.",
    ]
    asked = ["What is your name?", "Who are you?", "What are you called?", "Tell me your name."]
    answer = assistant(f"My name is {name}.")
    return Example([system(s.choice(told).format(name)), user(s.choice(asked)), answer], name)


@task(5)
def style_by_system(s: Source) -> Example:
    kind = s.choice(["upper", "ending", "only"])
    if kind == "upper":
        rule = s.choice(["Always answer in uppercase.", "Answer in capital letters.", "Reply only in uppercase."])
        if s.random() < 0.4:
            words = " ".join(s.words(1, 3, WORDS))
            question, answer = f"Say {words}", words
        else:
            inner = s.choice([known_facts, answer_from_text])(s)
            question, answer = inner.question, inner.answer
            if inner.messages[0]["role"] == "system":
                rule += " " + inner.messages[0]["content"]
        return Example([system(rule), user(question), assistant(answer.upper())], (rule, question))
    word = s.choice(WORDS) if s.random() < 0.65 else s.invented()
    inner = s.choice([known_facts, echo, greeting, add])(s)
    if kind == "ending":
        rule = s.choice(["End every answer with the word {}.", "Always end with {}.", "Finish each reply with {}."])
        answer, thought = f"{inner.answer} {word}", inner.thought
    else:
        rule = s.choice(["Always answer with the word {}.", "Whatever the user says, reply {}.", "Only ever say {}."])
        answer, thought = word, ""
    rule = rule.format(word)
    return Example([system(rule), user(inner.question), assistant(answer)], (rule, inner.question), thought=thought)


HELLO = "Hello! How can I help you?"
GREETINGS = {
    "Hello": HELLO, "Hi": HELLO, "Hello!": HELLO, "Hi there": HELLO, "Hey": HELLO,
    "Good morning": "Good morning! How can I help you?",
    "How are you?": "I am fine, thank you.",
    "Thank you": "You are welcome.", "Thanks!": "You are welcome.",
    "Bye": "Goodbye!", "Goodbye": "Goodbye!",
    "What is your name?": "My name is Tiny.", "Who are you?": "My name is Tiny.",
    "What can you do?": "I can repeat words, reverse words, count, add numbers, answer questions and write JSON.",
    "Are you a robot?": "Yes, I am a tiny language model.",
    "Say hello": "Hello!", "Say hi": "Hi!",
}  # fmt: skip


@task(2)
def greeting(s: Source) -> Example:
    said, answer = s.choice(list(GREETINGS.items()))
    return exchange(said, answer, None)


@task(3)
def story(s: Source) -> Example:
    name, friend = s.sample(NAMES, 2)
    animal, colour, thing = (
        s.choice(list(SOUNDS)),
        s.choice(COLOURS),
        s.choice(["ball", "hat", "book", "star", "key", "coin"]),
    )
    place = s.choice(["forest", "garden", "castle", "mountain", "river", "park"])
    middle = [
        f"One day {name} found a {thing}.",
        f'"What a nice {thing}," said {name}.',
        f"Then {friend} came along and they played together.",
        "At night they slept under the stars.",
    ]
    sentences = [
        f"Once upon a time there was a {colour} {animal} named {name}.",
        f"{name} lived near the {place}.",
        *(middle[i] for i in sorted(s.sample(range(4), s.randint(2, 4)))),
        "They were happy.",
    ]
    question = s.asked(
        f"Tell me a story about a {animal} named {name}.", f"Tell me a story about a {animal} named {name}.",
        f"Tell me a story about a {animal}.", f"Write a story about a {animal}.",
        f"Tell a short story about a {colour} {animal}.", "Tell me a story.", "Write a short story.",
    )  # fmt: skip
    return exchange(question, " ".join(sentences), None)
