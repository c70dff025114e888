"""From a configuration to a job: reads the volumes' metadata, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from cvbatch.codecs import BYTE_ENCODINGS, default_compression
from cvbatch.config.deletion import deleted_levels
from cvbatch.config.levels import LevelRules, make_levels
from cvbatch.config.load import LoadedConfig
from cvbatch.config.model import Config, DestinationConfig, QueueConfig, WorkersConfig
from cvbatch.errors import ConfigError, InputError, OutOfBoundsError, Problem, StorageError
from cvbatch.formats.precomputed import open_chunks, read_info, require_info
from cvbatch.geometry import Bbox, Vec, box_between_resolutions
from cvbatch.metadata import ByteEncoding, Downsampling, Job, ScaleInfo, Source, VolumeInfo
from cvbatch.metadata.volume import format_resolution
from cvbatch.ops import method_for
from cvbatch.planner import Crew, aligned_region
from cvbatch.process.host import processors
from cvbatch.storage import Location, open_store, parse_location
from cvbatch.storage.options import REQUESTS_AT_ONCE


@dataclass(frozen=True)
class Resolved:
    """A job, and how the configuration wants it to be run."""

    job: Job
    crew: Crew
    state: Location | None
    queue: QueueConfig
    must_be_new: bool
    # In voxels of the source; the job's may have been brought onto the destination's grid.
    region: Bbox


@dataclass
class _Problems:
    """Collects what is wrong, so that all of it is told at once."""

    loaded: LoadedConfig
    found: list[Problem] = field(default_factory=list)

    @contextmanager
    def at(self, *key: str) -> Iterator[None]:
        """Errors inside are problems of this key; the rest is looked at all the same."""
        try:
            yield
        except ConfigError as error:
            self.found += error.problems
        except (InputError, StorageError) as error:
            self.found.append(self.loaded.origin.problem(key, str(error)))

    def raise_any(self) -> None:
        if self.found:
            raise ConfigError(self.found)


def resolve(loaded: LoadedConfig) -> Resolved:
    """The job that a configuration describes. Raises :class:`ConfigError` with all problems."""
    config, problems = loaded.config, _Problems(loaded)
    source = destination = None
    with problems.at("source"):
        location = config.source.location
        source = _Volume(location, require_info(open_store(location)))
    with problems.at("destination"):
        destination = _open_destination(config)
    state = None
    with problems.at("state"):
        if config.state is not None:
            state = parse_location(config.state)
    if source is None or destination is None:
        problems.raise_any()
    assert source is not None
    assert source.info is not None
    assert destination is not None
    job = _job(config, source, destination, problems)
    must_be_new = config.destination is not None and config.destination.mode == "create"
    is_remote = job.source.location.is_remote or job.destination.is_remote
    asked = _region(config, source.info, job.source.scale)
    return Resolved(job, crew_for(is_remote, config.workers), state, config.queue, must_be_new, asked)


@dataclass(frozen=True)
class _Volume:
    """A place, and the volume that is there."""

    location: Location
    info: VolumeInfo | None


def _open_destination(config: Config) -> _Volume:
    if config.job != "transfer":
        if config.destination is not None:
            raise InputError(f"a {config.job} job works on its source; remove destination, or make it a transfer")
        return _Volume(config.source.location, read_info(open_store(config.source.location)))
    if config.destination is None:
        raise InputError("is missing: where should the volume go?")
    location = config.destination.location
    if location.same_place(config.source.location):
        raise InputError(f"{location.url} is the source too; give the destination a path of its own")
    if location.is_server:
        raise InputError(f"{location.url}: a web server can only be read; write to file://, s3:// or gs://")
    store = open_store(location)
    info = read_info(store)
    if info is None:
        store.reach()
    if config.destination.mode == "update" and info is None:
        raise InputError(f"there is no volume at {location.url}, and destination.mode is update")
    return _Volume(location, info)


def _job(config: Config, source: _Volume, destination: _Volume, problems: _Problems) -> Job:
    assert source.info is not None
    info, target = source.info, config.destination or DestinationConfig(path=config.source.path)
    voxel = info.voxel
    _check_kind(config, problems)
    with problems.at(*(("mips",) if config.mips else ("source", "mip"))):
        scale = info.scale(min(config.mips) if config.mips else config.source.mip)
    problems.raise_any()
    with problems.at("source"):
        _check_source(source.location, scale)
    region = scale.bounds
    with problems.at("region"):
        region = _region(config, info, scale)
    with problems.at("background"):
        _check_background(config.background, voxel.dtype)
    with problems.at("destination", "compress_level"):
        _check_level(target)
    translate = Vec(*config.translate)
    rules = LevelRules(config, info.voxel, scale, region + translate, destination.info, problems.loaded.origin)
    levels = None
    if not problems.found:
        with problems.at("mips" if config.mips else "destination"):
            levels = deleted_levels(info, config.mips) if config.mips else make_levels(rules)
    problems.raise_any()
    assert levels is not None
    method = config.downsample.method if config.downsample is not None else "auto"
    job = Job(
        kind=config.job,
        source=Source(source.location, scale, config.source.missing),
        destination=destination.location,
        voxel=voxel,
        levels=levels,
        region=region + translate,
        translate=translate,
        downsampling=Downsampling(
            method_for(voxel.layer_type) if method == "auto" else method,
            config.downsample is not None and config.downsample.sparse,
        ),
        compress=ByteEncoding(
            target.compress or default_compression(levels[0].scale.encoding),
            target.compress_level,
            target.compress is not None,
        ),
        background=config.background,
        delete_background=config.delete_background,
    )
    with problems.at("region"):
        job = replace(job, region=aligned_region(job, target.align))
    problems.raise_any()
    return job


def _check_kind(config: Config, problems: _Problems) -> None:
    """What belongs to one kind of job only."""
    with problems.at("downsample"):
        if config.job == "downsample" and (config.downsample is None or config.downsample.mips == 0):
            raise InputError("a downsample job needs downsample.mips, the number of levels to make")
        if config.job == "delete" and config.downsample is not None:
            raise InputError("a delete job makes nothing; remove downsample")
    with problems.at("translate"):
        if config.job != "transfer" and any(config.translate):
            raise InputError(f"a {config.job} job works in place: only a transfer can translate")
    with problems.at("mips"):
        if config.job == "delete" and not config.mips:
            raise InputError("is missing: which levels should be deleted? For example [0, 1]")
        if config.job != "delete" and config.mips is not None:
            raise InputError(f"says what a delete job deletes; a {config.job} job has downsample.mips")


def _check_source(location: Location, scale: ScaleInfo) -> None:
    from cvbatch.codecs import array_codec

    open_chunks(open_store(location), scale)
    array_codec(scale.encoding, scale.other)


def _region(config: Config, info: VolumeInfo, scale: ScaleInfo) -> Bbox:
    """The region in voxels of the source's scale."""
    if config.region is None:
        return scale.bounds
    first = min(config.mips) if config.mips else config.source.mip
    mip = first if config.region.mip is None else config.region.mip
    given = info.scale(mip)
    box = Bbox(config.region.min, config.region.max)
    if not given.bounds.contains_bbox(box):
        raise OutOfBoundsError(
            f"{box} leaves the volume, which is {given.bounds} at mip {mip} "
            f"({format_resolution(given.resolution)} nm a voxel)"
        )
    # Voxels of all mips are counted from where the volume begins, and the last one may stand for fewer.
    moved = box_between_resolutions(box - given.voxel_offset, given.resolution, scale.resolution)
    return (moved + scale.voxel_offset).intersection(scale.bounds)


def _check_background(background: int, dtype: np.dtype[np.generic]) -> None:
    if dtype.kind != "f" and not np.iinfo(dtype).min <= background <= np.iinfo(dtype).max:  # type: ignore[type-var]
        raise InputError(f"{background} is not a value of {dtype}")


def _check_level(target: DestinationConfig) -> None:
    levels = BYTE_ENCODINGS[target.compress or "none"]
    if target.compress_level is not None and target.compress_level not in levels:
        possible = f"{levels.start} to {levels.stop - 1}"
        raise InputError(f"{target.compress_level} is not a level of {target.compress}, which has {possible}")


def crew_for(is_remote: bool, workers: WorkersConfig | None = None) -> Crew:
    """The workers that were asked for, or that suit this machine and where the volumes are."""
    import psutil

    wanted = workers or WorkersConfig()
    processes = wanted.processes or processors()
    share = psutil.virtual_memory().available // 2 // processes
    memory = wanted.memory or max(MEMORY_LEAST, min(MEMORY_MOST, share))
    return Crew(processes, int(memory), wanted.threads or (REQUESTS_AT_ONCE if is_remote else LOCAL_THREADS))


# Between these a worker takes its share of half the free memory, if nothing is said.
MEMORY_LEAST, MEMORY_MOST = 256 << 20, 1 << 30
# Files of this machine come from its cache and codecs fill its cores: processes do it all.
LOCAL_THREADS = 1
