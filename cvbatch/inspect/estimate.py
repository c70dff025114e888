"""How many bytes a job will read and write, and how long it will take: from a few boxes of its region.

They go through the pipeline as they would in the job, into memory, and are dropped there.
"""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cvbatch.counts import Counts
from cvbatch.errors import CvbatchError
from cvbatch.memory import Arena
from cvbatch.metadata import ByteEncoding, Job, PassSpec
from cvbatch.pipeline import PassWork, Pools, open_pass, run_task
from cvbatch.planner import Plan, Route, chunk_unit, made_of, pass_levels, requests_of, route, slab_bytes
from cvbatch.process.recorder import Recorder
from cvbatch.storage import Store, open_store

# Voxel bytes of one box, if chunks let it be so small, and of all.
BOX_BYTES, ALL_BYTES = 16 << 20, 64 << 20
MOST_BOXES, LEAST_BOXES = 48, 6
# Of a calibration.
MOST_CALIBRATED, CALIBRATE_SECONDS = 1000, 3.0
# A worker process until it is ready, and what is done before the first and after the last task.
START_SECONDS = 0.4


@dataclass(frozen=True)
class Estimate:
    """What a job will come to. ``levels`` has the bytes of each level by its key.

    ``boxes`` were tried; ``unreadable`` of them couldn't be read, the first for the reason in ``trouble``, and where
    that was all of them nothing is known. ``seconds`` are those of the whole job with its processes, without the time
    that its destination takes to store; None where nothing was timed.
    """

    bytes_in: int | None
    levels: dict[str, int]
    boxes: int
    unreadable: int
    trouble: str = ""
    seconds: float | None = None

    def shares(self, plan: Plan) -> dict[str, float]:
        """The encoded bytes of each level for a byte of its voxels, by its key."""
        made = {level.level.scale.key: made_of(each, level).volume() for each in plan.passes for level in each.levels}
        return {key: nbytes / (made[key] * plan.job.voxel.nbytes) for key, nbytes in self.levels.items()}

    @property
    def bytes_out(self) -> int | None:
        return None if self.bytes_in is None else sum(self.levels.values())

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "bytes_out": self.bytes_out}


@dataclass
class _Measured:
    """What the boxes came to. ``levels`` has for each level the bytes that were written, and the voxels they stand for.

    ``chunks_in`` were read or are absent, ``seconds`` are those of ``voxels`` of the level that is read.
    """

    levels: dict[str, tuple[int, int]] = field(default_factory=dict)
    bytes_in: int = 0
    chunks_in: int = 0
    voxels: int = 0
    seconds: float = 0.0
    boxes: int = 0
    troubles: list[str] = field(default_factory=list)

    def add(self, counts: Counts, voxels: int, seconds: float, levels: dict[str, tuple[int, int]]) -> None:
        self.bytes_in += counts.bytes_read
        self.chunks_in += counts.chunks_read + counts.chunks_filled
        self.voxels += voxels
        self.seconds += seconds
        for key, (nbytes, covered) in levels.items():
            before = self.levels.get(key, (0, 0))
            self.levels[key] = before[0] + nbytes, before[1] + covered


def estimate(plan: Plan, processes: int, calibrate: bool = False) -> Estimate | None:
    """Try a few boxes of a plan; with ``calibrate`` for some seconds, to tell how long ``processes`` take for it all.

    None where nothing is made.
    """
    if route(plan.job, plan.passes[0]) is Route.DELETE:
        return None
    tried, measured = _boxes_of(plan), _Measured()
    # A place of its own in the memory of this process.
    into = open_store(f"mem://cvbatch-plan-{secrets.token_hex(8)}")
    with Arena(tried.job.id, 2 * plan.spec.memory) as arena, closing(Pools.of(plan.spec.threads)) as pools:
        trial = _Trial(open_pass(tried, 0, Recorder(), into), into, pools, arena)
        for number in _picked(tried, calibrate):
            trial.run(number, measured)
            if calibrate and measured.seconds >= CALIBRATE_SECONDS and measured.boxes >= LEAST_BOXES:
                break
    return _scaled_up(plan, measured, processes if calibrate else None)


def _boxes_of(plan: Plan) -> Plan:
    """The first levels of a job, a file a chunk, in tasks as small as its chunks allow."""
    levels = tuple(replace(level, scale=replace(level.scale, sharding=None)) for level in plan.job.levels)
    packed = plan.job.levels[0].scale.shard_compression
    compress = plan.job.compress if packed is None else ByteEncoding(packed, plan.job.compress.level, required=True)
    job = replace(plan.job, levels=levels, compress=compress)
    fitting = (n for n in range(len(levels), 1, -1) if _box_bytes(job, n) <= BOX_BYTES)
    count = next(fitting, 1)
    unit = chunk_unit(pass_levels(job, 0, count))
    return Plan(job, replace(plan.spec, passes=(PassSpec(0, count, unit, unit),)))


def _box_bytes(job: Job, count: int) -> int:
    levels = pass_levels(job, 0, count)
    return slab_bytes(job, levels, chunk_unit(levels))


def _picked(tried: Plan, calibrate: bool) -> list[int]:
    """The boxes that are tried, the same ones each time; spread at random, because volumes have empty corners."""
    (only,) = tried.passes
    affordable = ALL_BYTES // max(1, _box_bytes(tried.job, len(only.levels)))
    most = MOST_CALIBRATED if calibrate else max(LEAST_BOXES, min(affordable, MOST_BOXES))
    chance = random.Random(tried.job.id)  # noqa: S311 - nothing secret
    return chance.sample(range(len(only)), min(most, len(only)))


@dataclass(frozen=True)
class _Trial:
    """Boxes on their way through the pipeline into memory."""

    work: PassWork
    into: Store
    pools: Pools
    arena: Arena

    def run(self, number: int, measured: _Measured) -> None:
        measured.boxes += 1
        box = self.work.each.box(number)
        begin = time.perf_counter()
        try:
            counts = run_task(self.work, number, self.pools, self.arena).counts
        except CvbatchError as error:
            measured.troubles.append(str(error))
            return
        finally:
            sizes = self._taken_away()
        seconds = time.perf_counter() - begin
        covered = {
            level.level.scale.key: self.work.each.level_box(level, box).volume() for level in self.work.each.levels
        }
        levels = {key: (sizes.get(key, 0), voxels) for key, voxels in covered.items()}
        measured.add(counts, box.volume(), seconds, levels)

    def _taken_away(self) -> Counter[str]:
        """The bytes of each level that were written, which are dropped."""
        sizes: Counter[str] = Counter()
        keys = list(self.into.list())
        for key in keys:
            blob = self.into.get(key)
            sizes[key.rpartition("/")[0]] += 0 if blob is None else len(blob.data)
        self.into.delete_all(keys)
        return sizes


def _scaled_up(plan: Plan, measured: _Measured, processes: int | None) -> Estimate:
    """From the boxes to the whole region."""
    troubles = measured.troubles
    if measured.voxels == 0:
        return Estimate(None, {}, measured.boxes, len(troubles), troubles[0] if troubles else "")
    share, levels = 0.0, dict[str, int]()
    for each in plan.passes:
        for level in each.levels:
            key = level.level.scale.key
            # Levels that are too coarse to be tried compress as the one before does.
            nbytes, covered = measured.levels.get(key, (0, 0))
            share = nbytes / covered if covered else share
            levels[key] = round(share * made_of(each, level).volume())
    first, *later = plan.passes
    bytes_in = measured.bytes_in / measured.chunks_in * requests_of(plan, first).chunks_read
    for each in later:
        made = plan.job.levels[each.levels[0].number - 1].scale
        bytes_in += levels[made.key]
    rate = measured.seconds / measured.voxels
    voxels = sum(each.voxels for each in plan.passes)
    seconds = None if processes is None else START_SECONDS + rate * voxels / min(processes, len(plan))
    return Estimate(round(bytes_in), levels, measured.boxes, len(troubles), troubles[0] if troubles else "", seconds)
