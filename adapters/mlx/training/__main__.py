"""The trainer's process: `python -m adapters.mlx.training RUN_FOLDER`. Started by the engine; ends by itself.

It ends with a checkpoint when it is told to (SIGTERM), and when the process that started it is gone and the training
is not to keep running. All that it says goes through its folder.
"""

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from adapters.errors import OutOfMemory, ServerError, TrainingFailed, to_wire
from adapters.training.run_folder import KEEP_RUNNING, OutcomeFile, locked, read_run, write

logger = logging.getLogger(__name__)

# Serving goes first: a chat that is answered while this runs is slower, not slow.
_NICE = 5


class _Stop:
    """Whether the run should end: told to, or left alone."""

    def __init__(self, folder: Path, parent: int) -> None:
        self._folder, self._parent, self._stop_asked = folder, parent, False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def _tell(self, *_: object) -> None:
        self._stop_asked = True

    def __call__(self) -> bool:
        alone = os.getppid() != self._parent and not (self._folder / KEEP_RUNNING).exists()
        return self._stop_asked or alone


def _outcome(folder: Path) -> OutcomeFile:
    run = read_run(folder)
    if run is None:
        raise SystemExit(f"{folder} is no training's folder")
    stop = _Stop(folder, run.parent)
    from adapters.mlx.allocation import allocation_failed
    from adapters.mlx.training import checkpoint
    from adapters.mlx.training.loop import Stopped
    from adapters.mlx.training.trainer import Trainer

    try:
        return OutcomeFile(state="done", outcome=Trainer(folder, run, stop).train())
    except Stopped:
        return OutcomeFile(state="cancelled")
    except ServerError as error:
        return OutcomeFile(state="failed", error=to_wire(error))
    except OSError as error:
        told = TrainingFailed(
            f"a file could not be written or read ({error}); {checkpoint.left(folder)}. Free some space, then resume"
        )
        return OutcomeFile(state="failed", error=to_wire(told))
    except (MemoryError, RuntimeError) as error:
        if not allocation_failed(error):
            raise
        told = OutOfMemory(
            f"the machine ran out of memory while training ({str(error)[:200]}); {checkpoint.left(folder)}. "
            "Lower batch_size or max_sequence, or pass gradient_checkpointing=true"
        )
        return OutcomeFile(state="failed", error=to_wire(told))


def main() -> int:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s | %(message)s"
    )
    folder = Path(sys.argv[1])
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with locked(folder) as mine:
        if not mine:
            return 1
        try:
            outcome = _outcome(folder)
        except Exception as error:
            logger.exception("folder=<%s> | the training failed on an error nobody foresaw", folder.name)
            outcome = OutcomeFile(state="failed", error=to_wire(error))
        write(folder / "outcome.json", outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
