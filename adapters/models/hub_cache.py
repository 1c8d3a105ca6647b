"""What the hub's own cache on this machine holds. Nothing here touches the network."""

from dataclasses import dataclass
from pathlib import Path

# What a model in MLX format consists of. Code and pickled weights are not fetched at all.
PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.tiktoken"]


@dataclass(frozen=True)
class Repository:
    """A model in the hub's cache, under its hub id."""

    name: str
    folder: Path


def in_hub_cache(hub_id: str, needs: str = "config.json") -> Path | None:
    """Return the folder of a hub model whose download is complete, or None.

    `needs` is the file that the folder must hold: of an adapter it is another one.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True, allow_patterns=PATTERNS))
    except LocalEntryNotFoundError:
        return None
    return folder if (folder / needs).exists() and any(folder.glob("*.safetensors")) else None


def cached_repositories() -> list[Repository]:
    """Return the newest revision of every model in the hub's cache, by name."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        found = scan_cache_dir().repos
    except CacheNotFound:
        return []
    models = [repo for repo in found if repo.repo_type == "model" and repo.revisions]
    newest = [(repo.repo_id, max(repo.revisions, key=lambda revision: revision.last_modified)) for repo in models]
    return sorted((Repository(name, revision.snapshot_path) for name, revision in newest), key=lambda repo: repo.name)
