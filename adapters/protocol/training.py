"""What is said on the engine's socket about training: what is asked for, how far it is, and its result."""

from typing import Literal

from pydantic import ConfigDict, Field

from adapters.protocol.wire import Wire

Method = Literal["lora", "dora", "full"]
TooLong = Literal["split", "cut", "drop"]
Schedule = Literal["constant", "linear", "cosine"]

MAX_RANK = 256
MAX_SCALE = 1000.0
MAX_ITERATIONS = 1_000_000
MAX_SEQUENCE = 1 << 20


class TrainingOptions(Wire):
    """What an adapter is trained from, and how.

    This is the only declaration of a training option: the tool, the engine and the trainer take name, bounds, default and
    description from here. An iteration is one update of the weights, from `batch_size` times `accumulate` rows. What is None
    is chosen from the rows and the method, and the pre-flight says what was chosen.
    """

    adapter: str = Field(description="The adapter's name, such as `support-style`. None is ever overwritten.")
    sessions: list[str] | None = Field(
        default=None, min_length=1, max_length=256, description="Recorded sessions to learn from, by id."
    )
    dataset: str | None = Field(
        default=None,
        description="Absolute path of a JSONL file (`messages`, or `prompt` and `completion`, or `text`), or of a folder with train.jsonl. Only within granted folders.",
    )
    model: str = Field(
        default="default", description="The model to train: `default`, `starter`, a hub id, or an absolute folder."
    )
    method: Method = Field(
        default="lora",
        description="`lora` is quick and small, and shares the model with others; `dora` and `full` take more.",
    )
    rank: int = Field(default=16, ge=1, le=MAX_RANK, description="How much the adapter can hold.")
    scale: float = Field(
        default=20.0, gt=0, le=MAX_SCALE, allow_inf_nan=False, description="How strongly the adapter counts."
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, allow_inf_nan=False, description="The part of the input that is left out at random."
    )
    layers: int | None = Field(default=None, ge=1, description="Train only so many of the last layers.")
    iterations: int | None = Field(
        default=None, ge=1, le=MAX_ITERATIONS, description="Updates of the weights; left out, about three epochs."
    )
    epochs: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        description="In place of iterations: how often to see each row.",
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Left out, 1e-4 for adapters of large models, 5e-4 of tiny ones, and a tenth of it for `full`.",
    )
    schedule: Schedule = Field(default="constant", description="How the learning rate falls, to a tenth.")
    warmup: int = Field(default=0, ge=0, description="Iterations over which the learning rate rises.")
    batch_size: int = Field(default=4, ge=1, le=1024, description="Rows computed at once.")
    accumulate: int = Field(default=1, ge=1, le=1024, description="Batches to one update.")
    max_sequence: int = Field(
        default=2048, ge=16, le=MAX_SEQUENCE, description="Tokens that a row may have; see too_long."
    )
    too_long: TooLong = Field(
        default="split", description="What becomes of longer rows: `split` by turns, `cut` at the end, or `drop`."
    )
    validation: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        allow_inf_nan=False,
        description="The part of the conversations that is held back to measure.",
    )
    validate_every: int | None = Field(default=None, ge=1, description="Iterations between measurements.")
    patience: int | None = Field(
        default=None, ge=1, description="End after so many measurements without a better one, and keep the best."
    )
    checkpoint_every: int | None = Field(default=None, ge=1, description="Iterations between checkpoints.")
    gradient_checkpointing: bool = Field(default=False, description="Less memory, more time.")
    seed: int = Field(default=0, ge=0, lt=1 << 31, description="The same seed and rows give the same adapter.")
    evaluate: bool = Field(
        default=True, description="Compare the model with and without the adapter on the rows held back."
    )
    resume: str | None = Field(
        default=None,
        description="The job of a training that was cancelled or failed, to go on from its checkpoint.",
    )


class Train(TrainingOptions):
    """An adapter to train. `dataset` is a resolved path here.

    `readable` are the folders in which the rows' pictures may lie; None allows any. With `resume`, all but `adapter` and
    `model` is taken from the earlier training.
    """

    kind: Literal["train"] = "train"
    readable: list[str] | None = None
    offline: bool = False


class Preflight(Wire):
    """What a training takes, from its rows. Memory in bytes and time in seconds are estimates."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    # The tool's answer calls them rows, as clients know them. One conversation may give several examples, or none.
    examples: int = Field(validation_alias="rows", serialization_alias="rows", description="Rows that are trained on")
    held_back: int = Field(description="Rows that are held back to measure what was learned")
    duplicates: int = Field(description="Rows that say the same as others and were left out")
    too_long: int = Field(description="Rows over max_sequence; `notes` says what became of them")
    dropped: int = Field(description="Rows of which nothing was left to learn from")
    tokens: int = Field(description="Tokens of all rows that are trained on")
    learned_tokens: int = Field(description="Of these, the tokens to be learned: what assistants said")
    longest: int = Field(description="Tokens of the longest row")
    iterations: int = Field(description="Updates of the weights")
    epochs: float = Field(description="How often each row is seen")
    learning_rate: float = Field(description="The learning rate, chosen or given")
    trained_parameters: int = Field(description="Values that are learned")
    memory_bytes: int = Field(description="Memory that it takes, estimated")
    memory_free: int = Field(description="Memory that there is")
    seconds: float = Field(description="Time that it takes, estimated before the first iteration")
    notes: list[str] = Field(default=[], description="What the user should know before trusting the result")


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
    """How many of the held-back rows with a short answer were answered exactly."""

    rows: int = Field(description="Held-back rows with a short answer")
    base: int = Field(description="Answered exactly by the model without the adapter")
    adapter: int = Field(description="Answered exactly with it")


class Evaluation(Wire):
    """The base model against the adapter on the held-back rows: mean loss a learned token, and exact answers."""

    rows: int = Field(description="Rows that were measured")
    base_loss: float = Field(description="Loss a token without the adapter; lower is better")
    adapter_loss: float = Field(description="Loss a token with it")
    exact: ExactMatches | None = Field(default=None, description="Exact answers, where answers are short")


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
