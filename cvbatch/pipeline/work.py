"""A pass, with its volumes open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from cvbatch.codecs import ByteCodec, array_codec, byte_codec
from cvbatch.formats.precomputed import copier, open_chunks
from cvbatch.geometry import Vec
from cvbatch.metadata import Job, ScaleInfo
from cvbatch.ops import Kernel, kernel_for
from cvbatch.pipeline.checker import ChunkChecker
from cvbatch.pipeline.passthrough import Passthrough
from cvbatch.pipeline.reader import ABSENT_IS_BACKGROUND, ABSENT_IS_LOST, ChunkReader
from cvbatch.pipeline.sink import Sink
from cvbatch.pipeline.writer import ChunkWriter
from cvbatch.planner import Pass, Plan, Route, base_scale, downsamples_chunks, keeps_voxels, route
from cvbatch.process.recorder import Recorder
from cvbatch.storage import Store, open_store


@dataclass(frozen=True)
class PassWork:
    """Everything that the tasks of one pass share.

    The source's coordinates are those of the pass minus ``shift``. A sink takes each level; with ``through`` the chunks
    of the first one go past it as they are.
    """

    plan: Plan
    each: Pass
    route: Route
    reader: ChunkReader
    sinks: tuple[Sink, ...]
    kernel: Kernel
    shift: Vec
    through: Passthrough | None = None

    @cached_property
    def downsamples_chunks(self) -> bool:
        """Whether the first level is made of each chunk that is read by itself."""
        return downsamples_chunks(self.plan.job, self.each.levels)


def open_pass(plan: Plan, number: int, recorder: Recorder, into: Store | None = None) -> PassWork:
    """Open what a pass reads and writes; ``into`` takes what is written in place of the destination.

    Nothing is read or written yet.
    """
    job, each = plan.job, plan.passes[number]
    destination = open_store(job.destination)
    reader = _reader(job, each, destination, recorder)
    scales = [level.level.scale for level in each.levels]
    work = PassWork(
        plan,
        each,
        route(job, each),
        reader,
        (),
        kernel_for(job.downsampling.method, job.downsampling.sparse),
        job.translate if number == 0 else Vec.zeros(),
    )
    if job.check is not None:
        return replace(work, sinks=tuple(_checker(job, scale, destination, recorder) for scale in scales))
    writers = tuple(_writer(job, scale, into or destination) for scale in scales)
    return replace(work, sinks=writers, through=_passthrough(work, writers[0]))


def _passthrough(work: PassWork, writer: ChunkWriter) -> Passthrough | None:
    if work.route is not Route.COPY:
        return None
    compress = work.plan.job.compress
    unchanged = not keeps_voxels(work.route, work.each) and not compress.required
    inside = copier(work.reader.chunks, writer.chunks) if unchanged else None
    return Passthrough(work.reader, writer, compress, inside)


def _reader(job: Job, each: Pass, destination: Store, recorder: Recorder) -> ChunkReader:
    scale = base_scale(job, each.levels[0].number)
    if each.number == 0:
        store, absent = open_store(job.source.location), job.source.missing
        store = store.exact() if route(job, each) is Route.COPY else store
    else:
        # What an earlier pass of this job removed as background is background, not missing.
        store, absent = destination, ABSENT_IS_BACKGROUND if job.delete_background else ABSENT_IS_LOST
    codec = array_codec(scale.encoding, scale.other)
    return ChunkReader(open_chunks(store, scale), codec, job.voxel, absent, job.background, recorder)


def _checker(job: Job, scale: ScaleInfo, destination: Store, recorder: Recorder) -> ChunkChecker:
    assert job.check is not None
    codec = array_codec(scale.encoding, scale.other)
    chunks = open_chunks(destination, scale)
    reader = ChunkReader(chunks, codec, job.voxel, ABSENT_IS_BACKGROUND, job.background, recorder)
    return ChunkChecker(reader, job.check, scale.key, job.delete_background)


def _compression(job: Job, scale: ScaleInfo) -> ByteCodec:
    """What is put around the chunks of a scale; of a sharded one its own specification says it."""
    name = scale.shard_compression or job.compress.name
    level = job.compress.level if name == job.compress.name else None
    return byte_codec(name, level, job.voxel.layer_type, scale.encoding, job.voxel.dtype.itemsize)


def _writer(job: Job, scale: ScaleInfo, destination: Store) -> ChunkWriter:
    return ChunkWriter(
        open_chunks(destination, scale),
        array_codec(scale.encoding, scale.other),
        _compression(job, scale),
        job.background,
        job.delete_background,
        scale.sharding is not None,
    )
