"""An agent whose own program uses the local tools: `agent.tool.NAME(...)` needs no model to decide.

Runs offline on the starter models. The pictures and sounds come with the package.
"""

import json
import sys

from strands import Agent

from adapters.models.names import STARTER
from adapters.strands import MLXModel, local_tools

samples = STARTER / "samples"
vision = sys.argv[1] if len(sys.argv) > 1 else "starter-vision"

tools = local_tools(
    allow=[samples],
    tools=["describe-image", "transcribe", "generate"],
    vision_model=vision,
    offline=vision == "starter-vision",
)
with tools:
    agent = Agent(model=MLXModel("starter"), tools=tools.list_tools_sync(), callback_handler=None)
    seen = agent.tool.describe_image(images=[str(samples / "shapes.png")], prompt="What is in this photo?")
    print("seen:", seen["content"][0]["text"].splitlines()[0])
    heard = agent.tool.transcribe(audio=str(samples / "commands.ogg"))
    print("heard:", heard["content"][0]["text"].splitlines()[0])
    said = agent.tool.generate(prompt="Reverse the words: red green blue")
    print("said:", json.dumps(said["content"][0]["text"].splitlines()[0]))
