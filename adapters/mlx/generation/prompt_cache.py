"""Prompts already read: KV caches kept in memory by model, adapter and tokens, so that a document is read once.

mlx_lm's `LRUPromptCache` finds the nearest prefix; one of them for each model lets a model's caches go with the model,
and a common budget in bytes goes by which model was used last. Used on the MLX thread.
"""

from collections import OrderedDict
from typing import Any

from mlx_lm.models.cache import LRUPromptCache, can_trim_prompt_cache, trim_prompt_cache

_MOST_ENTRIES = 256


class PromptCache:
    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._by_model: OrderedDict[str, LRUPromptCache] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(cache.nbytes for cache in self._by_model.values())

    def fetch(self, model: str, adapter: str, tokens: list[int]) -> tuple[list[Any] | None, int]:
        """Return a cache of the longest known prefix and its length; at least one token is left to compute."""
        if model not in self._by_model:
            return None, 0
        self._by_model.move_to_end(model)
        entries = self._by_model[model]
        cache, rest = entries.fetch_nearest_cache(adapter, tokens)
        if cache is None:
            return None, 0
        if rest:
            return cache, len(tokens) - len(rest)
        if can_trim_prompt_cache(cache):
            trim_prompt_cache(cache, 1)
            return cache, len(tokens) - 1
        # Known to the last token but not trimmable: a shorter checkpoint still helps.
        cache, rest = entries.fetch_nearest_cache(adapter, tokens[:-1])
        return (cache, len(tokens) - 1 - len(rest)) if cache is not None and rest else (None, 0)

    def known_prefix(self, model: str, adapter: str, tokens: list[int]) -> int:
        """Return the length of the longest prefix that `fetch` would find, looked up without copying any cache."""
        if model not in self._by_model:
            return 0
        trie = self._by_model[model]._trie  # pyright: ignore[reportPrivateUsage]
        found = trie.search(adapter, tokens)
        if found.exact is not None:
            return len(tokens) - 1
        shorter = len(found.shorter) if found.shorter is not None else 0
        if found.longer is not None and found.common_prefix > shorter:
            longer = trie.get(found.model, found.longer)
            if can_trim_prompt_cache(longer.prompt_cache):
                return min(len(tokens) - 1, found.common_prefix)
        return shorter

    def store(self, model: str, adapter: str, tokens: list[int], cache: list[Any]) -> None:
        """Keep the cache of these tokens; what was used longest ago makes room."""
        if not tokens or sum(entry.nbytes for entry in cache) > self.max_bytes:
            return
        entries = self._by_model.setdefault(model, LRUPromptCache(_MOST_ENTRIES, self.max_bytes))
        self._by_model.move_to_end(model)
        entries.insert_cache(adapter, list(tokens), cache)
        self.trim(self.max_bytes)

    def trim(self, max_bytes: int) -> None:
        """Drop caches, those of the model used longest ago first, until this many bytes are left."""
        for model in list(self._by_model):
            excess = self.nbytes - max_bytes
            if excess <= 0:
                return
            entries = self._by_model[model]
            entries.trim_to(n_bytes=entries.nbytes - excess)
            if not len(entries):
                del self._by_model[model]

    def drop(self, model: str) -> None:
        """Forget everything read by this model."""
        self._by_model.pop(model, None)
