"""Several agents at once on one engine: one copy of the weights, one batch, each with its own conversation."""

import asyncio
import sys
import time

from strands import Agent

from adapters.strands import MLXModel

name = sys.argv[1] if len(sys.argv) > 1 else "starter"
QUESTIONS = (
    "Count from 1 to 10.",
    "Reverse the words: red green blue",
    "What is the capital of France?",
    "Uppercase: small house",
)


async def ask(question: str) -> str:
    agent = Agent(model=MLXModel(name, params={"max_tokens": 60}), callback_handler=None)
    return str(await agent.invoke_async(question)).strip()


async def main() -> None:
    await ask("Hello")  # brings the model into memory
    started = time.monotonic()
    answers = await asyncio.gather(*(ask(question) for question in QUESTIONS))
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"{question}  {answer}")
    print(f"together in {time.monotonic() - started:.1f} s")


asyncio.run(main())
