"""`adapter` in `generate`: by name and by folder, beside others and the base, of every method; what does not fit is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mlx_lm import generate, load

from adapters.lora import trained_adapters as library
from adapters.models.starters import STARTERS
from tests.running import Home, answer, text
from tests.tiny_adapters import random_adapter
from tests.tiny_models import random_qwen3

pytestmark = pytest.mark.anyio

PROMPT = "Tell me a story about a frog."
TOKENS = 20


def alone(adapter: Path | None, prompt: str = PROMPT) -> str:
    """What mlx_lm itself writes with that adapter."""
    model, tokenizer, *_ = load(str(STARTERS["starter"]), adapter_path=str(adapter) if adapter else None)
    messages = [{"role": "user", "content": prompt}]
    tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False)
    return generate(model, tokenizer, tokens, max_tokens=TOKENS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made").resolve()
    methods = {"first": "lora", "second": "lora", "dora": "dora", "full": "full"}
    return {
        name: random_adapter(folder / name, STARTERS["starter"], seed=i, method=method)
        for i, (name, method) in enumerate(methods.items(), 1)
    }


def shelved(home: Home, source: Path, name: str) -> None:
    with home.entered():
        if name not in library.names():
            library.install(Path(shutil.copytree(source, home.folder / f"draft-{name}")), name)


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    return answer(await client.call_tool("generate", {"prompt": PROMPT, "max_tokens": TOKENS} | arguments))


@pytest.mark.parametrize("name", ["first", "second", "dora", "full"])
async def test_an_adapter_answers_as_mlx_lm_with_it(name: str, shared_home: Home, made: dict[str, Path]) -> None:
    shelved(shared_home, made[name], name)
    async with shared_home.client() as client:
        for _ in range(2):
            told = await ask(client, adapter=name, model="starter")
            assert told["text"] == alone(made[name])
            assert (told["adapter"], told["model"]) == (name, "starter")
        assert (await ask(client))["text"] == alone(None)
        assert "adapter" not in await ask(client)


async def test_clients_with_different_adapters_are_answered_at_once(shared_home: Home, made: dict[str, Path]) -> None:
    chosen = [None, "first", "second", "dora", "first", None, "full"]
    for name in filter(None, chosen):
        shelved(shared_home, made[name], name)
    found: dict[int, str] = {}
    async with shared_home.client() as client:

        async def one(i: int, name: str | None) -> None:
            found[i] = (await ask(client, model="starter", **({"adapter": name} if name else {})))["text"]

        async with anyio.create_task_group() as group:
            for i, name in enumerate(chosen):
                group.start_soon(one, i, name)
    for i, name in enumerate(chosen):
        assert found[i] == alone(made[name] if name else None), (i, name)


async def test_an_adapter_by_folder_needs_a_grant(shared_home: Home, made: dict[str, Path]) -> None:
    async with shared_home.client("--allow", str(made["first"].parent)) as client:
        told = await ask(client, adapter=str(made["first"]))
        assert told["text"] == alone(made["first"])
    async with shared_home.client() as client:
        refused = await client.call_tool("generate", {"prompt": PROMPT, "adapter": str(made["first"])})
        assert "outside the granted folders" in text(refused)


async def test_many_prompts_use_the_adapter(shared_home: Home, made: dict[str, Path]) -> None:
    shelved(shared_home, made["first"], "first")
    prompts = [PROMPT, "Count from 1 to 9."]
    async with shared_home.client() as client:
        told = answer(
            await client.call_tool("generate", {"prompts": prompts, "adapter": "first", "max_tokens": TOKENS})
        )
    assert [one["text"] for one in told["results"]] == [alone(made["first"], prompt) for prompt in prompts]


async def test_an_adapter_put_in_anothers_place_is_used_from_then_on(own_home: Home, made: dict[str, Path]) -> None:
    shelved(own_home, made["first"], "one")
    async with own_home.client() as client:
        assert (await ask(client, adapter="one"))["text"] == alone(made["first"])
        with own_home.entered():
            library.delete("one")
        gone = await client.call_tool("generate", {"prompt": PROMPT, "adapter": "one"})
        assert "there is no adapter 'one'" in text(gone)
        shutil.rmtree(own_home.folder / "draft-one", ignore_errors=True)
        shelved(own_home, made["second"], "one")
        assert (await ask(client, adapter="one"))["text"] == alone(made["second"])


async def test_what_is_wrong_is_refused_and_the_engine_goes_on(
    shared_home: Home, made: dict[str, Path], tmp_path: Path
) -> None:
    other = random_adapter(tmp_path / "other", random_qwen3(tmp_path / "model"))
    broken = Path(shutil.copytree(made["first"], tmp_path / "broken"))
    (broken / "adapters.safetensors").write_bytes(b"junk")
    whole = random_adapter(tmp_path / "whole", random_qwen3(tmp_path / "model2"), method="full")
    misnamed = Path(shutil.copytree(made["dora"], tmp_path / "misnamed"))
    config = json.loads((misnamed / "adapter_config.json").read_text())
    config["lora_parameters"]["keys"] = ["self_attn.k_proj"]
    (misnamed / "adapter_config.json").write_text(json.dumps(config))
    cases = [
        ("nobody", "there is no adapter 'nobody'"),
        ("../../etc", "is relative"),
        ("/nowhere", "outside the granted folders"),
        (str(tmp_path / "none"), "is not a folder"),
        (str(tmp_path / "model"), "is no adapter"),
        (str(broken), "no safetensors file"),
        (str(other), "does not belong to this model"),
        (str(whole), "does not belong to this model"),
        (str(misnamed), "which its configuration leaves out (num_layers -1, keys self_attn.k_proj)"),
        ("someone/adapter", "shows all adapters, and a server that is started without --offline fetches it"),
    ]
    async with shared_home.client("--allow", str(tmp_path), "--offline") as client:
        for name, expected in cases:
            result = await client.call_tool("generate", {"prompt": PROMPT, "adapter": name})
            assert result.is_error
            assert expected in text(result), (name, text(result))
        assert (await ask(client))["text"] == alone(None)


async def test_models_and_their_copies_can_be_unloaded(own_home: Home, made: dict[str, Path]) -> None:
    for name in ("first", "dora"):
        shelved(own_home, made[name], name)
    async with own_home.client() as client, own_home.engine() as engine:
        await ask(client, adapter="dora", model="starter")
        await ask(client, adapter="first", model="starter")
        loaded = [model.model for model in (await engine.status()).models]
        assert loaded == ["starter with dora", "starter"]
        assert await engine.unload() == loaded
        assert (await engine.status()).models == []
        assert (await ask(client, adapter="first", model="starter"))["text"] == alone(made["first"])
