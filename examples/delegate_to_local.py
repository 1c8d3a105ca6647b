"""A cloud agent that hands private or cheap work to the local model: as a tool, and for its summaries.

The cloud's model is played by the local one here, so that the example runs offline; put your provider in its place.
"""

import sys

from strands import Agent, tool
from strands.agent.conversation_manager import SummarizingConversationManager

from adapters.strands import MLXModel

local = MLXModel(sys.argv[1] if len(sys.argv) > 1 else "starter", params={"max_tokens": 60})


@tool
def ask_locally(question: str) -> str:
    """Answer a question with a model on this machine; what it is asked never leaves it.

    Args:
        question: The question.
    """
    return str(Agent(model=local, callback_handler=None)(question)).strip()


cloud = MLXModel("starter")  # BedrockModel(), AnthropicModel(...), OpenAIModel(...)
agent = Agent(
    model=cloud,
    aux_model=local,  # summaries of long conversations are made here
    tools=[ask_locally],
    conversation_manager=SummarizingConversationManager(),
    callback_handler=None,
)
answer = agent.tool.ask_locally(question="What is the capital of France?")
print("answered on this machine:", answer["content"][0]["text"])
