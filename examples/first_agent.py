"""An agent that thinks with a model on this machine, and calls a function of this program.

Runs offline on the starter model, which is tiny. Name a real one to see more: `python first_agent.py
mlx-community/Qwen3.5-4B-MLX-4bit`.
"""

import sys

from strands import Agent, tool

from adapters.strands import MLXModel


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city.

    Args:
        city: The city.
    """
    return {"Rome": "sunny, 24 degrees"}.get(city, "rainy, 12 degrees")


model = MLXModel(sys.argv[1] if len(sys.argv) > 1 else "starter", params={"max_tokens": 400})
agent = Agent(model=model, tools=[get_weather], callback_handler=None)
result = agent("What is the weather in Rome?")
used = [use["toolUse"] for message in agent.messages for use in message["content"] if "toolUse" in use]
print("called:", ", ".join(f"{one['name']}({one['input']})" for one in used) or "nothing")
print("answer:", result)
