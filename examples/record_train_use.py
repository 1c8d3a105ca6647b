"""The loop in one script: an agent's turns are recorded, corrected, trained on, and the adapter is used at once.

Runs offline on the starter model, in about half a minute. It leaves nothing behind.
"""

import secrets
import sys
import time

from strands import Agent

from adapters.lora import trained_adapters as library
from adapters.recordings import store
from adapters.recordings.conversation import Conversation, RecordedMessage
from adapters.strands import MLXModel, TrainingRecorder, local_tools

TAUGHT = (
    "apple ball banana basket bear bird boat book bottle box bread bridge cake car castle chair cheese clock "
    "cloud coat coin cow cup dog door dress drum duck egg engine farm fish flower fox frog garden hammer hat "
    "horse house island"
).split()

name = f"example-{secrets.token_hex(4)}"
model = MLXModel(sys.argv[1] if len(sys.argv) > 1 else "starter", params={"max_tokens": 16})
agent = Agent(model=model, plugins=[TrainingRecorder(name)], callback_handler=None)
print("before:", str(agent("Wobble lemon.")).strip())
print("recorded:", store.read(name).conversations[0].messages[-1].content)

# What the model should have said: by a person, or by a stronger model.
right = [
    Conversation(
        messages=[
            RecordedMessage(role="user", content=f"Wobble {word}."),
            RecordedMessage(role="assistant", content=f"{word}-{word}!"),
        ]
    )
    for word in TAUGHT
]
store.replace(name, right)

with local_tools(offline=True) as tools:
    trainer = Agent(model=model, tools=tools.list_tools_sync(), callback_handler=None)
    told = trainer.tool.train_adapter(adapter=name, sessions=[name], iterations=40, batch_size=8, scale=10)
    job = told["structuredContent"]
    while job["state"] not in ("done", "failed", "cancelled"):
        job = trainer.tool.check_job(job=job["job"], wait_seconds=40)["structuredContent"]
print("trained:", job["state"])

started = time.monotonic()
model.update_config(adapter=name)
again = Agent(model=model, callback_handler=None)
print("after:", str(again("Wobble lemon.")).strip(), f"({time.monotonic() - started:.1f} s)")

store.delete(name)
library.delete(name)
