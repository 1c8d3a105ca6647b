"""An agent with the local tools: its program calls them by name, and a model that can choose among tools calls them itself.

Runs offline on the starter models; the picture and the sound come with the package. The starter is too small to choose
among tools with many options: name a real one to see that, `python local_tools_agent.py
mlx-community/Qwen3.5-4B-MLX-4bit`.
"""

import json
import sys

from strands import Agent

from adapters.models.starters import STARTER
from adapters.strands import MLXModel, local_tools

samples = STARTER / "samples"
name = sys.argv[1] if len(sys.argv) > 1 else "starter"

tools = local_tools(allow=[samples], tools=["describe-image", "transcribe", "generate"], offline=name == "starter")
with tools:
    agent = Agent(model=MLXModel(name), tools=tools.list_tools_sync(), callback_handler=None)
    seen = agent.tool.describe_image(images=[str(samples / "shapes.png")], prompt="What is in this photo?")
    print("seen:", seen["content"][0]["text"].splitlines()[0])
    heard = agent.tool.transcribe(audio=str(samples / "commands.ogg"))
    print("heard:", heard["content"][0]["text"].splitlines()[0])
    said = agent.tool.generate(prompt="Reverse the words: red green blue")
    print("said:", json.dumps(said["content"][0]["text"].splitlines()[0]))
    if name != "starter":
        print("by itself:", agent(f"What is said in the recording {samples / 'commands.ogg'}?"))
