"""What programs that write shards themselves want to know: ``vol.image.shard_shape`` and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbatch.codecs.base import Buffer, Voxels
from cvbatch.counts import Tally
from cvbatch.errors import AlignmentError
from cvbatch.formats.precomputed.sharding import ShardedChunks, ShardingSpec, encode_shard
from cvbatch.geometry import Bbox, Vec
from cvbatch.storage import Blob
from cvbatch.volume.access import Access
from cvbatch.volume.upload import check_image


@dataclass(frozen=True)
class Shards:
    """The shards of one scale. Raises ValueError for a scale that has none."""

    access: Access

    @classmethod
    def of(cls, access: Access, spec: Mapping[str, Any] | None = None) -> Shards:
        """The shards of a scale as ``info`` describes them, or as another specification does."""
        if spec is not None:
            checked = ShardingSpec.from_json(spec).to_json()
            access = replace(access, scale=replace(access.scale, sharding=checked))
        if access.scale.sharding is None:
            raise ValueError(f"mip {access.scale.key} is not sharded")
        return cls(access)

    @property
    def _chunks(self) -> ShardedChunks:
        return ShardedChunks(self.access.store(), self.access.scale)

    @property
    def shape(self) -> Vec:
        """Voxels of one shard along x, y, z; of all of the scale where a hash spreads the chunks."""
        return ShardedChunks.write_cell(self.access.scale)

    def codes(self, box: Bbox, same_shard: bool, require_aligned: bool) -> tuple[list[Vec], NDArray[np.uint64]]:
        """The grid positions and the Morton codes of a box's chunks.

        Raises :class:`AlignmentError` for a box that cuts chunks, or whose chunks are in several shards, unless that
        is allowed.
        """
        grid, chunks = self.access.grid, self._chunks
        if require_aligned and not grid.is_aligned(box):
            raise AlignmentError(f"{box} is not made of whole chunks; the nearest box that is: {grid.expand(box)}")
        indices = list(grid.indices(box))
        places = [chunks.place(index) for index in indices]
        if same_shard and len({shard for _, shard in places}) > 1:
            raise AlignmentError(f"{box} has chunks of several shards, which are boxes of {self.shape} voxels")
        return indices, np.array([code for code, _ in places], np.uint64)

    def filename(self, box: Bbox) -> str:
        """The name of the file that the chunks of a box are in."""
        indices, _ = self.codes(box, same_shard=True, require_aligned=False)
        chunks = self._chunks
        return chunks.spec.filename(chunks.place(indices[0])[1])

    def make(self, image_or_chunks: Any, box: Bbox) -> tuple[str, bytes]:
        """The name and the bytes of the shard that a box fills, from its voxels or from encoded chunks by code."""
        indices, codes = self.codes(box, same_shard=True, require_aligned=True)
        if isinstance(image_or_chunks, Mapping):
            encoded = {int(code): data for code, data in image_or_chunks.items()}
        else:
            voxels = check_image(image_or_chunks, box, self.access.voxel, slice(0, self.access.voxel.channels))
            encoded = self._encoded(voxels, box, dict(zip(indices, codes.tolist(), strict=True)))
        return self.filename(box), encode_shard(self._chunks.spec, encoded)

    def _encoded(self, voxels: Voxels, box: Bbox, codes: Mapping[Vec, int]) -> dict[int, Buffer]:
        """The chunks of an array by code, without those that are all background if these are not to be written."""
        collected, writer, grid = _Collected(codes), self.access.writer(), self.access.grid
        for index in codes:
            part = (grid.box(index) - box.minpt).to_slices()
            writer.write(collected, index, voxels[part], Tally())
        return collected.chunks


class _Collected:
    """A cell that keeps what is written to it."""

    def __init__(self, codes: Mapping[Vec, int]) -> None:
        self.chunks: dict[int, Buffer] = {}
        self._codes = codes

    def write(self, index: Vec, blob: Blob) -> None:
        self.chunks[self._codes[index]] = bytes(blob.data)

    def delete(self, indices: Sequence[Vec]) -> None:
        """Nothing to keep."""

    def finish(self) -> None:
        """Nothing to wait for."""
