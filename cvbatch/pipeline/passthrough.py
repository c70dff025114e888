"""Chunks that go from one volume to another as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cvbatch.counts import Tally
from cvbatch.formats.precomputed import Cell
from cvbatch.geometry import Vec
from cvbatch.metadata import ByteEncoding
from cvbatch.pipeline.reader import ChunkReader
from cvbatch.pipeline.writer import ChunkWriter
from cvbatch.storage import Blob

Copier: TypeAlias = Callable[[Vec, Vec], int | None]


@dataclass(frozen=True)
class Passthrough:
    """Brings encoded chunks from a reader to a writer, with other compression where it has to change.

    ``compress`` is what was asked for. ``inside`` copies a chunk that needs nothing else inside the store.
    """

    reader: ChunkReader
    writer: ChunkWriter
    compress: ByteEncoding
    inside: Copier | None = None

    def send(self, cell: Cell, index: Vec, blob: Blob | None, target: Vec, tally: Tally) -> None:
        """Store the bytes of chunk ``index`` as chunk ``target``; background where it is absent."""
        if blob is None:
            self.writer.write(cell, target, self.reader.empty(index), tally)
        elif self._accepts(blob.encoding):
            self.reader.check_whole(index, blob)
            tally.add(chunks_copied=1)
            self.writer.put(cell, target, blob, tally)
        else:
            changed = self.writer.recompress(self.reader.unpack(index, blob), tally)
            self.writer.put(cell, target, changed, tally)

    def _accepts(self, encoding: str) -> bool:
        """Whether chunks may keep the compression that they have."""
        wanted = self.writer.compression.encoding
        return encoding == wanted if self.writer.is_sharded else self.compress.accepts(encoding, wanted)

    def send_inside(self, copy: Copier, cell: Cell, index: Vec, target: Vec, tally: Tally) -> None:
        """Have the store copy a chunk by itself."""
        with tally.stage("store"):
            nbytes = copy(index, target)
        self.reader.count(index, nbytes, tally)
        if nbytes is None:
            self.send(cell, index, None, target, tally)
        else:
            tally.add(chunks_copied=1, chunks_written=1, bytes_written=nbytes)
