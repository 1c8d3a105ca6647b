"""`mcp-server-mlx adapters`, and what mlx_lm's own commands make of what it hands on."""

import sys
from pathlib import Path

import anyio
import mlx.core as mx
import pytest
from mlx_lm import generate, load

from adapters.lora import trained_adapters as library
from adapters.models.starters import STARTERS
from adapters.protocol.training import Train
from adapters.recordings import store
from tests.mcp_server.tools.test_train_adapter import rows
from tests.running import Home
from tests.tiny_adapters import random_adapter
from tests.tiny_models import quantized, random_qwen3

pytestmark = pytest.mark.anyio

PROMPT = "Wobble cat."


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def trained(shared_home: Home) -> str:
    """An adapter that was really trained, once."""
    with shared_home.entered():
        known = "for-commands" in library.names()
        if not known:
            store.append("for-commands", rows(12))
    if not known:
        async with shared_home.engine() as engine:
            async for job in engine.submit(
                Train(adapter="for-commands", model="starter", sessions=["for-commands"], iterations=16)
            ):
                assert job.view is None or job.view.state == "done", job.view
    return "for-commands"


def said(model: str, adapter: str | None = None) -> str:
    loaded, tokenizer, *_ = load(model, adapter_path=adapter)
    messages = [{"role": "user", "content": PROMPT}]
    tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False)
    return generate(loaded, tokenizer, tokens, max_tokens=16)


async def test_adapters_are_listed_and_shown(shared_home: Home, trained: str) -> None:
    listed = shared_home.command("adapters", "list").stdout
    assert trained in listed
    assert "starter" in listed
    shown = shared_home.command("adapters", "show", trained).stdout
    for word in ("trained on", "for-commands", "learning_rate=0.0005", "held back", "mlx-lm"):
        assert word in shown


async def test_an_adapters_folder_says_nothing_of_what_it_was_trained_on(shared_home: Home, trained: str) -> None:
    with shared_home.entered():
        folder, said = library.trained(trained), store.read("for-commands").conversations
    texts = [path.read_text() for path in folder.iterdir() if path.suffix == ".json"]
    assert len(texts) >= 2
    for message in (message for one in said for message in one.messages if message.content):
        assert not [text for text in texts if message.content in text]


async def test_an_exported_adapter_is_read_by_mlx_lms_own_command(
    shared_home: Home, trained: str, tmp_path: Path
) -> None:
    ran = shared_home.command("adapters", "export", trained, str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    command = [
        sys.executable, "-m", "mlx_lm", "generate", "--model", str(STARTERS["starter"]), "--adapter-path",
        str(tmp_path / "out"), "--prompt", PROMPT, "--max-tokens", "16", "--temp", "0",
        "--chat-template-config", '{"enable_thinking": false}', "--verbose", "False",
    ]  # fmt: skip
    environment = shared_home.environment | {"MLX_DISABLE_COMPILE": "1"}
    with anyio.fail_after(120):
        theirs = await anyio.run_process(command, check=False, env=environment)
    assert theirs.returncode == 0, theirs.stderr
    assert said(str(STARTERS["starter"]), str(tmp_path / "out")) in theirs.stdout.decode()
    again = shared_home.command("adapters", "export", trained, str(tmp_path / "out"))
    assert "not overwritten" in again.stderr


async def test_a_fused_model_says_what_the_adapter_says(shared_home: Home, trained: str, tmp_path: Path) -> None:
    ran = shared_home.command("adapters", "fuse", trained, str(tmp_path / "fused"))
    assert ran.returncode == 0, ran.stderr
    with shared_home.entered():
        adapter = str(library.trained(trained))
    assert said(str(tmp_path / "fused")) == said(str(STARTERS["starter"]), adapter) != said(str(STARTERS["starter"]))
    again = shared_home.command("adapters", "fuse", trained, str(tmp_path / "fused"))
    assert again.returncode == 1
    assert "not overwritten" in again.stderr


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
async def test_every_method_can_be_fused(method: str, tmp_path: Path, isolated: Path) -> None:
    from adapters.mlx.fusing import fuse
    from adapters.settings import read_settings

    model = random_qwen3(tmp_path / "model")
    adapter = random_adapter(tmp_path / "adapter", model, method=method)
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace("{", f'{{"model": "{model}", ', 1))
    fuse(str(adapter), tmp_path / "fused", read_settings())
    whole, tokenizer, *_ = load(str(tmp_path / "fused"))
    beside, *_ = load(str(model), adapter_path=str(adapter))
    tokens = mx.array([[1, 5, 9, 200]])
    assert mx.allclose(whole(tokens), beside(tokens), atol=0.15, rtol=0.05).item()
    assert tokenizer.has_chat_template


async def test_a_quantised_model_stays_so_unless_asked(tmp_path: Path, isolated: Path) -> None:
    from adapters.mlx.fusing import fuse
    from adapters.settings import read_settings

    model = quantized(tmp_path / "model", random_qwen3(tmp_path / "plain"))
    adapter = random_adapter(tmp_path / "adapter", model, size=0.1)
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace("{", f'{{"model": "{model}", ', 1))
    fuse(str(adapter), tmp_path / "four", read_settings())
    fuse(str(adapter), tmp_path / "whole", read_settings(), dequantize=True)
    four, whole = (tmp_path / name / "model.safetensors" for name in ("four", "whole"))
    assert four.stat().st_size < whole.stat().st_size
    for name in ("four", "whole"):
        load(str(tmp_path / name))


async def test_a_deleted_adapter_is_gone(own_home: Home) -> None:
    with own_home.entered():
        library.install(random_adapter(own_home.folder / "draft", STARTERS["starter"]), "one")
    assert own_home.command("adapters", "delete", "one").stdout == "one is gone\n"
    ran = own_home.command("adapters", "show", "one")
    assert ran.returncode == 1
    assert "none was trained" in ran.stderr
