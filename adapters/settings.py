"""The settings: one TOML file, environment variables, flags, in rising order.

A host serves clients that were started with different environments and flags, so it reads the file itself and takes the
rest from what each client's shim sends (`for_client`). The engine and the command line read file and environment.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from adapters.errors import InvalidRequest
from adapters.options import OPTIONS
from adapters.places import config_folder

GB = 1_000_000_000
Names = Annotated[tuple[str, ...], NoDecode]
Folders = Annotated[tuple[Path, ...], NoDecode]


def _option(name: str, default: Any) -> Any:
    """Return the field of a client's option, with the bounds and the words of the table."""
    least, most = OPTIONS[name].bounds or (None, None)
    return Field(default=default, ge=least, le=most, description=OPTIONS[name].help)


class Settings(BaseSettings):
    """Every setting, with its default."""

    model_config = SettingsConfigDict(env_prefix="MCP_SERVER_MLX_", extra="forbid", frozen=True)

    from_environment: ClassVar[bool] = True

    # What a client may do: the options of `adapters.options`, which also describes them.
    allow: Folders = _option("allow", ())
    output: Path | None = _option("output", None)
    reply_within: float = _option("reply_within", 45.0)
    read_only: bool = _option("read_only", False)
    tools: Names = _option("tools", ())
    model: str = _option("model", "auto")
    vision_model: str = _option("vision_model", "auto")
    speech_model: str = _option("speech_model", "auto")
    offline: bool = _option("offline", False)
    standalone: bool = _option("standalone", False)

    # What the operator decides for all clients.
    allowed_models: Names = Field(default=("*",), description="patterns of hub models that may be downloaded")
    model_folders: Folders = Field(default=(), description="folders whose models any client may name by path")
    image_urls: bool = Field(default=False, description="fetch pictures from public https addresses")
    longest_audio_hours: float = Field(default=8, gt=0, description="hours of sound that one transcription may have")
    redact: bool = Field(default=True, description="take secrets and personal numbers out of what is recorded")
    keep_recordings_days: float | None = Field(
        default=None, gt=0, description="days after which recorded conversations are removed; by default never"
    )
    keep_runs_days: float = Field(
        default=7, gt=0, description="days after which the checkpoints of a training that was broken off are removed"
    )
    pinned: Names = Field(default=(), description="models that stay in memory once loaded")
    memory_limit_gb: float | None = Field(
        default=None, gt=0, description="memory for models and caches; by default what the machine has to spare"
    )
    prompt_cache_gb: float = Field(default=1.0, ge=0, description="memory for prompts already read")
    batch_size: int = Field(default=16, ge=1, le=256, description="answers written at once by one model")
    waiting_jobs: int = Field(default=256, ge=1, description="jobs that may run or wait at once")
    prepare_within: float = Field(default=60, gt=0, description="seconds that making a prompt ready may take")
    unload_after: float = Field(default=900, ge=1, description="seconds after which an idle model leaves memory")
    engine_idle: float = Field(default=1800, ge=1, description="seconds after which an idle engine ends")
    host_idle: float = Field(default=600, ge=1, description="seconds after which a host without clients ends")
    keep_jobs_hours: float = Field(default=24, ge=0.01, description="how long results are kept")

    @field_validator("tools", "allowed_models", "pinned", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Names in one string, as in an environment variable, stand between commas."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allow", "model_folders", mode="before")
    @classmethod
    def _folders(cls, value: Any) -> Any:
        """Folders in one string stand between colons, as in PATH."""
        return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value

    @field_validator("allow", "output", "model_folders")
    @classmethod
    def _absolute(cls, value: Any) -> Any:
        """Folders are told apart from any working directory: a relative one would mean another folder in each process."""

        def checked(folder: Path) -> Path:
            folder = folder.expanduser()
            if not folder.is_absolute():
                raise ValueError(f"{folder} is not an absolute path; write it in full")
            return folder

        if value is None:
            return None
        return checked(value) if isinstance(value, Path) else tuple(checked(folder) for folder in value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        return (init_settings, env_settings, file) if cls.from_environment else (init_settings, file)


# What a setting was called before. Its old name is refused with the new one: it must not be ignored.
_RENAMED = {"rows": "batch_size"}


class _ClientSettings(Settings):
    """Settings that take nothing from this process's own environment, which is that of whichever client came first."""

    from_environment: ClassVar[bool] = False


def settings_file() -> Path:
    return config_folder() / "settings.toml"


def read_settings(**flags: Any) -> Settings:
    """Return the settings of this process. Raises InvalidRequest that names the setting that is wrong."""
    return _read(Settings, flags)


def for_client(options: dict[str, Any]) -> Settings:
    """Return the settings of one client, from the options that its shim sends.

    Raises InvalidRequest like `read_settings`.
    """
    return _read(_ClientSettings, options)


def origins() -> list[tuple[str, Any, str]]:
    """Return every setting of this process, its value, and where that is from.

    Raises InvalidRequest like `read_settings`.
    """
    settings, file = read_settings(), settings_file()
    in_file = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    prefix = str(Settings.model_config.get("env_prefix"))

    def origin(name: str) -> str:
        if f"{prefix}{name.upper()}" in os.environ:
            return f"{prefix}{name.upper()}"
        return str(file) if name in in_file else "default"

    return [(name, getattr(settings, name), origin(name)) for name in Settings.model_fields]


def _read(kind: type[Settings], flags: dict[str, Any]) -> Settings:
    _check_renamed(kind)
    try:
        return kind(**flags)
    except ValidationError as error:
        wrong = "; ".join(_problem(one["loc"], one["msg"]) for one in error.errors(include_url=False))
        raise InvalidRequest(
            f"setting {wrong}. Settings come from flags, environment variables and {settings_file()}"
        ) from error
    except ValueError as error:  # the file is no TOML
        raise InvalidRequest(f"{settings_file()} cannot be read: {error}. Correct it or remove it") from error


def _check_renamed(kind: type[Settings]) -> None:
    """Raise InvalidRequest for an environment variable of an old name: pydantic reads no variable that it does not
    know.
    """
    for old, new in _RENAMED.items():
        prefix = str(Settings.model_config.get("env_prefix"))
        if kind.from_environment and f"{prefix}{old.upper()}" in os.environ:
            raise InvalidRequest(
                f"{prefix}{old.upper()} has no effect: the setting is called {new} now; set {prefix}{new.upper()}"
            )


def _problem(where: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, where))
    return f"{name}: it is called {_RENAMED[name]} now" if name in _RENAMED else f"{name}: {message}"
