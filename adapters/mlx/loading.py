"""Models by kind, with weights that are not read yet, and what turns words and pictures into their numbers.

The library of each kind loads it: mlx_lm text, mlx_vlm vision, mlx_audio speech. None of them is given code to run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.utils import load_config, load_tokenizer
from mlx_lm.utils import load_model as load_text

from adapters.errors import UnsafeModel, UnsupportedModel
from adapters.mlx.text.template_probes import form_of
from adapters.models.abilities import is_known, runs_remote_code, speech_family
from adapters.models.card import ModelCard, read_config
from adapters.models.without_code import loadable, own_code

# Families whose code is not safe to run as it is installed, and what there is in their place.
_REFUSED = {
    "phi3small": "mlx-lm's code for it writes beyond its memory and ends the engine; choose Phi-3 mini, or Phi-4",
}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tiktoken.model")


@dataclass(frozen=True)
class Reader:
    """A tokenizer as mlx_lm wraps it, and a vision model's processor. Speech models bring their own."""

    tokenizer: Any = None
    processor: Any = None


def read_reader(name: str, card: ModelCard) -> Reader:
    """Return the tokenizer and processor of a model. Raises UnsupportedModel when there is none that can be read."""
    if not is_known(read_config(card.folder)):
        raise UnsupportedModel(
            f"{name} is of the family {card.architecture!r}, which neither mlx-lm nor mlx-vlm nor mlx-audio loads here; choose a model of a family in docs/models.md"
        )
    if "speech" in card.abilities:
        return Reader()
    if reason := _REFUSED.get(card.architecture):
        raise UnsupportedModel(f"{name} is of the family {card.architecture}: {reason}")
    folder = loadable(card.folder)
    try:
        tokenizer = load_tokenizer(folder, eos_token_ids=load_config(folder).get("eos_token_id"))
        processor = _processor(folder) if "vision" in card.abilities else None
        _share_template(tokenizer, processor)
        form_of(tokenizer)  # found now: a request renders what it asks, and no probes
        return Reader(tokenizer, processor)
    except Exception as error:  # transformers raises what it likes for a damaged tokenizer
        raise UnsupportedModel(
            f"the tokenizer of {name} cannot be read: {_reason(error)}. {_way_out(card.folder)}"
        ) from error


def _way_out(folder: Path) -> str:
    if programs := own_code(folder):
        return f"The programs that came with it ({', '.join(programs[:3])}) are never run; choose a conversion that needs none"
    if not any((folder / name).exists() for name in _TOKENIZER_FILES):
        return f"It has none of {', '.join(_TOKENIZER_FILES)}; choose a complete conversion, such as those of mlx-community"
    return "Download the model again, or choose another conversion"


def _share_template(tokenizer: Any, processor: Any) -> None:
    """Give the tokenizer the chat template that its folder holds for the processor alone."""
    if processor is None or tokenizer.has_chat_template:
        return
    for one in (processor, getattr(processor, "tokenizer", None)):
        if (template := getattr(one, "chat_template", None)) is not None:
            tokenizer.chat_template = template
            tokenizer.has_chat_template = True
            return


def _processor(folder: Path) -> Any:
    from mlx_vlm.utils import get_model_and_args, load_processor

    # A family's module puts its own processor in place of one that needs torch.
    get_model_and_args(config=read_config(folder))
    return load_processor(folder, add_detokenizer=False)


def lazy_model(name: str, card: ModelCard) -> Any:
    """Return the model with weights that are not read yet.

    Raises UnsupportedModel, or UnsafeModel for code that would run.
    """
    if "speech" in card.abilities:
        kind, load = "a speech model", _lazy_speech
    elif "vision" in card.abilities:
        kind, load = "a vision model", _lazy_vision
    else:
        kind, load = "a text model", _lazy_text
    try:
        return load(loadable(card.folder))
    except SystemExit as error:  # how some families say that they lack a package
        raise UnsupportedModel(
            f"{name} cannot be loaded: its family ({card.architecture}) needs a package that is not part of this. Choose a model of a family in docs/models.md"
        ) from error
    except (
        ValueError,
        KeyError,
        TypeError,
        FileNotFoundError,
        AttributeError,
        RuntimeError,
        ImportError,
        OSError,
    ) as error:
        metal = " Its family's code is for Apple's GPU alone." if "metal" in str(error).lower() else ""
        raise UnsupportedModel(
            f"{name} cannot be loaded as {kind}: {_reason(error)}.{metal} Choose a model in MLX format, such as those of mlx-community"
        ) from error


def _lazy_text(folder: Path) -> Any:
    model, _ = load_text(folder, lazy=True)
    model(mx.array([[0, 0]]))  # never computed: what this machine cannot do shows before there is memory in it
    return model


def _lazy_vision(folder: Path) -> Any:
    from mlx_vlm.utils import load_model

    model = load_model(folder, lazy=True)
    if not hasattr(model, "language_model") or not hasattr(model, "get_input_embeddings"):
        raise ValueError("models of its family see, and do not write")
    model.eval()
    return model


def _lazy_speech(folder: Path) -> Any:
    from mlx_audio.stt.utils import load_model

    family = speech_family(read_config(folder))
    assert family is not None
    if runs_remote_code(family):
        raise UnsafeModel(
            f"the model in {folder} is refused: the loader of its family ({family}) would fetch code from elsewhere and run it. Choose a Whisper or Parakeet model"
        )
    model: Any = load_model(folder, lazy=True, model_type=family, model_name_parts=[family])
    if family == "whisper" and model._processor is None:
        raise ValueError(
            "it has no tokenizer and preprocessor_config.json that can be read, as conversions named -asr- have"
        )
    return model


def settle(model: Any) -> None:
    """Compute what a model keeps beside its parameters: unfinished, it would belong to this thread's stream only."""
    mx.eval(model.state)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(".:") if lines else type(error).__name__
