"""One model's continuous batch, on real models: parity with mlx_lm, rows that do not disturb each other, prompts read once."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm import generate, load

from adapters.errors import DoesNotFit
from adapters.mlx.generation.language import LanguageRunner
from adapters.mlx.generation.prompt_cache import PromptCache
from adapters.mlx.generation.request import GenerationRequest, Reading
from adapters.mlx.lora.slots import AdapterSlots
from adapters.mlx.text.answer import AnswerText, markers_of
from adapters.models.starters import STARTERS
from adapters.protocol.generation import Sampling
from tests.adapters.mlx.asked import Asked, Events, deliver
from tests.tiny_models import random_hybrid

PROMPTS = (
    "Reverse the words: red green blue",
    "Tom lives in Paris. Anna has a red hat. What colour is Anna's hat?",
    "Count from 1 to 12.",
    "Give me a JSON object with name Tom and age 7.",
    "Repeat after me: bq7 lion RTX 4096",
    "Hello",
    "Sort the numbers: 5 1 4 2",
    "Tell me a story about a frog named Mia.",
)


class Batch:
    """A runner driven by the test's own thread, step by step."""

    def __init__(self, model: Any, tokenizer: Any, *, rows: int = 8, room: int = 1 << 40) -> None:
        self.tokenizer = tokenizer
        self.cache = PromptCache(1 << 28)
        self.free = room
        self.runner = LanguageRunner(
            "m", model, tokenizer, slots=AdapterSlots(model), kv_bytes_per_token=64, batch_size=rows, prompt_cache=self.cache,
            room=lambda needed: needed <= self.free, post=deliver,
        )  # fmt: skip

    def ask(
        self,
        prompt: str | list[int],
        max_tokens: int = 80,
        seed: int = 0,
        processors: Any = (),
        boundaries: Any = (),
        **sampling: Any,
    ) -> Asked:
        tokens = prompt if isinstance(prompt, list) else self.tokens(prompt)
        events = Events()
        request = GenerationRequest(
            list(tokens), max_tokens, Sampling(**sampling), seed, AnswerText(markers_of(self.tokenizer)), "",
            events.note, processors, boundaries,
        )  # fmt: skip
        asked = Asked(request, events)
        self.runner.submit(request)
        return asked

    def tokens(self, prompt: str) -> list[int]:
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, enable_thinking=False
        )

    def run(self, steps: int | None = None) -> None:
        while self.runner.busy and steps != 0:
            self.runner.step()
            steps = steps - 1 if steps is not None else None


@pytest.fixture(scope="module")
def starter() -> tuple[Any, Any]:
    model, tokenizer, *_ = load(str(STARTERS["starter"]))
    return model, tokenizer


@pytest.fixture
def batch(starter: tuple[Any, Any]) -> Batch:
    return Batch(*starter)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    model, tokenizer, *_ = load(str(random_hybrid(tmp_path_factory.mktemp("hybrid"))))
    return model, tokenizer


def reference(model: Any, tokenizer: Any, tokens: list[int], max_tokens: int = 80) -> str:
    """What mlx_lm itself writes for this prompt."""
    return generate(model, tokenizer, tokens, max_tokens=max_tokens)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_greedy_answer_equals_mlx_lm(starter: tuple[Any, Any], prompt: str) -> None:
    batch = Batch(*starter)
    asked = batch.ask(prompt)
    batch.run()
    assert asked.text == reference(*starter, batch.tokens(prompt))


def test_an_answer_from_a_warm_cache_equals_the_cold_one(starter: tuple[Any, Any], batch: Batch) -> None:
    expected = reference(*starter, batch.tokens(PROMPTS[1]))
    for cached in (False, True, True):
        asked = batch.ask(PROMPTS[1])
        batch.run()
        assert asked.text == expected
        assert (asked.request.cached_tokens > 0) == cached


def test_a_batch_equals_its_rows_alone(starter: tuple[Any, Any], batch: Batch) -> None:
    together = [batch.ask(prompt) for prompt in PROMPTS]
    batch.run()
    assert [asked.text for asked in together] == [reference(*starter, batch.tokens(prompt)) for prompt in PROMPTS]


def test_rows_that_join_later_change_nothing(starter: tuple[Any, Any], batch: Batch) -> None:
    asked = []
    for prompt in PROMPTS:
        asked.append(batch.ask(prompt))
        batch.run(steps=3)
    batch.run()
    assert [one.text for one in asked] == [reference(*starter, batch.tokens(prompt)) for prompt in PROMPTS]


def test_a_seed_gives_one_answer_whatever_else_is_in_the_batch(starter: tuple[Any, Any]) -> None:
    def story(batch: Batch) -> Asked:
        return batch.ask(PROMPTS[7], seed=5, temperature=1.0, top_p=0.95)

    alone = Batch(*starter)
    first = story(alone)
    alone.run()
    crowded = Batch(*starter)
    others = [crowded.ask(prompt, seed=i, temperature=0.8) for i, prompt in enumerate(PROMPTS[:4])]
    crowded.run(steps=2)
    second = story(crowded)
    crowded.run()
    assert second.text == first.text
    assert all(other.ended for other in others)


def test_another_seed_gives_another_answer(batch: Batch) -> None:
    asked = [batch.ask(PROMPTS[7], seed=seed, temperature=1.5) for seed in range(4)]
    batch.run()
    assert len({one.text for one in asked}) > 1


def test_a_cancelled_row_frees_its_place_at_once(starter: tuple[Any, Any]) -> None:
    batch = Batch(*starter, rows=1)
    endless = batch.ask("Count from 1 to 20.", max_tokens=500)
    waiting = batch.ask(PROMPTS[0])
    batch.run(steps=4)
    assert batch.runner.row_count == 1
    batch.runner.cancel(endless.request)
    assert batch.runner.row_count == 0
    assert endless.ended is not None
    assert endless.ended.reason == "cancelled"
    batch.run()
    assert waiting.text == "blue green red"


def test_a_waiting_row_can_be_cancelled(starter: tuple[Any, Any]) -> None:
    batch = Batch(*starter, rows=1)
    first, second = batch.ask(PROMPTS[0]), batch.ask(PROMPTS[1])
    batch.run(steps=1)
    batch.runner.cancel(second.request)
    batch.run()
    assert first.text == "blue green red"
    assert second.ended is not None
    assert second.ended.reason == "cancelled"


def test_a_failing_processor_fails_its_own_row(starter: tuple[Any, Any], batch: Batch) -> None:
    calls = 0

    def failing(tokens: mx.array, logits: mx.array) -> mx.array:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ValueError("no such token")
        return logits

    bad, good = batch.ask(PROMPTS[2], processors=[failing]), batch.ask(PROMPTS[0])
    batch.run()
    assert bad.ended is not None
    assert str(bad.ended.error) == "no such token"
    assert good.text == "blue green red"


def test_a_batch_that_breaks_fails_its_rows_and_the_next_starts_clean(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [batch.ask(prompt) for prompt in PROMPTS[:3]]
    batch.run(steps=2)
    monkeypatch.setattr(batch.runner._generator, "next", lambda: 1 / 0)  # pyright: ignore[reportPrivateUsage]
    batch.run()
    assert all(isinstance(one.ended.error, ZeroDivisionError) for one in asked if one.ended)
    assert all(one.ended for one in asked)
    after = batch.ask(PROMPTS[0])
    batch.run()
    assert after.text == "blue green red"


def test_an_answer_is_cut_at_max_tokens_and_says_so(batch: Batch) -> None:
    asked = batch.ask(PROMPTS[2], max_tokens=5)
    batch.run()
    assert asked.ended is not None
    assert (asked.ended.reason, asked.request.completion_tokens) == ("length", 5)


def test_a_prompt_shared_by_requests_of_one_moment_is_read_once(starter: tuple[Any, Any], batch: Batch) -> None:
    document = "Tom has a red hat. Anna lives in Rome. The ball is in the box. Max is 30 years old. " * 4
    questions = [
        f"{document}What colour is Tom's hat?",
        f"{document}Where does Anna live?",
        f"{document}How old is Max?",
    ]
    asked = [batch.ask(question) for question in questions]
    batch.run()
    assert asked[0].request.cached_tokens == 0
    shared = next(
        i for i, tokens in enumerate(zip(*(one.request.tokens for one in asked), strict=False)) if len(set(tokens)) > 1
    )
    assert [one.request.cached_tokens for one in asked[1:]] == [shared, shared]
    assert shared > 100
    assert [one.text for one in asked] == [reference(*starter, batch.tokens(question)) for question in questions]


def test_a_long_prompt_is_told_chunk_by_chunk(batch: Batch) -> None:
    asked = batch.ask("word " * 600, max_tokens=2)
    batch.run()
    told = [event.done for event in asked.events if isinstance(event, Reading)]
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == len(asked.request.tokens)


def test_decoding_goes_on_while_a_long_prompt_is_read(batch: Batch) -> None:
    decoding = batch.ask(PROMPTS[7], max_tokens=200)
    batch.run(steps=3)
    long = batch.ask("word " * 1500, max_tokens=1)
    before = decoding.request.completion_tokens
    while long.request.reading:
        batch.run(steps=1)
    # The prompt took several chunks, and each of them let the other row decode a token.
    assert decoding.request.completion_tokens - before >= 1500 // 256


def test_a_row_that_never_fits_is_refused_with_numbers(starter: tuple[Any, Any]) -> None:
    batch = Batch(*starter, room=0)
    asked = batch.ask(PROMPTS[0])
    batch.run()
    assert asked.ended is not None
    assert isinstance(asked.ended.error, DoesNotFit)
    assert "max_tokens=80" in str(asked.ended.error)


def test_a_row_that_fits_later_waits(starter: tuple[Any, Any]) -> None:
    batch = Batch(*starter)
    first = batch.ask(PROMPTS[2])
    batch.run(steps=2)
    batch.free = 0
    second = batch.ask(PROMPTS[0])
    batch.run(steps=2)
    assert (batch.runner.row_count, second.request.admitted) == (1, None)
    batch.free = 1 << 40
    batch.run()
    assert first.ended is not None
    assert second.text == "blue green red"


def test_caches_kept_hold_no_request(batch: Batch) -> None:
    asked = batch.ask(PROMPTS[0])
    batch.run()
    found, _ = batch.cache.fetch("m", "", [*asked.request.tokens, 1])
    assert found is not None
    assert not [entry for entry in found if hasattr(entry, "rows")]


def test_a_closed_runner_fails_what_is_left(batch: Batch) -> None:
    asked = batch.ask(PROMPTS[0])
    batch.run(steps=1)
    batch.runner.close()
    assert asked.ended is not None
    assert "unloaded" in str(asked.ended.error)
    assert not batch.runner.busy


# --- hybrid models, whose caches cannot be trimmed


def test_a_hybrid_model_answers_like_mlx_lm(hybrid: tuple[Any, Any]) -> None:
    batch = Batch(*hybrid)
    assert not batch.runner.trimmable
    asked = [batch.ask(prompt, max_tokens=70) for prompt in PROMPTS[:3]]
    batch.run()
    assert [one.text for one in asked] == [
        reference(*hybrid, batch.tokens(p), 70).removeprefix("\n") for p in PROMPTS[:3]
    ]


def test_a_hybrid_model_reuses_the_checkpoint_at_a_boundary(hybrid: tuple[Any, Any]) -> None:
    batch = Batch(*hybrid)
    shared = batch.tokens("word " * 60)
    first = batch.ask([*shared, 5, 6, 7], max_tokens=4, boundaries=[len(shared)])
    batch.run()
    second = batch.ask([*shared, 8, 9], max_tokens=4, boundaries=[len(shared)])
    batch.run()
    assert (first.request.cached_tokens, second.request.cached_tokens) == (0, len(shared))
    assert second.text == reference(*hybrid, [*shared, 8, 9], 4)


def test_a_hybrid_models_state_is_evaluated_again_and_again(
    hybrid: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unevaluated, the state of linear attention grows by one operation a token."""
    evaluated: list[int] = []

    class Counting:
        """`mlx.core` as the runner's own module sees it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(mx, name)

        def eval(self, *arrays: Any) -> None:
            evaluated.append(len(arrays))
            mx.eval(*arrays)

    batch = Batch(*hybrid)
    asked = batch.ask(PROMPTS[2], max_tokens=100)
    batch.run(steps=3)
    monkeypatch.setattr("adapters.mlx.generation.language.mx", Counting())
    batch.run(steps=90)
    assert asked.ended is None
    assert len(evaluated) in (2, 3)  # every 32 steps, and nothing else in between


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before


def test_the_folder_of_a_hybrid_is_small(tmp_path: Path) -> None:
    assert (random_hybrid(tmp_path) / "model.safetensors").stat().st_size < 1 << 20
