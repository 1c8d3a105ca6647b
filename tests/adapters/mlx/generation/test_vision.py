"""One vision model's batch: parity with mlx_vlm, rows that do not disturb each other, pictures looked at once."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_vlm.generate.dispatch import stream_generate
from mlx_vlm.utils import load
from PIL import Image, ImageDraw

from adapters.errors import UnsupportedModel
from adapters.media.images import Picture
from adapters.media.video import Frame, Video
from adapters.mlx.generation.prompt_cache import PromptCache
from adapters.mlx.generation.request import GenerationRequest, Reading, RequestEvent, Written
from adapters.mlx.generation.vision import VisionRunner
from adapters.mlx.loading import read_reader
from adapters.mlx.lora.slots import AdapterSlots
from adapters.mlx.text.answer import AnswerText, markers_of
from adapters.mlx.text.images import look
from adapters.models.card import read_card
from adapters.models.starters import STARTERS
from adapters.protocol.generation import Sampling
from adapters.starter.recipes.vision.questions import ask
from adapters.starter.recipes.vision.scenes import draw_scene
from tests.adapters.mlx.asked import Asked, Events, deliver
from tests.tiny_models import random_vision

Model = tuple[Any, Any, Any]  # model, mlx_lm's tokenizer, the processor that mlx_vlm's own generate takes


def opened(folder: Path) -> Model:
    model, processor = load(str(folder))
    return model, read_reader("m", read_card(folder)).tokenizer, processor


@pytest.fixture(scope="module")
def starter() -> Model:
    return opened(STARTERS["starter-vision"])


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return opened(random_vision(tmp_path_factory.mktemp("deep")))


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return opened(random_vision(tmp_path_factory.mktemp("hybrid"), hybrid=True))


def picture(image: Image.Image) -> Picture:
    return Picture(image, "PNG", image.width, image.height, "")


def scenes(count: int, seed: int = 5) -> list[Image.Image]:
    chance = random.Random(seed)
    return [draw_scene(chance, "test", (5, 5)).image for _ in range(count)]


class Batch:
    """A runner driven by the test's own thread, step by step."""

    def __init__(self, model: Model, rows: int = 8) -> None:
        self.model, self.tokenizer, self.processor = model
        self.cache = PromptCache(1 << 28)
        self.runner = VisionRunner(
            "m", self.model, self.tokenizer, slots=AdapterSlots(self.model), kv_bytes_per_token=64, batch_size=rows, prompt_cache=self.cache,
            room=lambda _: True, post=self._post,
        )  # fmt: skip
        self.posted: list[tuple[GenerationRequest, RequestEvent]] = []

    def _post(self, events: list[tuple[GenerationRequest, RequestEvent]]) -> None:
        self.posted += events
        deliver(events)

    def ask(
        self,
        images: list[Image.Image],
        question: str,
        max_tokens: int = 30,
        seed: int = 0,
        processors: Any = (),
        **sampling: Any,
    ) -> Asked:
        media: dict[str, Any] = {str(i): picture(image) for i, image in enumerate(images)}
        parts = [{"type": "image", "source": name} for name in media]
        turn = {"role": "user", "content": [*parts, {"type": "text", "text": question}]}
        prompt = look(self.model, self.processor, [turn], media, "m") if images else None
        tokens = prompt.key if prompt else self.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True
        )  # fmt: skip
        answer = AnswerText(markers_of(self.tokenizer))
        events = Events()
        request = GenerationRequest(
            list(tokens), max_tokens, Sampling(**sampling), seed, answer, "", events.note, processors, images=prompt
        )
        asked = Asked(request, events)
        self.runner.submit(request)
        return asked

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        while self.runner.busy and not until():
            self.runner.step()

    def answer(self, images: list[Image.Image], question: str, **options: Any) -> str:
        asked = self.ask(images, question, **options)
        self.run()
        return asked.text


def reference(model: Model, images: list[Image.Image], question: str, max_tokens: int = 30) -> str:
    """What mlx_vlm itself writes, from its tokens: its detokenizer drops what a random model leaves half-written."""
    content = [{"type": "image"} for _ in images] + [{"type": "text", "text": question}]
    prompt = model[2].apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    given: Any = images or None
    stream = stream_generate(model[0], model[2], prompt, image=given, max_tokens=max_tokens, temperature=0.0)
    tokens = [response.token for response in stream][:max_tokens]
    return model[1].decode([token for token in tokens if token not in model[1].eos_token_ids])


QUESTIONS = ("Describe the image.", "How many shapes are there?", "What color is the background?", "What do you see?")


def test_greedy_answers_equal_mlx_vlm(starter: Model) -> None:
    batch = Batch(starter)
    for image in scenes(6):
        for question in QUESTIONS:
            assert batch.answer([image], question) == reference(starter, [image], question)


@pytest.mark.parametrize("name", ["deep", "hybrid"])
def test_a_prompt_read_in_many_chunks_equals_mlx_vlm(name: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(name)
    batch = Batch(model)
    (image,) = scenes(1)
    asked = batch.ask([image], "Describe the image.")
    batch.run()
    assert len([event for event in asked.events if isinstance(event, Reading)]) >= 2
    assert asked.text.strip() == reference(model, [image], "Describe the image.").strip()


@pytest.mark.parametrize("name", ["deep", "hybrid"])
def test_small_chunks_that_end_within_a_picture_change_nothing(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Model = request.getfixturevalue(name)
    images = scenes(2, seed=8)
    expected = reference(model, images, "What changed?")
    monkeypatch.setattr(VisionRunner, "_chunk", lambda *_: 32)
    asked = (batch := Batch(model)).ask(images, "What changed?")
    batch.run()
    assert len([event for event in asked.events if isinstance(event, Reading)]) > 10
    assert asked.text.strip() == expected.strip()


@pytest.mark.parametrize("name", ["starter", "deep", "hybrid"])
def test_a_batch_equals_its_rows_alone(name: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(name)
    asked: list[tuple[list[Image.Image], str]] = [
        ([image], question) for image, question in zip(scenes(4), QUESTIONS, strict=True)
    ]
    asked += [([], "Hello"), (scenes(2, seed=8), "What changed?")]
    alone = [Batch(model).answer(images, question) for images, question in asked]
    batch = Batch(model)
    together = [batch.ask(images, question) for images, question in asked]
    batch.run()
    assert [one.text for one in together] == alone


@pytest.mark.parametrize("name", ["starter", "deep", "hybrid"])
def test_a_second_question_about_a_picture_does_not_look_again(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Model = request.getfixturevalue(name)
    (image,) = scenes(1)
    cold = Batch(model).answer([image], "How many shapes are there?")
    batch = Batch(model)
    batch.answer([image], "Describe the image.")
    looked: list[Any] = []
    tower = type(model[0].vision_tower)
    monkeypatch.setattr(tower, "__call__", lambda *_, **__: looked.append(1) or 1 / 0)
    asked = batch.ask([image.copy()], "How many shapes are there?")
    batch.run()
    assert asked.text == cold
    assert not looked
    assert asked.request.images is not None
    assert asked.request.cached_tokens > asked.request.images.last


def test_only_what_was_read_of_a_picture_is_kept(starter: Model) -> None:
    batch = Batch(starter)
    asked = batch.ask(scenes(1), QUESTIONS[0])
    batch.run()
    heads, size, layers = 2, 32, 4
    assert batch.cache.nbytes <= (len(asked.request.tokens) + 1) * heads * size * layers * 2 * 2


def test_another_picture_of_the_same_size_is_not_taken_for_the_first(starter: Model) -> None:
    batch = Batch(starter)
    images = {}
    for colour in ("red", "blue"):
        images[colour] = Image.new("RGB", (80, 80), "white")
        ImageDraw.Draw(images[colour]).ellipse([20, 20, 60, 60], fill=colour)
    answers = [batch.answer([images[colour]], "What color is it?") for colour in ("red", "blue", "red")]
    assert answers == ["Red", "Blue", "Red"]


def test_the_order_of_pictures_is_kept(starter: Model) -> None:
    first, second = scenes(2, seed=11)
    batch = Batch(starter)
    keys = [batch.ask(images, "What changed?").request.tokens for images in ([first, second], [second, first])]
    batch.run()
    assert keys[0] != keys[1]


def test_rows_draw_by_their_own_options_and_seeds(starter: Model) -> None:
    (image,) = scenes(1)
    options: list[dict[str, Any]] = [
        {"temperature": 6.0, "seed": 1}, {"temperature": 6.0, "seed": 2}, {"temperature": 0.0},
        {"temperature": 6.0, "seed": 1}, {"temperature": 3.0, "top_k": 2, "seed": 3},
    ]  # fmt: skip
    alone = [Batch(starter).answer([image], QUESTIONS[0], **one) for one in options]
    batch = Batch(starter)
    together = [batch.ask([image], QUESTIONS[0], **one) for one in options]
    batch.run()
    texts = [asked.text for asked in together]
    assert texts == alone
    assert texts[0] == texts[3]
    assert len({*texts[:3]}) > 1


def test_a_text_row_goes_on_while_a_picture_is_looked_at(deep: Model) -> None:
    batch = Batch(deep)
    writing = batch.ask([], "Hello", max_tokens=200)
    batch.run(lambda: any(isinstance(event, Written) for event in writing.events))
    looking = batch.ask(scenes(1), "Describe the image.", max_tokens=5)
    before = writing.request.completion_tokens
    batch.run(lambda: any(isinstance(event, Written) for event in looking.events) or looking.ended is not None)
    # A token for each layer of the tower and each chunk of the prompt, and not one for all of them.
    assert writing.request.completion_tokens - before > 8
    batch.run()


def test_several_pictures_are_read_in_turn(deep: Model) -> None:
    batch = Batch(deep)
    requests = [batch.ask([image], "Describe the image.", max_tokens=3).request for image in scenes(3)]
    batch.run()
    order = [requests.index(request) for request, event in batch.posted if isinstance(event, Reading)]
    first_of_last, last_of_first = order.index(2), len(order) - 1 - order[::-1].index(0)
    assert first_of_last < last_of_first


def test_a_cancelled_row_leaves_at_once_whatever_it_was_at(deep: Model) -> None:
    alone = Batch(deep).answer([], "Hello", max_tokens=20)
    batch = Batch(deep)
    staying = batch.ask([], "Hello", max_tokens=20)
    looking, writing = (batch.ask([image], "What is this?", max_tokens=50) for image in scenes(2))
    batch.runner.step()
    batch.runner.cancel(looking.request)
    batch.run(lambda: any(isinstance(event, Written) for event in writing.events))
    batch.runner.cancel(writing.request)
    assert batch.runner.row_count <= 1
    batch.run()
    for asked in (looking, writing):
        assert asked.ended is not None
        assert asked.ended.reason == "cancelled"
    assert staying.text == alone


def test_a_row_that_fails_costs_the_others_nothing(starter: Model) -> None:
    first, second = scenes(2)
    expected = Batch(starter).answer([first], QUESTIONS[0])

    def broken(*_: Any) -> Any:
        raise ValueError("broken")

    batch = Batch(starter)
    good, bad = batch.ask([first], QUESTIONS[0]), batch.ask([second], QUESTIONS[0], processors=[broken])
    batch.run()
    assert good.text == expected
    assert bad.ended is not None
    assert str(bad.ended.error) == "broken"


def test_a_prompt_that_cannot_be_embedded_fails_alone(starter: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(starter)
    first, second = scenes(2)
    real = type(starter[0]).get_input_embeddings

    def embed(self: Any, ids: mx.array, pixels: Any = None, **options: Any) -> Any:
        if pixels is not None and options["image_grid_thw"].shape[0] > 1:
            raise ValueError("too many")
        return real(self, ids, pixels, **options)

    monkeypatch.setattr(type(starter[0]), "get_input_embeddings", embed)
    bad, good = batch.ask([first, second], QUESTIONS[0]), batch.ask([first], QUESTIONS[0])
    batch.run()
    assert bad.ended is not None
    assert "too many" in str(bad.ended.error)
    assert good.text == reference(starter, [first], QUESTIONS[0])


def test_frames_of_a_video_are_shown_with_their_times(starter: Model) -> None:
    model, tokenizer, processor = starter
    frames = [Frame(image, at) for image, at in zip(scenes(2), (0.0, 2.5), strict=True)]
    video = Video(frames, "mp4", 80, 80, 5.0)
    turn = {"role": "user", "content": [{"type": "video", "source": "v"}, {"type": "text", "text": "What changed?"}]}
    prompt = look(model, processor, [turn], {"v": video}, "m")
    text = tokenizer.decode(prompt.tokens)
    assert text.index("0.0 s:") < text.index("2.5 s:") < text.index("What changed?")
    assert text.count("<|vision_start|>") == 2


def test_held_out_scenes_are_answered(starter: Model) -> None:
    """The domain itself is graded with the starter models; this is the way through the batch."""
    chance, right, batch = random.Random(77), 0, Batch(starter)
    asked = []
    for _ in range(20):
        scene = draw_scene(chance, "test")
        ((question, wanted),) = [one for one in ask(chance, scene, 9) if one[0].startswith("What color")][:1] or [
            ask(chance, scene, 0)[0]
        ]
        asked.append((batch.ask([scene.image], question), wanted))
    batch.run()
    right = sum(one.text == wanted for one, wanted in asked)
    assert right >= 14


def test_a_text_model_takes_no_pictures(starter: Model) -> None:
    class Config:
        model_type = "qwen3"

    class TextModel:
        config = Config()

    turn = {"role": "user", "content": [{"type": "image", "source": "i"}]}
    with pytest.raises(UnsupportedModel, match="does not take pictures"):
        look(TextModel(), starter[2], [turn], {"i": picture(scenes(1)[0])}, "m")
