"""Everything that the processes of this project say to each other. Imports nothing else of this project.

`wire` is what messages are made of; `content`, `generation`, `transcription` and `training` say what work is asked for and
what comes of it; `jobs` is a job as anyone may see it; `messages` are the requests and events on the engine's socket.
"""
