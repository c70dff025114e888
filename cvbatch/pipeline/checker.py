"""Voxels against the chunks that should hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.errors import DecodingError, EmptyFileException
from cvbatch.findings import Finding, Verdict
from cvbatch.formats.precomputed import Cell, ChunkStore
from cvbatch.geometry import Bbox, Vec
from cvbatch.metadata import Check
from cvbatch.pipeline.reader import ChunkReader
from cvbatch.storage import Blob

# Of a lossy encoding whose parameters nobody knows, beside the loss with those that stand in ``info``.
LOSS_FACTOR, LOSS_SLACK = 2.0, 2.0


class NoCell:
    """The cell of who writes nothing."""

    def write(self, index: Vec, blob: Blob) -> None:
        raise NotImplementedError

    def delete(self, indices: Sequence[Vec]) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Nothing was begun."""


@dataclass(frozen=True)
class ChunkChecker:
    """Compares what a level should be with what is stored. Nothing is written; what is wrong goes into the tally.

    ``reader`` reads the level; what it counts is counted. ``may_be_absent`` is of chunks that are all background.
    """

    reader: ChunkReader
    check: Check
    level: str
    may_be_absent: bool

    @property
    def chunks(self) -> ChunkStore:
        return self.reader.chunks

    def cell(self, box: Bbox) -> Cell:
        return NoCell()

    def write(self, cell: Cell, index: Vec, voxels: Voxels, tally: Tally) -> None:
        """Judge a chunk that should hold ``voxels`` (x, y, z, channel)."""
        try:
            found = self._found(index, tally)
        except (DecodingError, EmptyFileException) as error:
            tally.judge(self._verdict(voxels, self._finding(index, "damaged", str(error))))
            return
        with tally.stage("compare"):
            if found is not None:
                verdict = self._compare(index, voxels, found)
            elif self.may_be_absent and _is_all(voxels, self.reader.background):
                verdict = self._verdict(voxels)
            else:
                verdict = self._verdict(voxels, self._finding(index, "missing", "there is no such chunk"))
        tally.judge(verdict)

    def _found(self, index: Vec, tally: Tally) -> Voxels | None:
        """The voxels that are there, None where nothing is."""
        decoded: list[Voxels] = []

        def decode(index: Vec, blob: Blob | None) -> None:
            if blob is not None:
                decoded.append(self.reader.decode(index, blob, tally))

        with tally.stage("fetch"):
            blob = self.chunks.read(index)
        if blob is not None:
            self.reader.count(index, len(blob.data), tally)
            self.reader.use(index, blob, decode)
        return decoded[-1] if decoded else None

    def _compare(self, index: Vec, expected: Voxels, found: Voxels) -> Verdict:
        if self.reader.codec.lossless:
            if _same(expected, found):
                return self._verdict(expected)
            return self._judged(index, expected, found, self.check.tolerance)
        again = self.reader.codec.decode(self.reader.codec.encode(expected), self.reader.layout(index))
        usual = np.abs(_difference(expected, again))
        bound = self.check.tolerance
        if not self.check.ours and bound == 0:
            bound = LOSS_FACTOR * float(usual.max(initial=0.0)) + LOSS_SLACK
        off = usual if _same(again, found) else np.abs(_difference(expected, found))
        measured = Verdict(lossy_voxels=off.size, error_sum=float(off.sum()), error_max=float(off.max(initial=0.0)))
        if off is usual:
            return self._verdict(expected) + measured
        detail = f"encoding loses up to {usual.max(initial=0.0):g}, "
        return self._judged(index, expected, found, bound, detail) + measured

    def _judged(self, index: Vec, expected: Voxels, found: Voxels, bound: float, detail: str = "") -> Verdict:
        """What to say of voxels that are not the same."""
        labels = self.reader.voxel.layer_type == "segmentation"
        off = (expected != found) & ~(_is_nan(expected) & _is_nan(found))
        errors = np.zeros(off.shape) if labels else np.abs(_difference(expected, found))
        wrong = off if labels else off & ~(errors <= bound)
        count = int(np.count_nonzero(wrong))
        if count == 0:
            return self._verdict(expected)
        first = np.unravel_index(int(np.argmax(wrong.ravel(order="F"))), wrong.shape, order="F")
        place = self.chunks.grid.box(index).minpt + Vec(*(int(part) for part in first[:3]))
        channel = f", channel {int(first[3])}" if wrong.shape[3] > 1 else ""
        worst = float(errors[wrong].max())
        by = "" if labels else f" by up to {worst:g}"
        text = (
            f"{count} of {wrong.size} voxels differ{by}; {detail}the first at {tuple(place)}{channel} "
            f"is {found[first]}, and should be {expected[first]}"
        )
        finding = self._finding(index, "differs", text, count, worst)
        return self._verdict(expected, finding)

    @staticmethod
    def _verdict(voxels: Voxels, *findings: Finding) -> Verdict:
        return Verdict(1, voxels.size, findings=findings)

    def _finding(self, index: Vec, problem: str, detail: str, voxels: int = 0, error: float = 0.0) -> Finding:
        name = self.chunks.grid.box(index).to_filename()
        return Finding(self.level, name, problem, detail, voxels=voxels, error=error)


def _same(a: Voxels, b: Voxels) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _is_nan(voxels: Voxels) -> Voxels:
    return np.isnan(voxels) if voxels.dtype.kind == "f" else np.zeros(voxels.shape, bool)


def _is_all(voxels: Voxels, value: float) -> bool:
    return not np.any(voxels != voxels.dtype.type(value))


def _difference(a: Voxels, b: Voxels) -> Voxels:
    """In float64, where no integer wraps around; NaN beside NaN is no difference."""
    difference: Voxels = a.astype(np.float64) - b.astype(np.float64)
    difference[_is_nan(a) & _is_nan(b)] = 0.0
    return difference
