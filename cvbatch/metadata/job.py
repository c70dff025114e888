"""The frozen description of a job, and of how it is cut into passes."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

from cvbatch.errors import StateError
from cvbatch.geometry import Bbox, Vec
from cvbatch.metadata.typed import require_types
from cvbatch.metadata.volume import DATA_TYPES, ScaleInfo, VoxelType
from cvbatch.storage import Location, StoreOptions, parse_location

VERSION = 2
KINDS = ("transfer", "downsample", "delete", "verify")
MOST_TASKS = 1 << 62
# What wrong members raise where they are used.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def scale_to_json(scale: ScaleInfo) -> dict[str, Any]:
    """The members of a scale under the names that ``info`` has for them."""
    sharding = {} if scale.sharding is None else {"sharding": scale.sharding}
    return {
        **scale.other,
        "key": scale.key,
        "size": list(scale.size),
        "voxel_offset": list(scale.voxel_offset),
        "resolution": list(scale.resolution),
        "chunk_sizes": [list(size) for size in scale.chunk_sizes],
        "encoding": scale.encoding,
        **sharding,
    }


def scale_from_json(value: dict[str, Any]) -> ScaleInfo:
    """The inverse of :func:`scale_to_json`; ``value`` has been checked."""
    known = ("key", "size", "voxel_offset", "resolution", "chunk_sizes", "encoding", "sharding")
    return ScaleInfo(
        key=value["key"],
        size=Vec(*value["size"]),
        voxel_offset=Vec(*value.get("voxel_offset", (0, 0, 0))),
        resolution=tuple(value["resolution"]),
        chunk_sizes=tuple(Vec(*size) for size in value["chunk_sizes"]),
        encoding=value["encoding"],
        sharding=value.get("sharding"),
        other={name: member for name, member in value.items() if name not in known},
    )


@dataclass(frozen=True)
class Source:
    """What is read: one scale of a volume. ``missing`` says what an absent chunk means (error or fill)."""

    location: Location
    scale: ScaleInfo
    missing: str = "error"


@dataclass(frozen=True)
class Level:
    """A scale that the job writes, ``factor`` times coarser than the level before it.

    The first level of a transfer has factor (1, 1, 1): it holds the voxels of the source.
    """

    scale: ScaleInfo
    factor: Vec


@dataclass(frozen=True)
class Downsampling:
    """How a voxel of a coarser level is made: ``method`` is average, mode, min, max or stride."""

    method: str
    sparse: bool = False


@dataclass(frozen=True)
class ByteEncoding:
    """What is put around the array encoding. ``level`` None is the codec's own choice.

    ``required`` False says that bytes which are copied may keep the compression that they have.
    """

    name: str
    level: int | None = None
    required: bool = False

    def accepts(self, found: str, wanted: str) -> bool:
        """Whether bytes with content encoding ``found`` may stay as they are where ``wanted`` is written."""
        return not self.required or (found == wanted and self.level is None)


@dataclass(frozen=True)
class Check:
    """When a chunk is what it should be: if no voxel is further off than ``tolerance``.

    A lossy one also if it is what encoding it again gives; and where it was not written by this job (``ours`` False),
    with parameters that nobody knows, and no tolerance is given, if it is not much further off than that.
    """

    tolerance: float = 0.0
    ours: bool = True


@dataclass(frozen=True)
class Job:
    """Everything that decides the bytes that a job leaves behind, and nothing else.

    ``region`` is in voxels of the first level that is read, in the destination's coordinates, which are
    the source's plus ``translate``. ``background`` is what an absent chunk reads as where it may be absent. With a
    ``check`` the levels are compared with what is there, and nothing is written. How the locations are reached goes
    along with them and is no part of the job's id.
    """

    kind: str
    source: Source
    destination: Location
    voxel: VoxelType
    levels: tuple[Level, ...]
    region: Bbox
    translate: Vec
    downsampling: Downsampling
    compress: ByteEncoding
    background: int = 0
    delete_background: bool = False
    check: Check | None = None

    @property
    def id(self) -> str:
        """A hash of all of it: the same work has the same id on every machine and every day."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "source": {
                "url": self.source.location.url,
                "scale": scale_to_json(self.source.scale),
                "missing": self.source.missing,
            },
            "destination": self.destination.url,
            "layer_type": self.voxel.layer_type,
            "data_type": self.voxel.data_type,
            "num_channels": self.voxel.channels,
            "levels": [{"scale": scale_to_json(level.scale), "factor": list(level.factor)} for level in self.levels],
            "region": self.region.to_list(),
            "translate": list(self.translate),
            "downsample": {"method": self.downsampling.method, "sparse": self.downsampling.sparse},
            "compress": {
                "name": self.compress.name,
                "level": self.compress.level,
                "required": self.compress.required,
            },
            "background": self.background,
            "delete_background": self.delete_background,
            # Only where there is one: the ids of jobs that write stay what they were.
            **({} if self.check is None else {"check": asdict(self.check)}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], reach: dict[str, Any]) -> Self:
        """``reach`` says how the two locations are reached."""
        source, compress = value["source"], value["compress"]
        return cls(
            kind=value["kind"],
            source=Source(
                _location(source["url"], reach["source"]), scale_from_json(source["scale"]), source["missing"]
            ),
            destination=_location(value["destination"], reach["destination"]),
            voxel=VoxelType(value["layer_type"], value["data_type"], value["num_channels"]),
            levels=tuple(Level(scale_from_json(e["scale"]), Vec(*e["factor"])) for e in value["levels"]),
            region=Bbox.from_list(value["region"]),
            translate=Vec(*value["translate"]),
            downsampling=Downsampling(**value["downsample"]),
            compress=ByteEncoding(**compress),
            background=value["background"],
            delete_background=value["delete_background"],
            check=Check(**value["check"]) if "check" in value else None,
        )


def _location(url: str, options: dict[str, Any]) -> Location:
    return parse_location(url, StoreOptions.from_json(options))


@dataclass(frozen=True)
class PassSpec:
    """A pass writes levels [first, stop) in tasks of ``task_shape`` voxels of the level that it reads.

    A task is worked through in blocks of ``block_shape`` voxels, which are what is in memory at a time. ``picked`` are
    the tasks that a sample is made of, by their numbers and in rising order; None for all.
    """

    first: int
    stop: int
    task_shape: Vec
    block_shape: Vec
    picked: tuple[int, ...] | None = None


@dataclass(frozen=True)
class PlanSpec:
    """How a job was cut at its first start. Frozen then, so that every machine and start sees the same tasks.

    ``memory`` is the budget of one worker in bytes, ``threads`` those of each of its two pools.
    """

    passes: tuple[PassSpec, ...]
    tasks_per_message: int
    memory: int
    threads: int

    def to_json(self) -> dict[str, Any]:
        return {
            "passes": [
                {
                    "first": p.first,
                    "stop": p.stop,
                    "task_shape": list(p.task_shape),
                    "block_shape": list(p.block_shape),
                    **({} if p.picked is None else {"picked": list(p.picked)}),
                }
                for p in self.passes
            ],
            "tasks_per_message": self.tasks_per_message,
            "memory": self.memory,
            "threads": self.threads,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        passes = tuple(
            PassSpec(
                p["first"],
                p["stop"],
                Vec(*p["task_shape"]),
                Vec(*p["block_shape"]),
                tuple(p["picked"]) if "picked" in p else None,
            )
            for p in value["passes"]
        )
        return cls(passes, value["tasks_per_message"], value["memory"], value["threads"])


def _require_sense(job: Job, spec: PlanSpec) -> None:
    """Raise ValueError for numbers with which no plan can be made."""
    for scale in (job.source.scale, *(level.scale for level in job.levels)):
        _require_sense_of_scale(scale)
    if not job.levels or min(min(level.factor) for level in job.levels) < 1:
        raise ValueError("no levels, or factors below 1")
    if not job.region.volume() or job.kind not in KINDS or job.voxel.data_type not in DATA_TYPES:
        raise ValueError(f"{job.kind} of {job.voxel} in {job.region}")
    if not spec.passes or min(spec.tasks_per_message, spec.memory, spec.threads, job.voxel.channels) < 1:
        raise ValueError(f"a plan of {len(spec.passes)} passes, {spec.memory} bytes, {spec.threads} threads")
    for each in spec.passes:
        _require_sense_of_pass(each, job)


def _require_sense_of_scale(scale: ScaleInfo) -> None:
    sizes = (scale.size, *scale.chunk_sizes)
    if not scale.chunk_sizes or min(map(min, sizes)) < 1:
        raise ValueError(f"a scale of {scale.size} in chunks of {scale.chunk_sizes}")
    if len(scale.resolution) != 3 or not all(0 < length < math.inf for length in scale.resolution):
        raise ValueError(f"a resolution of {scale.resolution}")


def _require_sense_of_pass(spec: PassSpec, job: Job) -> None:
    if not 0 <= spec.first < spec.stop <= len(job.levels) or min(*spec.task_shape, *spec.block_shape) < 1:
        raise ValueError(f"a pass {spec}")
    if math.prod(-(-n // shape) for n, shape in zip(job.region.size(), spec.task_shape, strict=True)) > MOST_TASKS:
        raise ValueError(f"tasks of {spec.task_shape} in {job.region}")
    if spec.picked and (spec.picked[0] < 0 or any(a >= b for a, b in pairwise(spec.picked))):
        raise ValueError("tasks that are picked twice, or not in order")


def job_document(job: Job, spec: PlanSpec) -> dict[str, Any]:
    """What ``job.json`` holds. No credentials are in it."""
    reach = {"source": job.source.location.options.to_json(), "destination": job.destination.options.to_json()}
    return {"version": VERSION, "id": job.id, "job": job.to_json(), "plan": spec.to_json(), "reach": reach}


def read_job_document(document: dict[str, Any]) -> tuple[Job, PlanSpec]:
    """The inverse of :func:`job_document`.

    Raises :class:`StateError` for another version and for a job that is not the one its id says.
    """
    if document.get("version") != VERSION:
        raise StateError(f"job.json has version {document.get('version')!r}; this cvbatch reads {VERSION}")
    try:
        job, spec = Job.from_json(document["job"], document["reach"]), PlanSpec.from_json(document["plan"])
        require_types(job)
        require_types(spec)
        _require_sense(job, spec)
    except UNREADABLE as error:
        raise StateError(f"job.json cannot be understood: {error!r}") from error
    if job.id != document.get("id"):
        raise StateError(f"job.json says that it is job {document.get('id')!r}, its content is job {job.id}")
    return job, spec
