"""Chunks that are removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvbatch.codecs import array_codec
from cvbatch.counts import Tally, TaskResult
from cvbatch.formats.precomputed import Cell, open_chunks
from cvbatch.geometry import Vec
from cvbatch.metadata import Task
from cvbatch.pipeline.pools import Pools, finish_all
from cvbatch.pipeline.reader import ABSENT_IS_BACKGROUND, ChunkReader
from cvbatch.planner import Pass, Plan
from cvbatch.process.recorder import Recorder
from cvbatch.storage import open_store

# Keys that are deleted by one request where the store has such.
KEYS_TOGETHER = 1000


@dataclass(frozen=True)
class Removal:
    """What the tasks of a pass share that removes the chunks of one level, or those that are all background."""

    plan: Plan
    each: Pass
    reader: ChunkReader

    def run(self, number: int, pools: Pools) -> TaskResult:
        """Remove the chunks of a task's box. Whether they were there isn't asked: all of them are counted."""
        (level,) = self.each.levels
        box = self.each.level_box(level, self.each.box(number))
        tally, grid = Tally(), self.reader.chunks.grid
        cell = self.reader.chunks.cell(box)
        indices = list(grid.indices(box))
        if self.plan.job.delete_background:
            finish_all([pools.fetch.submit(self._remove_background, cell, index, tally) for index in indices])
        else:
            groups = [indices[first : first + KEYS_TOGETHER] for first in range(0, len(indices), KEYS_TOGETHER)]
            finish_all([pools.store.submit(self._remove, cell, group, tally) for group in groups])
        with tally.stage("store"):
            cell.finish()
        return tally.result(Task(self.plan.job.id, self.each.number, number).name)

    @staticmethod
    def _remove(cell: Cell, indices: list[Vec], tally: Tally) -> None:
        with tally.stage("store"):
            cell.delete(indices)
        tally.add(chunks_deleted=len(indices))

    def _remove_background(self, cell: Cell, index: Vec, tally: Tally) -> None:
        blob = self.reader.fetch(index, tally)
        if blob is None:
            cell.delete([index])
            return
        voxels = self.reader.decode(index, blob, tally)
        if not np.any(voxels != voxels.dtype.type(self.plan.job.background)):
            self._remove(cell, [index], tally)
        elif self.each.levels[0].level.scale.sharding is not None:
            # A shard is written as a whole: what stays in it goes along.
            with tally.stage("store"):
                cell.write(index, blob)


def open_removal(plan: Plan, number: int, recorder: Recorder) -> Removal:
    """Open the level that a pass removes. Nothing is removed yet."""
    each = plan.passes[number]
    scale = each.levels[0].level.scale
    chunks = open_chunks(open_store(plan.job.destination), scale)
    codec = array_codec(scale.encoding, scale.other)
    reader = ChunkReader(chunks, codec, plan.job.voxel, ABSENT_IS_BACKGROUND, plan.job.background, recorder)
    return Removal(plan, each, reader)
