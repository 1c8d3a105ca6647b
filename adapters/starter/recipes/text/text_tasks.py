"""Tasks on words and numbers: repeat, reverse, count, calculate, compare."""

from adapters.starter.recipes.text.example import Example, Source, exchange, task
from adapters.starter.recipes.text.words import CITIES, NAMES, WORDS


@task(13)
def echo(s: Source) -> Example:
    forms = (
        "Repeat: {}", "Repeat after me: {}", "Say: {}", "Say {}", "Echo: {}", "Echo {}", "Repeat this: {}",
        "Reply with exactly: {}", "Repeat the words: {}", "Write: {}", 'Say "{}"', "Reply with only: {}", "Print {}",
    )  # fmt: skip
    if s.random() < 0.3:  # long arbitrary strings: dense supervision for general copying
        text = " ".join(s.rare() for _ in range(s.randint(3, 12)))
        return exchange(s.asked(*forms[:3], "Reply with exactly: {}").format(text), text, text)
    count = s.choices(range(1, 9), weights=[5, 5, 4, 4, 3, 2, 1, 1])[0]
    words = [s.invented() if s.random() < 0.35 else s.choice(WORDS + NAMES + CITIES) for _ in range(count)]
    if s.random() < 0.15:
        words[s.randrange(count)] = words[0]
    text = " ".join(words)
    if s.random() < 0.3:
        text = text[:1].upper() + text[1:]
    return exchange(s.asked(*forms).format(text), text, words)


@task(7)
def reverse(s: Source) -> Example:
    words = s.words(2, 6, WORDS)
    question = s.asked(
        "Reverse the words: {}", "Reverse: {}", "Reverse the order of these words: {}",
        "Say these words backwards: {}", "Write the words in reverse order: {}",
    )  # fmt: skip
    return exchange(question.format(" ".join(words)), " ".join(reversed(words)), words)


@task(4)
def count_words(s: Source) -> Example:
    words = s.words(1, 9, WORDS)
    question = s.asked(
        "How many words: {}", "Count the words: {}", "How many words are in: {}", "How many words are there in: {}?",
        "Count the words in: {}",
    )  # fmt: skip
    return exchange(question.format(" ".join(words)), str(len(words)), words)


@task(6)
def upper_case(s: Source) -> Example:
    words = s.words(1, 4, WORDS)
    question = s.asked(
        "Uppercase: {}", "Make this uppercase: {}", "Write in capital letters: {}", "Convert to uppercase: {}",
        "Write in upper case: {}", "Uppercase the words: {}",
    )  # fmt: skip
    return exchange(question.format(" ".join(words)), " ".join(words).upper(), words)


@task(3)
def first_or_last(s: Source) -> Example:
    words, which = s.words(2, 6, WORDS), s.choice(["first", "last"])
    question = s.asked(
        "What is the {} word of: {}", "What is the {} word in: {}", "Say the {} word: {}", "Give me the {} word of: {}"
    )
    answer = words[0] if which == "first" else words[-1]
    return exchange(question.format(which, " ".join(words)), answer, (which, words))


def _added(a: int, b: int) -> str:
    """The sum worked out digit by digit, as it is thought aloud."""
    if a < 10 and b < 10:
        return f"{a} + {b} = {a + b}"
    ones = a % 10 + b % 10
    tens = f"{a // 10} + {b // 10}" + (" + 1" if ones > 9 else "")
    return f"{a % 10} + {b % 10} = {ones}, {tens} = {(a + b) // 10}"


@task(15)
def add(s: Source) -> Example:
    most = 20 if s.random() < 0.4 else 99
    a, b = s.randint(0, most), s.randint(0, most)
    question = s.asked(
        "What is {} + {}?", "{} + {} =", "Add {} and {}.", "What is {} plus {}?", "Calculate {} + {}.", "{}+{}",
        "Tell me what is {} + {}.", "What is the sum of {} and {}?", "How much is {} plus {}?",
    )  # fmt: skip
    return exchange(question.format(a, b), str(a + b), (a, b), thought=_added(a, b))


@task(10)
def subtract(s: Source) -> Example:
    most = 20 if s.random() < 0.5 else 99
    b, a = sorted((s.randint(0, most), s.randint(0, most)))
    question = s.asked("What is {} - {}?", "{} - {} =", "What is {} minus {}?", "Calculate {} - {}.", "{}-{}")
    return exchange(question.format(a, b), str(a - b), (a, b))


@task(2)
def multiply(s: Source) -> Example:
    a, b = s.randint(0, 10), s.randint(0, 10)
    question = s.asked("What is {} * {}?", "{} * {} =", "What is {} times {}?", "Multiply {} and {}.")
    return exchange(question.format(a, b), str(a * b), None)


@task(5)
def compare(s: Source) -> Example:
    a, b = s.sample(range(100), 2)
    smaller = s.random() < 0.5
    if s.random() < 0.5:
        word = s.choice(["smaller"] if smaller else ["bigger", "larger"])
        question = s.asked("Which is {}, {} or {}?", "Which number is {}: {} or {}?").format(word, a, b)
        return exchange(question, str(min(a, b) if smaller else max(a, b)), (smaller, a, b))
    question = s.asked(f"Is {a} {'smaller' if smaller else 'bigger'} than {b}?")
    return exchange(question, "Yes" if (a < b) == smaller else "No", (smaller, a, b))


@task(4)
def count_to(s: Source) -> Example:
    if s.random() < 0.25:
        start = s.randint(2, 20)
        question = s.asked("Count down from {} to 1.", "Count backwards from {} to 1.")
        return exchange(question.format(start), " ".join(map(str, range(start, 0, -1))), None)
    start, length = s.choice([1, 1, s.randint(0, 30)]), s.randint(2, 20)
    question = s.asked(
        "Count from {} to {}.", "Count {} to {}.", "Write the numbers from {} to {}.", "List the numbers from {} to {}."
    )
    numbers = range(start, start + length + 1)
    return exchange(question.format(start, start + length), " ".join(map(str, numbers)), (start, length))


@task(2)
def sort_numbers(s: Source) -> Example:
    numbers = [s.randint(0, 9) for _ in range(s.randint(2, 5))]
    question = s.asked("Sort: {}", "Sort the numbers: {}", "Put these numbers in order: {}")
    return exchange(question.format(" ".join(map(str, numbers))), " ".join(map(str, sorted(numbers))), numbers)
