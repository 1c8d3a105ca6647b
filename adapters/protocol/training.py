"""What is said on the engine's socket about training: what is asked for, how far it is, what came of it."""

from typing import Literal

from pydantic import Field

from adapters.protocol.wire import Wire

Method = Literal["lora", "dora", "full"]
TooLong = Literal["split", "cut", "drop"]
Schedule = Literal["constant", "linear", "cosine"]

MAX_RANK = 256
MAX_SCALE = 1000.0
MAX_ITERATIONS = 1_000_000
MAX_SEQUENCE = 1 << 20


class Train(Wire):
    """An adapter to train from recorded sessions, from a dataset (a resolved path), or both.

    An iteration is one update of the weights, from `batch_size` times `accumulate` rows. What is None is chosen from the
    rows and the method; the pre-flight says what was. `readable` are the folders in which the rows' pictures may lie; None
    allows any. `resume` is the job of an earlier training to go on with: all but
    `adapter` and `model` is then taken from there.
    """

    kind: Literal["train"] = "train"
    adapter: str
    model: str
    sessions: list[str] = Field(default=[], max_length=256)
    dataset: str | None = None
    readable: list[str] | None = None
    method: Method = "lora"
    rank: int = Field(default=16, ge=1, le=MAX_RANK)
    scale: float = Field(default=20.0, gt=0, le=MAX_SCALE, allow_inf_nan=False)
    dropout: float = Field(default=0.0, ge=0, lt=1, allow_inf_nan=False)
    layers: int | None = Field(default=None, ge=1)
    iterations: int | None = Field(default=None, ge=1, le=MAX_ITERATIONS)
    epochs: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    schedule: Schedule = "constant"
    warmup: int = Field(default=0, ge=0)
    batch_size: int = Field(default=4, ge=1, le=1024)
    accumulate: int = Field(default=1, ge=1, le=1024)
    max_sequence: int = Field(default=2048, ge=16, le=MAX_SEQUENCE)
    too_long: TooLong = "split"
    validation: float = Field(default=0.1, ge=0, le=0.5, allow_inf_nan=False)
    validate_every: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)
    checkpoint_every: int | None = Field(default=None, ge=1)
    gradient_checkpointing: bool = False
    seed: int = Field(default=0, ge=0, lt=1 << 31)
    evaluate: bool = True
    resume: str | None = None
    offline: bool = False


class Preflight(Wire):
    """What training will take, from the rows themselves. Memory in bytes and time in seconds are estimates.

    `rows` are what is trained on and `held_back` what is not; one conversation may give several, or none.
    """

    rows: int
    held_back: int
    conversations: int
    duplicates: int
    too_long: int
    dropped: int
    tokens: int
    learned_tokens: int
    longest: int
    iterations: int
    epochs: float
    learning_rate: float
    trained_parameters: int
    memory_bytes: int
    memory_free: int
    seconds: float
    notes: list[str] = []


class TrainingState(Wire):
    """How far a training is. `checkpoint` is the iteration that a resumed one would go on from."""

    preflight: Preflight | None = None
    iteration: int = 0
    iterations: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int = 0
    seconds_left: float | None = None
    checkpoint: int | None = None


class LossPoint(Wire):
    """The mean loss over the learned tokens since the point before, or over the held-back rows."""

    iteration: int
    loss: float


class ExactMatches(Wire):
    """How many of the held-back rows with a short answer were answered exactly, before and after."""

    rows: int
    base: int
    adapter: int


class Evaluation(Wire):
    """The base model against the adapter on the held-back rows: mean loss a learned token, and exact answers."""

    rows: int
    base_loss: float
    adapter_loss: float
    exact: ExactMatches | None = None


class Trained(Wire):
    """A finished training. `iterations` were done; `best_iteration` is where the weights are from."""

    kind: Literal["train"] = "train"
    model: str
    adapter: str
    folder: str
    method: Method
    iterations: int
    best_iteration: int
    ended_early: str | None = None
    losses: list[LossPoint]
    validation_losses: list[LossPoint] = []
    trained_tokens: int
    tokens_per_second: float
    memory_bytes: int
    seconds: float
    evaluation: Evaluation | None = None
    preflight: Preflight
    plot: str
