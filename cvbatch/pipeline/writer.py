"""Voxels to chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvbatch.codecs import ArrayCodec, ByteCodec
from cvbatch.codecs.base import Buffer, Voxels
from cvbatch.counts import Tally
from cvbatch.errors import EncodingError
from cvbatch.formats.precomputed import Cell, ChunkStore
from cvbatch.geometry import Bbox, Vec
from cvbatch.storage import Blob


@dataclass(frozen=True)
class ChunkWriter:
    """Writes one scale. With ``delete_background`` a chunk that is all background is removed instead.

    Shards say themselves what their chunks are compressed with.
    """

    chunks: ChunkStore
    codec: ArrayCodec
    compression: ByteCodec
    background: float = 0
    delete_background: bool = False
    is_sharded: bool = False

    def cell(self, box: Bbox) -> Cell:
        """Begin to write the chunks of a box."""
        return self.chunks.cell(box)

    def write(self, cell: Cell, index: Vec, voxels: Voxels, tally: Tally) -> None:
        """Encode (x, y, z, channel) with any strides, and store it in a cell of the scale. Errors name the chunk."""
        with tally.stage("encode"):
            if self.delete_background and not np.any(voxels != voxels.dtype.type(self.background)):
                blob = None
            else:
                blob = self._encode(index, voxels)
        if blob is None:
            with tally.stage("store"):
                cell.delete([index])
            tally.add(chunks_deleted=1)
        else:
            self.put(cell, index, blob, tally)

    def _encode(self, index: Vec, voxels: Voxels) -> Blob:
        try:
            return Blob(self.compression.compress(self.codec.encode(voxels)), self.compression.encoding)
        except EncodingError as error:
            raise EncodingError(f"{self.chunks.name(index)}: {error}") from error

    def recompress(self, data: Buffer, tally: Tally) -> Blob:
        """Bytes of the array encoding with this writer's compression."""
        with tally.stage("encode"):
            return Blob(self.compression.compress(data), self.compression.encoding)

    @staticmethod
    def put(cell: Cell, index: Vec, blob: Blob, tally: Tally) -> None:
        """Store encoded bytes."""
        with tally.stage("store"):
            cell.write(index, blob)
        tally.add(chunks_written=1, bytes_written=len(blob.data))
