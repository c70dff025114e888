"""What a configuration may say. The only place that knows pydantic.

The descriptions are what editors show beside a key (:mod:`cvbatch.config.schema`); docs/configuration.md says more.
"""

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

    path: str = Field(description="URL of the volume: file://, s3://, gs://, https:// or mem://, or a folder.")
    endpoint: str = Field(default="", description="The S3 server, where the path names none. Empty: Amazon's.")
    region_name: str = Field(default="", description="Region of the bucket. Empty: that of the credentials.")
    anonymous: bool = Field(default=False, strict=True, description="Ask without credentials, as for public buckets.")
    request_payer: str = Field(default="", description='"requester" (S3), or the project that pays (Google).')
    use_https: bool = Field(default=False, strict=True, description="Read gs:// and s3:// by plain HTTPS.")
    stall_seconds: float = Field(
        default=STALL_SECONDS, gt=0, description="No byte for so many seconds, and a request is sent again."
    )

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

    mip: int = Field(default=0, strict=True, ge=0, description="Mip level that is read; 0 is the finest.")
    missing: Literal["error", "fill"] = Field(
        default="error", description="A chunk that is not there: fail its task, or fill it with background."
    )


class EncodingConfig(_Model):
    """An encoding by name, with its parameters under short names (``quality``, ``level``, …)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(description="Name of the encoding. Its parameters stand beside it: quality, level, …")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DestinationConfig(_Path):
    """What is written. What is left open follows the destination if it exists, and else the source."""

    chunk_size: Size | None = Field(
        default=None, description="Voxels x, y, z of a chunk. Left out: the destination's, else the source's."
    )
    encoding: EncodingConfig | None = Field(
        default=None, description="How voxels become bytes: a name, or a mapping with name and parameters."
    )
    compress: Literal["gzip", "br", "zstd", "xz", "bz2", "none"] | None = Field(
        default=None, description="Compression of each chunk. Left out: what suits the encoding."
    )
    compress_level: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        default=None, description="gzip 1–12, br 0–11, zstd 1–22, xz 0–9, bz2 1–9. Needs compress."
    )
    sharding: Literal["none", "auto"] | dict[str, Any] | None = Field(
        default=None, description="A file a chunk (none), shards of a fitting size (auto), or a specification."
    )
    extent: Literal["source", "region"] = Field(
        default="source", description="How large a new volume is: as the source, or as the region."
    )
    align: Literal["error", "expand", "shrink"] = Field(
        default="error", description="What becomes of a region that is not on the chunk grid."
    )
    mode: Literal["auto", "create", "update"] = Field(
        default="auto", description="The volume must be new (create), must be there (update), or either."
    )
    cache_control: str = Field(
        default=CHUNK_CACHING, description="Cache-Control header of chunks in a bucket: how long browsers keep them."
    )

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

    min: Triple = Field(description="First voxel of the bounding box: x, y, z.")
    max: Triple = Field(description="One past the last voxel of the bounding box: x, y, z.")
    mip: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        default=None, description="Mip level whose voxels these are. Left out: source.mip."
    )

    @model_validator(mode="after")
    def _not_empty(self) -> RegionConfig:
        if any(low >= high for low, high in zip(self.min, self.max, strict=True)):
            raise ValueError(f"min {list(self.min)} is not below max {list(self.max)} on every axis")
        return self


class DownsampleConfig(_Model):
    """Coarser levels: ``mips`` of them, each ``factor`` times coarser than the one before."""

    mips: int = Field(strict=True, ge=0, description="How many coarser levels are made.")
    factor: tuple[Factor, Factor, Factor] = Field(
        default=(2, 2, 1), description="How much coarser each level is than the one before: 1 to 4 on x, y, z."
    )
    method: Literal["auto", "average", "mode", "min", "max", "stride"] = Field(
        default="auto", description="What a coarser voxel is. auto: average of images, mode of labels."
    )
    sparse: bool = Field(
        default=False, strict=True, description="Background is not averaged, and never wins against a label."
    )

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

    url: str = Field(
        default="local", description="local: this machine does the tasks. fq://FOLDER or sqs://NAME: workers do."
    )
    max_attempts: Positive = Field(default=3, description="How often a task may fail before it is given up.")
    endpoint: str = Field(default="", description="Server of an SQS queue that is not Amazon's.")
    region_name: str = Field(default="", description="Region of an SQS queue.")

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

    processes: Annotated[Positive | None, BeforeValidator(_auto_is_none)] = Field(
        default=None, description="Worker processes. auto: one for each processor."
    )
    threads: Annotated[Positive | None, BeforeValidator(_auto_is_none)] = Field(
        default=None, description="Threads of a process that fetch, and as many that store. auto: 1, in buckets 16."
    )
    memory: Annotated[ByteSize | None, BeforeValidator(_auto_is_none)] = Field(
        default=None, description="Bytes of one process, such as 2GiB. auto: 256 MiB to 1 GiB."
    )


class Config(_Model):
    """A whole configuration."""

    job: Literal["transfer", "downsample", "delete"] = Field(
        description="transfer: to another place. downsample: coarser levels in place. delete: levels, or a box of them."
    )
    source: SourceConfig = Field(description="What is read: a URL, or a mapping with path and how it is read.")
    mips: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = Field(
        default=None, description="Mip levels that a delete job deletes; 0 is the finest."
    )
    destination: DestinationConfig | None = Field(
        default=None, description="What a transfer writes: a URL, or a mapping with path and how it is written."
    )
    region: Annotated[RegionConfig | None, BeforeValidator(lambda v: None if v == "all" else v)] = Field(
        default=None, description="all, or a half-open bounding box in voxels."
    )
    translate: Triple = Field(
        default=(0, 0, 0), description="Voxels x, y, z at the source's mip that are added to every position."
    )
    downsample: DownsampleConfig | None = Field(default=None, description="Coarser levels that are made.")
    delete_background: bool = Field(
        default=False,
        strict=True,
        description="Chunks that are all background are removed, not written; a delete job deletes only these.",
    )
    background: Coordinate = Field(default=0, description="The value of voxels that are not there.")
    queue: QueueConfig = Field(
        default=QueueConfig(), description="Who hands out the tasks: local, fq://FOLDER, sqs://NAME, or a mapping."
    )
    workers: WorkersConfig = Field(
        default=WorkersConfig(), description="How many processes do the work, with how much memory."
    )
    state: Annotated[str | None, BeforeValidator(_auto_is_none)] = Field(
        default=None, description="URL for receipts and failures. auto: .cvbatch/JOB-ID under the destination."
    )
