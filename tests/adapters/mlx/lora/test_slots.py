"""Several adapters and the base in one batch: each row as if its adapter were alone, as mlx_lm loads it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import generate, load

from adapters.errors import BadAdapter
from adapters.lora.check import check_files
from adapters.mlx.generation.language import LanguageRunner
from adapters.mlx.generation.prompt_cache import PromptCache
from adapters.mlx.generation.request import GenerationRequest
from adapters.mlx.lora.layers import LoadedAdapter
from adapters.mlx.lora.slots import AdapterSlots, unwrapped
from adapters.mlx.lora.weights import check_against, fits_in_slots, lay_around
from adapters.mlx.text.answer import AnswerText, markers_of
from adapters.models.starters import STARTERS
from adapters.protocol.generation import Sampling
from tests.adapters.mlx.asked import Asked, Events, deliver
from tests.tiny_adapters import random_adapter
from tests.tiny_models import quantized, random_experts, random_qwen3

PROMPTS = (
    "Hello",
    "Count from 1 to 9.",
    "Reverse the words: red green blue " + "lion tiger bear wolf fox owl " * 4,  # experts sort from 64 choices on
    "Tell me a story about a frog.",
)
TOKENS = 24


class Batch:
    """A model with slots, and its runner, driven by the test's own thread."""

    def __init__(self, folder: Path) -> None:
        self.model, self.tokenizer, *_ = load(str(folder))
        mx.eval(self.model.state)
        self.slots = AdapterSlots(self.model)
        self.runner = LanguageRunner(
            "m", self.model, self.tokenizer, slots=self.slots, kv_bytes_per_token=64, batch_size=8,
            prompt_cache=PromptCache(1 << 28), room=lambda _: True, post=deliver,
        )  # fmt: skip

    def ask(self, prompt: str, adapter: LoadedAdapter | None) -> Asked:
        events = Events()
        request = GenerationRequest(
            tokens(self.tokenizer, prompt), TOKENS, Sampling(), 0, AnswerText(markers_of(self.tokenizer)),
            adapter.digest if adapter else "", events.note, adapter=adapter,
        )  # fmt: skip
        asked = Asked(request, events)
        self.runner.submit(request)
        return asked

    def run(self, steps: int | None = None) -> None:
        while self.runner.busy and steps != 0:
            self.runner.step()
            steps = steps - 1 if steps is not None else None


def tokens(tokenizer: Any, prompt: str) -> list[int]:
    messages = [{"role": "user", "content": prompt}]
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False))


def alone(folder: Path, adapter: Path | None, prompt: str) -> str:
    """What mlx_lm itself writes with that adapter."""
    model, tokenizer, *_ = load(str(folder), adapter_path=str(adapter) if adapter else None)
    return generate(model, tokenizer, tokens(tokenizer, prompt), max_tokens=TOKENS)


def plain(folder: Path) -> Path:
    return STARTERS["starter"]


def four_bits(folder: Path) -> Path:
    return quantized(folder / "q", random_qwen3(folder / "whole"))


def experts(folder: Path) -> Path:
    return random_experts(folder / "experts")


def with_embedding(folder: Path) -> Path:
    return STARTERS["starter"]


MODELS: list[tuple[Callable[[Path], Path], dict[str, Any]]] = [
    (plain, {}),
    (four_bits, {}),
    (experts, {}),
    (with_embedding, {"keys": ["model.embed_tokens", "self_attn.q_proj"]}),
]


@pytest.mark.parametrize(("make", "parameters"), MODELS, ids=[make.__name__ for make, _ in MODELS])
def test_a_mixed_batch_equals_each_adapter_alone(
    make: Callable[[Path], Path], parameters: dict[str, Any], tmp_path: Path
) -> None:
    model = make(tmp_path)
    folders = [
        random_adapter(tmp_path / "a", model, seed=1, rank=4, **parameters),
        random_adapter(tmp_path / "b", model, seed=2, rank=8, scale=2.0, **parameters),
        random_adapter(tmp_path / "c", model, seed=3, rank=2, layers=1, keys=["self_attn.v_proj"]),
    ]
    batch = Batch(model)
    loaded = [batch.slots.load(check_files(folder)) for folder in folders]
    chosen = [None, *range(3), 0, None]
    asked = []
    for i, one in enumerate(chosen):
        asked.append(batch.ask(PROMPTS[i % len(PROMPTS)], None if one is None else loaded[one]))
        batch.run(steps=2)
    batch.run()
    for i, (one, found) in enumerate(zip(chosen, asked, strict=True)):
        expected = alone(model, None if one is None else folders[one], PROMPTS[i % len(PROMPTS)])
        assert found.text == expected, f"row {i}"
    said = {alone(model, folder, PROMPTS[1]) for folder in [None, *folders]} | {
        alone(model, folder, PROMPTS[3]) for folder in [None, *folders]
    }
    assert len(said) > 4, "the adapters change nothing that this test could see"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [random_adapter(folder / str(i), STARTERS["starter"], seed=i) for i in range(3)]


def test_one_adapter_for_all_rows_equals_mlx_lm(adapters: list[Path]) -> None:
    batch = Batch(STARTERS["starter"])
    adapter = batch.slots.load(check_files(adapters[0]))
    asked = [batch.ask(prompt, adapter) for prompt in PROMPTS]
    batch.run()
    assert [one.text for one in asked] == [alone(STARTERS["starter"], adapters[0], prompt) for prompt in PROMPTS]


def test_the_base_is_as_before_beside_adapters(adapters: list[Path]) -> None:
    batch = Batch(STARTERS["starter"])
    for folder in adapters:
        batch.slots.load(check_files(folder))
    asked = batch.ask(PROMPTS[0], None)
    batch.run()
    assert asked.text == alone(STARTERS["starter"], None, PROMPTS[0])


def test_prompts_read_with_one_adapter_serve_no_other(adapters: list[Path]) -> None:
    batch = Batch(STARTERS["starter"])
    first, second = (batch.slots.load(check_files(folder)) for folder in adapters[:2])
    seen = set[str]()
    for adapter, folder in ((first, adapters[0]), (second, adapters[1]), (None, None), (first, adapters[0])):
        asked = batch.ask(PROMPTS[2], adapter)
        batch.run()
        assert asked.text == alone(STARTERS["starter"], folder, PROMPTS[2])
        assert (asked.request.cached_tokens > 0) == (asked.request.cache_key in seen)
        seen.add(asked.request.cache_key)


def test_an_adapter_that_is_dropped_leaves_running_rows_alone(adapters: list[Path]) -> None:
    batch = Batch(STARTERS["starter"])
    adapter = batch.slots.load(check_files(adapters[0]))
    other = batch.slots.load(check_files(adapters[1]))
    asked = batch.ask(PROMPTS[3], adapter)
    mixed = batch.ask(PROMPTS[3], None)
    batch.run(steps=4)
    batch.slots.release(other)
    assert batch.slots.drop_idle() > 0  # the one that nobody holds
    assert batch.slots.find(adapter.digest) is adapter
    batch.run()
    assert asked.text == alone(STARTERS["starter"], adapters[0], PROMPTS[3])
    assert mixed.text == alone(STARTERS["starter"], None, PROMPTS[3])


def test_a_model_without_its_slots_is_the_model_again(adapters: list[Path], tmp_path: Path) -> None:
    folder = random_experts(tmp_path / "experts")
    batch = Batch(folder)
    before = {name: type(module) for name, module in batch.model.named_modules()}
    batch.slots.load(check_files(random_adapter(tmp_path / "a", folder)))
    assert {name: type(module) for name, module in batch.model.named_modules()} != before
    unwrapped(batch.model)
    assert {name: type(module) for name, module in batch.model.named_modules()} == before


@pytest.mark.parametrize(("method", "in_slots"), [("lora", True), ("dora", False), ("full", False)])
def test_only_lora_goes_into_slots(method: str, in_slots: bool, tmp_path: Path) -> None:
    model, *_ = load(str(STARTERS["starter"]))
    files = check_files(random_adapter(tmp_path / "a", STARTERS["starter"], method=method))
    assert fits_in_slots(model, files) == in_slots
    check_against(model, files)


def test_an_adapter_of_another_model_is_refused_before_anything_changes(tmp_path: Path) -> None:
    other = random_qwen3(tmp_path / "other")
    batch = Batch(STARTERS["starter"])
    before = dict(batch.model.named_modules())
    with pytest.raises(BadAdapter, match="does not belong to this model"):
        batch.slots.load(check_files(random_adapter(tmp_path / "a", other)))
    assert dict(batch.model.named_modules()) == before


def test_a_layer_that_is_missing_is_told(tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "a", STARTERS["starter"])
    weights: Any = mx.load(str(folder / "adapters.safetensors"))
    kept = {name: value for name, value in weights.items() if "layers.2.self_attn.q_proj" not in name}
    mx.save_safetensors(str(folder / "adapters.safetensors"), kept)
    model, *_ = load(str(STARTERS["starter"]))
    with pytest.raises(BadAdapter, match=r"layers\.2\.self_attn\.q_proj, and has nothing for it"):
        check_against(model, check_files(folder))


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize(
    "changes",
    [
        {"num_layers": 1},
        {"keys": ["self_attn.k_proj"]},
        {"keys": ["nothing"]},
        {"keys": []},
        {"keys": ["self_attn.q_proj", "mlp.up_proj"]},
    ],
    ids=str,
)
def test_an_adapter_whose_configuration_names_other_layers_than_its_file_is_refused(
    method: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    folder = random_adapter(tmp_path / "a", STARTERS["starter"], method=method, layers=2, keys=["self_attn.q_proj"])
    model, *_ = load(str(STARTERS["starter"]))
    check_against(model, check_files(folder))
    config = json.loads((folder / "adapter_config.json").read_text())
    config["num_layers"] = changes.get("num_layers", 2)
    config["lora_parameters"]["keys"] = changes.get("keys", ["self_attn.q_proj"])
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(BadAdapter, match=r"self_attn|up_proj"):
        check_against(model, check_files(folder))


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
def test_every_tensor_of_an_adapter_finds_its_place(method: str, tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "a", STARTERS["starter"], method=method)
    model, *_ = load(str(STARTERS["starter"]))
    lay_around(model, check_files(folder))
    held: Any = dict(tree_flatten(model.parameters()))
    stored: Any = mx.load(str(folder / "adapters.safetensors"))
    assert stored
    assert all(mx.array_equal(held[name], array) for name, array in stored.items())


@pytest.mark.parametrize("method", ["dora", "full"])
def test_a_tensor_without_a_place_is_refused(method: str, tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "a", STARTERS["starter"], method=method)
    model, *_ = load(str(STARTERS["starter"]))
    weights: Any = mx.load(str(folder / "adapters.safetensors"))
    module = sorted(weights)[0].rpartition(".")[0]
    moved = {name.replace(module, "model.layers.99.self_attn.q_proj"): value for name, value in weights.items()}
    mx.save_safetensors(str(folder / "adapters.safetensors"), moved)
    with pytest.raises(BadAdapter, match=r"layers\.99"):
        check_against(model, check_files(folder))
    with pytest.raises(BadAdapter, match=r"layers\.99"):
        lay_around(model, check_files(folder))
