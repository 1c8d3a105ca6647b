"""One stream through client, shim, host and engine against `mlx_lm.stream_generate` in process."""

import tempfile
from pathlib import Path

from mlx_lm import stream_generate

from tests.benchmarks.measure import Measured, awaited, median, ms, seconds
from tests.benchmarks.models import slow_model
from tests.running import Home, answer

_TOKENS = 64
_ROUNDS = 5
_PROMPT = "Reverse the words: red green blue"


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder, model, tokenizer, token = slow_model(Path(name))
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": _PROMPT}], add_generation_prompt=True, enable_thinking=False
        )

        def alone(tokens: int) -> None:
            assert len(list(stream_generate(model, tokenizer, prompt, max_tokens=tokens))) == tokens

        async with home.client("--allow", name) as client:

            async def through(tokens: int) -> None:
                told = answer(
                    await client.call_tool("generate", {"prompt": _PROMPT, "model": str(folder), "max_tokens": tokens})
                )
                assert told["usage"]["completion_tokens"] == tokens

            await through(2)
            alone(2)
            # Warm on both sides: ours has read the prompt before, so the prompt's time is taken off the other side too.
            pairs = [
                (
                    seconds(lambda: alone(_TOKENS)) - seconds(lambda: alone(1)),
                    await awaited(lambda: through(_TOKENS)) - await awaited(lambda: through(1)),
                )
                for _ in range(_ROUNDS)
            ]
            fixed = median([await awaited(lambda: through(1)) for _ in range(2 * _ROUNDS)])
            single = median([seconds(lambda: alone(1)) for _ in range(2 * _ROUNDS)])
            async with home.client() as small:
                arguments = {"prompt": "Hello", "max_tokens": 1}
                await small.call_tool("generate", arguments)
                call = median([await awaited(lambda: small.call_tool("generate", arguments)) for _ in range(20)])
        theirs, ours = median([a for a, _ in pairs]), median([b for _, b in pairs])
    rate = (_TOKENS - 1) / theirs
    return [
        Measured(
            f"one stream, {token * 1000:.0f} ms a token: tokens per second against stream_generate",
            f"{(_TOKENS - 1) / ours:.1f} against {rate:.1f}: {theirs / ours:.3f} of it",
            "at least 0.95",
            theirs / ours >= 0.95,
        ),
        Measured(
            "a call of one token on that model, against one in process (prompt read anew)",
            f"{ms(fixed)} against {ms(single)}",
        ),
        Measured("a whole call of one token on the starter model: the fixed cost", ms(call)),
    ]
