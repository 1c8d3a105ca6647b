"""An agent that is shown a picture, and told what was said in a recording."""

import sys

from strands import Agent

from adapters.models.starters import STARTER
from adapters.strands import MLXModel, local_tools

samples = STARTER / "samples"
model = MLXModel(sys.argv[1] if len(sys.argv) > 1 else "starter-vision", params={"max_tokens": 60})
agent = Agent(model=model, callback_handler=None)
picture = {"image": {"format": "png", "source": {"bytes": (samples / "shapes.png").read_bytes()}}}
print("saw:", str(agent([picture, {"text": "What is in this photo?"}])).strip())

with local_tools(allow=[samples], tools=["transcribe"]) as tools:
    hearing = Agent(model=MLXModel("starter"), tools=tools.list_tools_sync(), callback_handler=None)
    heard = hearing.tool.transcribe(audio=str(samples / "commands.ogg"))["structuredContent"]
print("heard:", heard["text"])
