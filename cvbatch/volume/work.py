"""What is done to a volume, cut into numbered parts that any thread or process can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.formats.precomputed import Cell
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.memory import Arena
from cvbatch.metadata.job import job_document, read_job_document
from cvbatch.pipeline import (
    ChunkReader,
    ChunkWriter,
    PassWork,
    Pools,
    open_pass,
    run_task,
)
from cvbatch.planner import Plan
from cvbatch.process.recorder import Recorder
from cvbatch.storage import Blob
from cvbatch.volume.access import Access, read_secret_document, secret_document
from cvbatch.volume.canvas import Canvas
from cvbatch.volume.lru import ChunkLru


class Work(Protocol):
    """Parts 0 to ``len`` - 1, in any order, each once. Safe to use from several threads."""

    kind: ClassVar[str]

    def __len__(self) -> int: ...

    @property
    def threads(self) -> int:
        """Threads of one process that are of use."""
        ...

    @property
    def shareable(self) -> bool:
        """Whether another process can do a part."""
        ...

    def do(self, number: int) -> None:
        """Do one part. Errors name its chunk."""
        ...

    def close(self) -> None:
        """Give back what the parts have used."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All that another process has to know."""
        ...

    @classmethod
    def from_json(cls, value: dict[str, Any], recorder: Recorder) -> Self: ...


@dataclass(frozen=True)
class _Parts:
    """Work on the part ``box`` of a scale, whose voxels are on the canvas."""

    access: Access
    canvas: Canvas
    box: Bbox
    recorder: Recorder = field(default_factory=Recorder)
    lru: ChunkLru | None = None

    @property
    def threads(self) -> int:
        return self.access.threads

    @property
    def shareable(self) -> bool:
        return self.access.shareable and self.canvas.named is not None and (self.lru is None or self.lru.size == 0)

    def close(self) -> None:
        """Nothing is held but the canvas."""

    def to_json(self) -> dict[str, Any]:
        return {"access": self.access.to_json(), "canvas": self.canvas.to_json(), "box": self.box.to_list()}

    @classmethod
    def from_json(cls, value: dict[str, Any], recorder: Recorder) -> Self:
        access, canvas = Access.from_json(value["access"]), Canvas.from_json(value["canvas"])
        return cls(access, canvas, Bbox.from_list(value["box"]), recorder)


@dataclass(frozen=True)
class ReadChunks(_Parts):
    """Decode chunks onto the canvas."""

    kind: ClassVar[str] = "read"

    @cached_property
    def _reader(self) -> ChunkReader:
        return self.access.reader(self.recorder, self.lru)

    @cached_property
    def _groups(self) -> list[list[Vec]]:
        """Chunks that are read in one go: a part each."""
        return self._reader.chunks.groups(self.access.grid.indices(self.box))

    def __len__(self) -> int:
        return len(self._groups)

    def do(self, number: int) -> None:
        tally = Tally()
        for index, blob in self._reader.fetch_group(self._groups[number], tally):
            self._reader.use(index, blob, lambda index, blob: self._paint(index, blob, tally))

    def _paint(self, index: Vec, blob: Blob | None, tally: Tally) -> None:
        self._reader.paint(index, blob, self.canvas.part(self.box), self.box, tally)


@dataclass(frozen=True)
class WriteChunks(_Parts):
    """Encode the canvas's voxels into chunks, one write cell a part. What is outside of ``box`` keeps its voxels."""

    kind: ClassVar[str] = "write"

    @cached_property
    def _span(self) -> ChunkGrid:
        """The cells' indices, as a grid of cells of one."""
        return ChunkGrid(self.access.cells.index_range(self.box), Vec.ones())

    def __len__(self) -> int:
        return len(self._span)

    @cached_property
    def _reader(self) -> ChunkReader:
        return self.access.reader(self.recorder)

    @cached_property
    def _writer(self) -> ChunkWriter:
        return self.access.writer()

    def do(self, number: int) -> None:
        index = self._span.index(number) + self._span.bounds.minpt
        chunks = self.access.grid.expand(self.access.cells.box(index).intersection(self.box))
        cell, tally = self._writer.chunks.cell(chunks), Tally()
        for index in self.access.grid.indices(chunks):
            self._write(cell, index, tally)
        cell.finish()

    def _write(self, cell: Cell, index: Vec, tally: Tally) -> None:
        chunk = self.access.grid.box(index)
        shared = chunk.intersection(self.box)
        voxels = self.canvas.part(shared)
        if shared != chunk:
            voxels = self._merged(index, voxels, shared - chunk.minpt, tally)
        self._writer.write(cell, index, voxels, tally)

    def _merged(self, index: Vec, voxels: Voxels, place: Bbox, tally: Tally) -> Voxels:
        """The chunk as it is there, with ``voxels`` in their place."""
        blob = self._reader.fetch(index, tally)
        before = self._reader.empty(index) if blob is None else self._reader.decode(index, blob, tally)
        merged = np.array(before, order="F")
        merged[place.to_slices()] = voxels
        return merged


@dataclass(frozen=True)
class TransferTasks:
    """The tasks of a plan with one pass, run by the engine of the batch jobs."""

    kind: ClassVar[str] = "transfer"

    plan: Plan
    recorder: Recorder = field(default_factory=Recorder)

    def __len__(self) -> int:
        return len(self.plan)

    @property
    def threads(self) -> int:
        return 1

    @property
    def shareable(self) -> bool:
        return all(place.protocol != "mem" for place in (self.plan.job.source.location, self.plan.job.destination))

    @cached_property
    def _arena(self) -> Arena:
        return Arena(self.plan.job.id, self.plan.spec.memory)

    @cached_property
    def _pools(self) -> Pools:
        return Pools.of(self.plan.spec.threads)

    @cached_property
    def _pass(self) -> PassWork:
        return open_pass(self.plan, 0, self.recorder)

    def do(self, number: int) -> None:
        run_task(self._pass, number, self._pools, self._arena)

    def close(self) -> None:
        self._pools.close()
        self._arena.close()

    def to_json(self) -> dict[str, Any]:
        job = self.plan.job
        locations = [secret_document(place) for place in (job.source.location, job.destination)]
        return {"job": job_document(job, self.plan.spec), "locations": locations}

    @classmethod
    def from_json(cls, value: dict[str, Any], recorder: Recorder) -> Self:
        job, spec = read_job_document(value["job"])
        source, destination = map(read_secret_document, value["locations"])
        job = replace(job, source=replace(job.source, location=source), destination=destination)
        return cls(Plan(job, spec), recorder)


KINDS: Mapping[str, type[Work]] = {kind.kind: kind for kind in (ReadChunks, WriteChunks, TransferTasks)}


def work_document(work: Work) -> dict[str, Any]:
    """What :func:`read_work` makes the same work of, in another process."""
    return {"kind": work.kind, "work": work.to_json()}


def read_work(document: dict[str, Any], recorder: Recorder) -> Work:
    """The inverse of :func:`work_document`."""
    return KINDS[document["kind"]].from_json(document["work"], recorder)
