"""What a model can do is read from its configuration, whatever it is called."""

import json
from typing import Any

import pytest

from adapters.errors import UnsupportedModel
from adapters.models.abilities import abilities_of, runs_remote_code, speech_family
from adapters.models.installed_models import check_ability
from adapters.models.starters import STARTERS


@pytest.mark.parametrize(
    ("config", "abilities"),
    [
        ({"model_type": "qwen3"}, ("text",)),
        ({"model_type": "qwen3_vl", "vision_config": {"depth": 2}}, ("text", "vision")),
        ({"model_type": "qwen3_5", "vision_config": {"depth": 2}}, ("text", "vision")),
        ({"model_type": "qwen3_5", "vision_config": None}, ("text",)),
        ({"model_type": "gemma3", "vision_config": {"a": 1}}, ("text", "vision")),
        ({"model_type": "whisper"}, ("speech",)),
        ({"model_type": "parakeet_tdt"}, ("speech",)),
        ({"target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel"}, ("speech",)),
        ({"target": "nemo.collections.asr.models.EncDecMultiTaskModel"}, ("speech",)),
        (
            {"n_mels": 80, "n_text_layer": 4, "n_vocab": 51865},
            ("speech",),
        ),  # Whisper as OpenAI and mlx-examples have it
        ({"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]}, ("speech",)),
        ({"model_type": "granite_speech_plus"}, ("speech",)),
        ({"model_type": "glm"}, ("text",)),
        ({"model_type": "gemma3", "text_config": {"a": 1}}, ("text",)),
        ({"model_type": "mistral3", "text_config": {"a": 1}}, ("text",)),
        # Vision models whose configurations name their eyes otherwise, or are called otherwise than their code.
        ({"model_type": "llava_qwen2", "mm_vision_tower": "x"}, ("text", "vision")),
        ({"model_type": "llava-qwen2", "mm_vision_tower": "x"}, ("text", "vision")),
        ({"model_type": "cohere2_vision", "vision_config": {"a": 1}}, ("text", "vision")),
        ({"model_type": "phi3_v", "img_processor": {"name": "clip_vision_model"}}, ("text", "vision")),
        ({"model_type": "phi4mm", "embd_layer": {"a": 1}}, ("text", "vision")),
        ({"model_type": "molmo"}, ("text", "vision")),
        ({"model_type": "moondream1"}, ("text", "vision")),
        ({"model_type": "qwen3_omni_moe", "thinker_config": {"vision_config": {"a": 1}}}, ("text", "vision")),
        # They find things in pictures, and write nothing.
        ({"model_type": "sam3", "vision_config": {"a": 1}}, ("text",)),
        ({"model_type": "nobody_knows", "vision_config": {"a": 1}}, ("text",)),
        ({}, ("text",)),
    ],
)
def test_abilities_come_from_the_configuration(config: dict[str, Any], abilities: tuple[str, ...]) -> None:
    assert abilities_of(config) == abilities


def test_the_starters_can_do_what_they_are_named_for() -> None:
    found = {name: abilities_of(json.loads((folder / "config.json").read_text())) for name, folder in STARTERS.items()}
    assert found == {"starter": ("text",), "starter-vision": ("text", "vision"), "starter-speech": ("speech",)}


def test_families_are_told_apart_by_what_their_loaders_trust() -> None:
    assert speech_family({"target": "nemo.collections.asr.models.EncDecMultiTaskModel"}) == "canary"
    assert not runs_remote_code("whisper")
    assert not runs_remote_code("parakeet")
    assert not runs_remote_code("qwen3_asr")  # trusts the model's folder, in which it is shown no code
    assert runs_remote_code("vibevoice_asr")  # trusts another one, on the hub
    assert runs_remote_code("fun_asr_nano")  # trusts one that the configuration names


def test_a_model_that_cannot_is_told_with_those_that_can() -> None:
    for name, wanted, able in (
        ("starter", "vision", "starter-vision"),
        ("starter-vision", "speech", "starter-speech"),
        ("starter-speech", "text", "starter"),
    ):
        with pytest.raises(UnsupportedModel, match=rf"{name} is a .* model and cannot .* such as {able}"):
            check_ability(name, STARTERS[name], wanted)  # pyright: ignore[reportArgumentType]
        check_ability(name, STARTERS[name], "speech" if name == "starter-speech" else "text")
