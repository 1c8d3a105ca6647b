"""Which models are in memory: what fits is loaded, what was used longest ago makes room, what is idle leaves.

Everything here runs on the MLX thread. Sizes are read from the weights' headers before anything is allocated.
"""

import copy
import gc
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import psutil
from mlx.utils import tree_flatten

from adapters.errors import DoesNotFit, OutOfMemory, UnsupportedModel
from adapters.lora.check import AdapterFiles
from adapters.mlx.allocation import allocation_failed
from adapters.mlx.generation.language import LanguageRunner
from adapters.mlx.generation.prompt_cache import PromptCache
from adapters.mlx.generation.runner import Post, RowRunner
from adapters.mlx.loading import Reader, lazy_model, settle
from adapters.mlx.lora.layers import LoadedAdapter
from adapters.mlx.lora.slots import AdapterSlots, unwrapped
from adapters.mlx.lora.weights import check_against, fits_in_slots, lay_around
from adapters.mlx.speech.model import SpeechModel, longest_window
from adapters.mlx.thread.mlx_thread import MlxThread
from adapters.models.card import ModelCard, Stamp, stamp_of
from adapters.models.installed_models import models_on_disk
from adapters.protocol.messages import LoadedModel
from adapters.settings import GB, Settings

logger = logging.getLogger(__name__)

# Weights are brought into memory this much at a time, so that others are served in between.
_PIECE_BYTES = 256 << 20
# Room for activations and a first conversation, beside the weights.
_SPARE_TOKENS = 2048
_SPARE_BYTES = 64 << 20
_PART_OF_MACHINE = 0.75
# Adapters that nobody uses now, kept in memory for who comes back to them.
_IDLE_ADAPTERS = 16

# A model's folder, and the stamp of the files in it.
Files = tuple[Path, Stamp]
OnBytes = Callable[[int, int], None]


@dataclass(eq=False)
class Loaded:
    """A model in memory. While `leases` is above 0 it stays."""

    name: str
    card: ModelCard
    reader: Reader
    model: Any
    runner: RowRunner | SpeechModel
    bytes: int
    slots: AdapterSlots
    cache_name: str  # what its prompts are kept under
    leases: int = 0
    used: float = field(default_factory=time.monotonic)
    grammar_tokenizer: Any = None
    # The model whose weights this one shares: a copy with an adapter that cannot be in slots keeps a lease on it.
    base: "Loaded | None" = None
    # Its files were replaced: it leaves with its last answer.
    replaced: bool = False

    @property
    def tokenizer(self) -> Any:
        return self.reader.tokenizer

    @property
    def idle(self) -> bool:
        return not self.leases and not self.runner.busy


@dataclass(frozen=True, eq=False)
class Leased:
    """A model with a lease on it, and the adapter in its slots that was asked for, with a lease too."""

    loaded: Loaded
    adapter: LoadedAdapter | None = None


class Residency:
    def __init__(self, thread: MlxThread, settings: Settings, post: Post) -> None:
        self._thread, self._settings, self._post = thread, settings, post
        self._loaded: dict[Files, Loaded] = {}
        self._copies: dict[tuple[Files, str], Loaded] = {}  # by model and adapter
        self._being_loaded: dict[Path, int] = {}  # bytes of the models that are being loaded
        self.prompt_cache = PromptCache(int(settings.prompt_cache_gb * GB))
        self.device = _device_name()
        mx.set_cache_limit(min(1 << 30, self.limit() // 16))
        thread.at_end(self.close)

    # --- memory

    def limit(self) -> int:
        """Return the bytes that models and caches may take: the setting, or what the machine can spare now."""
        if self._settings.memory_limit_gb:
            return int(self._settings.memory_limit_gb * GB)
        machine = psutil.virtual_memory()
        whole = int(_device().get("max_recommended_working_set_size", 0)) or int(machine.total * _PART_OF_MACHINE)
        return min(whole, mx.get_active_memory() + int(machine.available * 0.9))

    def used(self) -> int:
        """Weights, here or on their way, prompts kept, and what the running answers may grow to."""
        weights = sum(loaded.bytes + loaded.slots.nbytes for loaded in self._all()) + sum(self._being_loaded.values())
        running = sum(loaded.runner.reserved_bytes for loaded in self._all())
        return weights + self.prompt_cache.nbytes + running

    def _room(self, needed: int) -> bool:
        """Return True when so many bytes fit, after dropping kept prompts if that is what it takes."""
        missing = self.used() + needed - self.limit()
        if missing > 0:
            self.prompt_cache.trim(max(0, self.prompt_cache.nbytes - missing))
        return self.used() + needed <= self.limit()

    def _all(self) -> list[Loaded]:
        """Copies first: their bases stay as long as they do."""
        return [*self._copies.values(), *self._loaded.values()]

    def _make_room(self, name: str, needed: int) -> None:
        for loaded in self._all():
            if self._room(needed):
                return
            loaded.slots.drop_idle()
        while not self._room(needed):
            idle = [loaded for loaded in self._all() if loaded.idle and loaded.name not in self._settings.pinned]
            if not idle:
                raise self._does_not_fit(name, needed)
            self._drop(min(idle, key=lambda loaded: loaded.used))

    def _does_not_fit(self, name: str, needed: int) -> DoesNotFit:
        free = self.limit() - self.used()
        busy = ", ".join(loaded.name for loaded in self._all())
        held = f" ({busy} is in use)" if busy else ""
        smaller = [entry.name for entry in models_on_disk() if entry.card and entry.card.weight_bytes < free]
        way_out = (
            f"smaller ones on this machine: {', '.join(smaller[:3])}"
            if smaller
            else "choose a smaller or more strongly quantised model"
        )
        return DoesNotFit(
            f"{name} needs {needed / GB:.2f} GB, and {max(free, 0) / GB:.2f} of {self.limit() / GB:.2f} GB are free{held}; {way_out}, or close other programs"
        )

    # --- coming

    def find(self, card: ModelCard) -> Loaded | None:
        """Return the model of these files with a lease on it, if it is in memory."""
        loaded = self._loaded.get((card.folder, card.stamp))
        if loaded:
            loaded.leases += 1
            loaded.used = time.monotonic()
        return loaded

    def load(
        self,
        name: str,
        card: ModelCard,
        reader: Reader,
        on_bytes: OnBytes,
        expected_requests: Callable[[], int] = lambda: 0,
    ) -> Generator[None, None, Loaded]:
        """Bring a model into memory piece by piece. Return it with a lease on it.

        Raises DoesNotFit with the numbers, UnsupportedModel when no library knows its architecture, or when its files
        were replaced meanwhile.
        """
        if loaded := self.find(card):
            return loaded
        self._replace(card)
        self._make_room(
            name, card.weight_bytes + card.kv_bytes_per_token * min(card.context, _SPARE_TOKENS) + _SPARE_BYTES
        )
        self._being_loaded[card.folder] = card.weight_bytes
        try:
            model = lazy_model(name, card)
            yield from _fill(model, card.weight_bytes, on_bytes)
        finally:
            del self._being_loaded[card.folder]
        if stamp_of(card.folder) != card.stamp:
            raise UnsupportedModel(f"the files of {name} were replaced while it was loaded; ask again")
        slots = AdapterSlots(model)
        cache_name = f"{card.folder} of {hash(card.stamp):x}"
        runner = self._runner(cache_name, card, model, reader, expected_requests, slots)
        loaded = Loaded(name, card, reader, model, runner, card.weight_bytes, slots, cache_name, leases=1)
        self._loaded[card.folder, card.stamp] = loaded
        self._thread.add(runner)
        logger.info("model=<%s>, bytes=<%s> | loaded", name, card.weight_bytes)
        return loaded

    def _replace(self, card: ModelCard) -> None:
        """Let the model go that was in this folder before: now if it is idle, else with its last answer."""
        for loaded in self._all():
            if loaded.card.folder == card.folder and loaded.card.stamp != card.stamp:
                loaded.replaced = True
                self._drop_replaced(loaded)

    def _drop_replaced(self, loaded: Loaded) -> None:
        if loaded.replaced and loaded.idle and loaded in self._all():
            self._drop(loaded)

    def _runner(
        self,
        name: str,
        card: ModelCard,
        model: Any,
        reader: Reader,
        expected_requests: Callable[[], int],
        slots: AdapterSlots,
    ) -> RowRunner | SpeechModel:
        if "speech" in card.abilities:
            return SpeechModel(model, longest_window(card.folder))
        kind: type[RowRunner] = LanguageRunner
        if "vision" in card.abilities:
            from adapters.mlx.generation.vision import VisionRunner  # its library takes a second to import

            kind = VisionRunner
        return kind(
            name,
            model,
            reader.tokenizer,
            slots=slots,
            kv_bytes_per_token=card.kv_bytes_per_token,
            batch_size=self._settings.batch_size,
            prompt_cache=self.prompt_cache,
            room=self._room,
            post=self._post,
            expected_requests=expected_requests,
        )

    def release(self, leased: Leased) -> None:
        """Give a lease back."""
        leased.loaded.leases -= 1
        leased.loaded.used = time.monotonic()
        if leased.adapter is not None:
            leased.loaded.slots.release(leased.adapter)
        self._drop_replaced(leased.loaded)

    def give_up(self, loaded: Loaded) -> None:
        """Give back the lease of a request that was gone before it had it."""
        self.release(Leased(loaded))

    # --- adapters

    def adapt(self, loaded: Loaded, files: AdapterFiles) -> Leased:
        """Return the model with an adapter, in place of the lease on the model alone.

        LoRA goes into slots of the model itself; what changes the layers gets a copy that shares the model's weights.
        Raises BadAdapter, DoesNotFit.
        """
        if fits_in_slots(loaded.model, files):
            adapter = loaded.slots.find(files.digest)
            if adapter is None:
                self._make_room(f"the adapter in {files.folder}", files.bytes)
                loaded.slots.drop_idle(keep=_IDLE_ADAPTERS)
                adapter = loaded.slots.load(files)
            return Leased(loaded, adapter)
        model = (loaded.card.folder, loaded.card.stamp)
        copied = self._copies.get((model, files.digest)) or self._copy(loaded, files)
        copied.leases += 1
        copied.used = time.monotonic()
        loaded.leases -= 1
        return Leased(copied)

    def undo(self, leased: Leased, loaded: Loaded) -> None:
        """Take back what `adapt` did for a request that is gone: the lease on the model alone is left."""
        loaded.leases += 1
        self.release(leased)

    def _copy(self, loaded: Loaded, files: AdapterFiles) -> Loaded:
        check_against(loaded.model, files)
        self._make_room(f"{loaded.name} with the adapter in {files.folder}", files.bytes)
        model = unwrapped(copy.deepcopy(loaded.model))
        name = f"{loaded.cache_name} with {files.digest}"
        slots = AdapterSlots(model)
        lay_around(model, files)
        runner = self._runner(name, loaded.card, model, loaded.reader, lambda: 0, slots)
        shown = f"{loaded.name} with {files.folder.name}"
        copied = Loaded(shown, loaded.card, loaded.reader, model, runner, files.bytes, slots, name, base=loaded)
        loaded.leases += 1
        copied.replaced = loaded.replaced
        self._copies[(loaded.card.folder, loaded.card.stamp), files.digest] = copied
        self._thread.add(runner)
        logger.info("model=<%s>, bytes=<%s> | copied with an adapter", shown, files.bytes)
        return copied

    # --- going

    def unload(self, name: str | None) -> list[str]:
        """Drop the idle model of that name and its copies, or every idle model. Return the names of those dropped."""
        gone = list[str]()
        for loaded in self._all():
            origin = loaded.base or loaded
            if loaded.idle and name in (None, loaded.name, origin.name, str(loaded.card.folder)):
                self._drop(loaded)
                gone.append(loaded.name)
        return gone

    def unload_unused(self) -> None:
        """Drop what nobody has used for as long as the settings say."""
        oldest = time.monotonic() - self._settings.unload_after
        for loaded in self._all():
            kept = loaded.used >= oldest or loaded.name in self._settings.pinned
            if loaded.idle and (loaded.replaced or not kept):
                self._drop(loaded)

    def _drop(self, loaded: Loaded) -> None:
        for places in (self._loaded, self._copies):
            for key in [key for key, one in places.items() if one is loaded]:
                del places[key]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self._thread.remove(loaded.runner)
        loaded.runner.close()
        loaded.model = None
        if loaded.base is not None:
            loaded.base.leases -= 1
            loaded.base.used = time.monotonic()
            self._drop_replaced(loaded.base)
        self.prompt_cache.drop(loaded.cache_name)
        logger.info("model=<%s> | unloaded", loaded.name)
        del loaded
        gc.collect()
        mx.clear_cache()

    def close(self) -> None:
        for loaded in self._all():
            loaded.runner.close()
        self._copies.clear()
        self._loaded.clear()
        self.prompt_cache.trim(0)

    def listed(self) -> list[LoadedModel]:
        now = time.monotonic()
        return [
            LoadedModel(
                model=loaded.name,
                folder=str(loaded.card.folder),
                bytes=loaded.bytes,
                idle_s=round(now - loaded.used, 1) if loaded.idle else 0.0,
                rows=loaded.runner.row_count,
            )
            for loaded in self._all()
        ]


def _fill(model: Any, weight_bytes: int, on_bytes: OnBytes) -> Generator[None, None, None]:
    """Read the weights, a piece at a time."""
    done, piece, size = 0, [], 0
    try:
        parameters: Any = tree_flatten(model.parameters())
        for _, array in parameters:
            piece.append(array)
            size += array.nbytes
            if size >= _PIECE_BYTES:
                mx.eval(piece)
                done += size
                on_bytes(min(done, weight_bytes), weight_bytes)
                piece, size = [], 0
                yield
        mx.eval(piece)
        settle(model)
    except (MemoryError, RuntimeError) as error:
        if not allocation_failed(error):
            raise
        raise OutOfMemory(
            f"the machine ran out of memory while loading ({str(error)[:200]}); choose a smaller model"
        ) from error
    on_bytes(weight_bytes, weight_bytes)


def _device() -> dict[str, Any]:
    return dict(mx.device_info())


def _device_name() -> str:
    info = _device()
    return f"{mx.default_device().type.name} {info.get('device_name', info.get('architecture', ''))}".strip()
