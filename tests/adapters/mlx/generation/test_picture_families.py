"""Families that hand pictures over in their own way: what is asked and shown reaches them as in mlx_vlm."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlx_lm.utils import load_tokenizer
from mlx_vlm.generate import stream_generate
from mlx_vlm.models.internvl_chat.processor import InternVLChatProcessor, InternVLImageProcessor
from mlx_vlm.prompt_utils import MODEL_CONFIG, SINGLE_IMAGE_ONLY_MODELS, MessageFormat, apply_chat_template
from mlx_vlm.utils import load
from PIL import Image

from adapters.errors import UnsupportedModel
from adapters.mlx.loading import read_reader
from adapters.mlx.text.chat import render
from adapters.mlx.text.images import look
from adapters.mlx.text.picture_template import rendered_with_pictures
from adapters.models.card import read_card
from tests.adapters.mlx.generation.test_vision import Batch, opened, picture
from tests.picture_models import TEMPLATE, random_gemma4, random_mistral3
from tests.scripted_models import scripted_model

QUESTIONS = ("What is it?", "How many are there, and of which color?")


@pytest.fixture(scope="module")
def mistral3(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A processor that has no chat template, with a tokenizer that has one."""
    return load(str(random_mistral3(tmp_path_factory.mktemp("mistral3"))))[1]


def noise(seed: int) -> Image.Image:
    return Image.frombytes("RGB", (112, 112), random.Random(seed).randbytes(3 * 112 * 112))


def reference(model: Any, image: Image.Image, question: str, max_tokens: int = 8) -> str:
    """What mlx_vlm writes for its own prompt."""
    prompt: Any = apply_chat_template(model[2], model[0].config, question, num_images=1)
    given: Any = [image]
    stream = stream_generate(model[0], model[2], prompt, image=given, max_tokens=max_tokens, temperature=0.0)
    tokens = [response.token for response in stream][:max_tokens]
    detokenizer = model[1].detokenizer
    for token in tokens:
        if token not in model[1].eos_token_ids:
            detokenizer.add_token(token)
    detokenizer.finalize()
    return detokenizer.text


@pytest.mark.parametrize("family", [random_gemma4, random_mistral3])
def test_answers_about_pictures_equal_mlx_vlm(family: Any, tmp_path: Path) -> None:
    model = opened(family(tmp_path))
    batch, written = Batch(model), set[str]()
    for seed in range(3):
        for question in QUESTIONS:
            mine = batch.answer([noise(seed)], question, max_tokens=8)
            assert mine == reference(model, noise(seed), question)
            written.add(mine)
    assert len(written) > 2  # it depends on what is shown and asked


def test_a_template_of_the_tokenizer_serves_a_processor_that_has_none(tmp_path: Path) -> None:
    model, processor = load(str(random_mistral3(tmp_path)))
    assert getattr(processor, "chat_template", None) is None
    turns = [
        {"role": "user", "content": [{"type": "image", "source": "a"}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "A dot."},
        {"role": "user", "content": "Which color?"},
    ]
    seen = look(model, processor, turns, {"a": picture(noise(1))}, "m")
    drawn = processor.tokenizer.decode(seen.tokens)
    assert drawn.startswith("<bos><|turn|>user")
    assert drawn.count("<bos>") == 1
    assert drawn.index("[IMG]") < drawn.index("What is it?") < drawn.index("A dot.") < drawn.index("Which color?")


@pytest.mark.parametrize("family", [random_gemma4, random_mistral3])
def test_a_template_beside_the_processor_serves_questions_without_pictures(family: Any, tmp_path: Path) -> None:
    folder = family(tmp_path)
    named = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": named.pop("chat_template")}))
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    tokenizer = read_reader("m", read_card(folder)).tokenizer
    prompt = render(tokenizer, [{"role": "user", "content": "What is it?"}], [], False, checkpoints=False)
    assert tokenizer.decode(prompt.tokens) == "<bos><|turn|>userWhat is it?<eos><|turn|>assistant"


def internvl(folder: Path) -> Any:
    tokenizer: Any = load_tokenizer(scripted_model(folder, None, says=["<IMG_CONTEXT>"]))
    return InternVLChatProcessor(InternVLImageProcessor(size=28), tokenizer._tokenizer, num_image_token=1)


def asked(*texts: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
    return [{"role": "user", "content": [{"type": "image"}, *parts]}]


def test_a_question_about_a_picture_is_in_internvls_prompt(tmp_path: Path) -> None:
    model = SimpleNamespace(config=SimpleNamespace(model_type="internvl_chat"))
    drawn = rendered_with_pictures(model, internvl(tmp_path), asked("What color is the sky?"), "m", {})
    assert "<image>\nWhat color is the sky?" in drawn


PARTS = TEMPLATE.replace("{{ m.content }}", "")
STRINGS = (
    "{%- for m in messages %}<|turn|>{{ m.role }} {{ m.content if m.content is string else '' }}<eos>{%- endfor %}"
)


@pytest.mark.parametrize("template", [TEMPLATE.replace("IMAGE", "[IMG]"), STRINGS])
@pytest.mark.parametrize("kind", sorted(MODEL_CONFIG))
def test_every_family_shows_the_question_and_the_picture_or_refuses(
    kind: str, template: str, mistral3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mistral3.tokenizer, "chat_template", template)
    model = SimpleNamespace(config=SimpleNamespace(model_type=kind))
    drawn = rendered_with_pictures(model, mistral3, asked("What color is the sky?"), "m", {})
    assert "What color is the sky?" in drawn
    told = [*asked("What color is the sky?"), {"role": "assistant", "content": "Blue."}, *asked("And the sea there?")]
    if MODEL_CONFIG[kind] == MessageFormat.PROMPT_ONLY or kind in SINGLE_IMAGE_ONLY_MODELS:
        return  # of these, some take one question and some one picture
    drawn = rendered_with_pictures(model, mistral3, told, "m", {})
    assert drawn.index("What color") < drawn.index("Blue.") < drawn.index("And the sea there?")


@pytest.mark.parametrize("kind", ["florence2", "falcon_ocr", "paligemma"])
def test_a_family_that_takes_one_question_refuses_a_conversation(kind: str, mistral3: Any) -> None:
    model = SimpleNamespace(config=SimpleNamespace(model_type=kind))
    told = [
        {"role": "user", "content": "What color is the sky?"},
        {"role": "assistant", "content": "Blue."},
        *asked("Sure?"),
    ]
    with pytest.raises(UnsupportedModel, match="leaves out what the user says"):
        rendered_with_pictures(model, mistral3, told, "m", {})


@pytest.mark.parametrize(
    ("template", "lost"),
    [
        (PARTS.replace("{{ part.text }}", ""), "leaves out what the user says"),
        (PARTS.replace("IMAGE", ""), "leaves out the pictures"),
    ],
)
def test_a_question_or_picture_that_is_left_out_is_refused(template: str, lost: str, tmp_path: Path) -> None:
    model, processor = load(str(random_mistral3(tmp_path)))
    processor.tokenizer.chat_template = template
    with pytest.raises(UnsupportedModel, match=lost):
        rendered_with_pictures(model, processor, asked("What color is the sky?"), "m", {})
