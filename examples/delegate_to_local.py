"""A cloud agent that hands private work to the local model: a file that only that one reads, and its own long history.

The cloud's model is played by the starter model, so that the example runs offline; put your provider in its place. What
the starter writes as a summary is not worth reading; a real model's is: `python delegate_to_local.py
mlx-community/Qwen3.5-4B-MLX-4bit`.
"""

import sys
import tempfile
from pathlib import Path

from strands import Agent, tool
from strands.agent.conversation_manager import SummarizingConversationManager

from adapters.strands import MLXModel

local = MLXModel(sys.argv[1] if len(sys.argv) > 1 else "starter", params={"max_tokens": 60})
cloud = MLXModel("starter")  # BedrockModel(), AnthropicModel(...), OpenAIModel(...)

with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "notes.txt").write_text("Tom lives in Lima. Lucy lives in Oslo. Max lives in Cairo.")

    @tool
    def read_file(path: str) -> str:
        """Read a file. A model on this machine reads it and tells what matters; the file itself stays here.

        Args:
            path: Its name.
        """
        content = (Path(folder) / Path(path).name).read_text()
        return str(Agent(model=local, callback_handler=None)(f"{content} Where does Lucy live?")).strip()

    agent = Agent(
        model=cloud,
        tools=[read_file],
        aux_model=local,  # summaries of long conversations are made here
        conversation_manager=SummarizingConversationManager(summary_ratio=0.8, preserve_recent_messages=2),
        callback_handler=None,
    )
    agent("Read the file notes.txt.")

for message in agent.messages:
    for block in message["content"]:
        if "toolUse" in block:
            print("the cloud's model called:", block["toolUse"]["name"], block["toolUse"]["input"])
        if "toolResult" in block:
            print("answered on this machine:", block["toolResult"]["content"][0]["text"])

agent("What is the capital of France?")
agent.conversation_manager.reduce_context(agent)
print("summed up on this machine:", agent.messages[0]["content"][0]["text"].strip())
