"""The engine: one process that owns every model and every job, and the client that all others reach it by."""

from adapters.engine.client import EngineClient, Job

__all__ = ["EngineClient", "Job"]
