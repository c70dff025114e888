"""What a configuration may say. The only place that knows pydantic."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, field_validator, model_validator

from cvbatch.storage import Location, StoreOptions, parse_location
from cvbatch.storage.options import CHUNK_CACHING, STALL_SECONDS

Positive = Annotated[int, Field(strict=True, ge=1)]
Coordinate = Annotated[int, Field(strict=True)]
Triple = tuple[Coordinate, Coordinate, Coordinate]
Size = tuple[Positive, Positive, Positive]
Factor = Annotated[int, Field(strict=True, ge=1, le=4)]


def _auto_is_none(value: object) -> object:
    return None if value == "auto" else value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Path(_Model):
    """A volume: its URL alone, or a mapping with ``path`` and how it is reached."""

    path: str
    endpoint: str = ""
    region_name: str = ""
    anonymous: Annotated[bool, Field(strict=True)] = False
    request_payer: str = ""
    use_https: Annotated[bool, Field(strict=True)] = False
    stall_seconds: Annotated[float, Field(gt=0)] = STALL_SECONDS

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value

    @property
    def options(self) -> StoreOptions:
        return StoreOptions(
            endpoint=self.endpoint,
            region_name=self.region_name,
            anonymous=self.anonymous,
            request_payer=self.request_payer,
            use_https=self.use_https,
            stall_seconds=self.stall_seconds,
        )

    @property
    def location(self) -> Location:
        """Raises errors of :class:`~cvbatch.errors.InputError` for a path that can't be."""
        return parse_location(self.path, self.options)


class SourceConfig(_Path):
    """What is read."""

    mip: Annotated[int, Field(strict=True, ge=0)] = 0
    missing: Literal["error", "fill"] = "error"


class EncodingConfig(_Model):
    """An encoding by name, with its parameters under short names (``quality``, ``level``, …)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DestinationConfig(_Path):
    """What is written. What is left open follows the destination if it exists, and else the source."""

    chunk_size: Size | None = None
    encoding: EncodingConfig | None = None
    compress: Literal["gzip", "br", "zstd", "xz", "bz2", "none"] | None = None
    compress_level: Annotated[int, Field(strict=True, ge=0)] | None = None
    sharding: Literal["none", "auto"] | dict[str, Any] | None = None
    extent: Literal["source", "region"] = "source"
    align: Literal["error", "expand", "shrink"] = "error"
    mode: Literal["auto", "create", "update"] = "auto"
    cache_control: str = CHUNK_CACHING

    @property
    def options(self) -> StoreOptions:
        return replace(super().options, cache_control=self.cache_control)

    @model_validator(mode="after")
    def _level_has_a_name(self) -> DestinationConfig:
        if self.compress_level is not None and self.compress in (None, "none"):
            raise ValueError("compress_level needs compress: gzip, br, zstd, xz or bz2")
        return self


class RegionConfig(_Model):
    """A half-open box in voxels of ``mip`` (the source's, if left open)."""

    min: Triple
    max: Triple
    mip: Annotated[int, Field(strict=True, ge=0)] | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> RegionConfig:
        if any(low >= high for low, high in zip(self.min, self.max, strict=True)):
            raise ValueError(f"min {list(self.min)} is not below max {list(self.max)} on every axis")
        return self


class DownsampleConfig(_Model):
    """Coarser levels: ``mips`` of them, each ``factor`` times coarser than the one before."""

    mips: Annotated[int, Field(strict=True, ge=0)]
    factor: tuple[Factor, Factor, Factor] = (2, 2, 1)
    method: Literal["auto", "average", "mode", "min", "max", "stride"] = "auto"
    sparse: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _makes_sense(self) -> DownsampleConfig:
        if self.factor == (1, 1, 1):
            raise ValueError("factor [1, 1, 1] makes nothing coarser")
        if self.sparse and self.method in ("min", "max", "stride"):
            raise ValueError(f"sparse says which voxels are averaged or counted; method {self.method} does neither")
        return self


class QueueConfig(_Model):
    """Who hands out the tasks. ``max_attempts`` is how often a task may fail before it is given up.

    ``endpoint`` and ``region_name`` are of an SQS queue.
    """

    url: str = "local"
    max_attempts: Positive = 3
    endpoint: str = ""
    region_name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value != "local" and not value.startswith(("fq://", "sqs://")):
            raise ValueError(f"no queue {value!r}; there are local, fq://FOLDER and sqs://NAME")
        return value


class WorkersConfig(_Model):
    """How many processes, with how many threads and bytes each; None is for the machine to say."""

    processes: Annotated[Positive | None, BeforeValidator(_auto_is_none)] = None
    threads: Annotated[Positive | None, BeforeValidator(_auto_is_none)] = None
    memory: Annotated[ByteSize | None, BeforeValidator(_auto_is_none)] = None


class Config(_Model):
    """A whole configuration. ``origin`` says where each key was written."""

    job: Literal["transfer", "downsample", "delete"]
    source: SourceConfig
    mips: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = None
    destination: DestinationConfig | None = None
    region: Annotated[RegionConfig | None, BeforeValidator(lambda v: None if v == "all" else v)] = None
    translate: Triple = (0, 0, 0)
    downsample: DownsampleConfig | None = None
    delete_background: Annotated[bool, Field(strict=True)] = False
    background: Coordinate = 0
    queue: QueueConfig = QueueConfig()
    workers: WorkersConfig = WorkersConfig()
    state: Annotated[str | None, BeforeValidator(_auto_is_none)] = None
