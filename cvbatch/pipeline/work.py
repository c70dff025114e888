"""A pass, with its volumes open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cvbatch.codecs import ByteCodec, array_codec, byte_codec
from cvbatch.formats.precomputed import copier, open_chunks
from cvbatch.geometry import Vec
from cvbatch.metadata import Job, ScaleInfo
from cvbatch.ops import Kernel, kernel_for
from cvbatch.pipeline.reader import ABSENT_IS_BACKGROUND, ABSENT_IS_ERROR, ChunkReader
from cvbatch.pipeline.recorder import Recorder
from cvbatch.pipeline.writer import ChunkWriter
from cvbatch.planner import Pass, Plan, Route, base_scale, keeps_voxels, route
from cvbatch.storage import Store, open_store

Copier: TypeAlias = Callable[[Vec, Vec], int | None]


@dataclass(frozen=True)
class PassWork:
    """Everything that the tasks of one pass share.

    The source's coordinates are those of the pass minus ``shift``. ``copy`` copies chunks that need nothing else inside
    their store.
    """

    plan: Plan
    each: Pass
    route: Route
    reader: ChunkReader
    writers: tuple[ChunkWriter, ...]
    kernel: Kernel
    shift: Vec
    copy: Copier | None = None

    def accepts(self, encoding: str) -> bool:
        """Whether chunks that are copied may keep the compression that they have."""
        wanted = self.writers[0].compression.encoding
        if self.each.levels[0].level.scale.sharding is not None:
            return encoding == wanted
        return self.plan.job.compress.accepts(encoding, wanted)


def open_pass(plan: Plan, number: int, recorder: Recorder) -> PassWork:
    """Open what a pass reads and writes. Nothing is read or written yet."""
    job, each = plan.job, plan.passes[number]
    destination = open_store(job.destination)
    reader = _reader(job, each, destination, recorder)
    writers = tuple(_writer(job, level.level.scale, destination) for level in each.levels)
    way = route(job, each)
    unchanged = way is Route.COPY and not keeps_voxels(way, each) and not job.compress.required
    return PassWork(
        plan,
        each,
        way,
        reader,
        writers,
        kernel_for(job.downsampling.method, job.downsampling.sparse),
        job.translate if number == 0 else Vec.zeros(),
        copier(reader.chunks, writers[0].chunks) if unchanged else None,
    )


def _reader(job: Job, each: Pass, destination: Store, recorder: Recorder) -> ChunkReader:
    scale = base_scale(job, each.levels[0].number)
    if each.number == 0:
        store, absent = open_store(job.source.location), job.source.missing
        store = store.exact() if route(job, each) is Route.COPY else store
    else:
        # What an earlier pass of this job removed as background is background, not missing.
        store, absent = destination, ABSENT_IS_BACKGROUND if job.delete_background else ABSENT_IS_ERROR
    codec = array_codec(scale.encoding, scale.other)
    return ChunkReader(open_chunks(store, scale), codec, job.voxel, absent, job.background, recorder)


def _compression(job: Job, scale: ScaleInfo) -> ByteCodec:
    """What is put around the chunks of a scale; of a sharded one its own specification says it."""
    name = scale.shard_compression or job.compress.name
    level = job.compress.level if name == job.compress.name else None
    return byte_codec(name, level, job.voxel.layer_type, scale.encoding)


def _writer(job: Job, scale: ScaleInfo, destination: Store) -> ChunkWriter:
    return ChunkWriter(
        open_chunks(destination, scale),
        array_codec(scale.encoding, scale.other),
        _compression(job, scale),
        job.background,
        job.delete_background,
    )
