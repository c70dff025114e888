"""Chunks to voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cvbatch.codecs import ArrayCodec, Layout, decompress
from cvbatch.codecs.base import Buffer, Voxels
from cvbatch.counts import Tally
from cvbatch.errors import DecodingError, EmptyFileException, EmptyVolumeException
from cvbatch.formats.precomputed import ChunkStore
from cvbatch.geometry import Bbox, Vec
from cvbatch.metadata import VoxelType
from cvbatch.process.recorder import Recorder
from cvbatch.storage import Blob

# What an absent chunk means.
ABSENT_IS_ERROR, ABSENT_IS_FILLED, ABSENT_IS_BACKGROUND, ABSENT_IS_LOST = "error", "fill", "background", "lost"
# How often bytes that don't decode are fetched once more, before they are called damaged.
FETCHED_AGAIN = 4
GZIP_MAGIC = b"\x1f\x8b"


def missing_chunk(name: str) -> EmptyVolumeException:
    """What to say of a chunk that is absent and may not be."""
    return EmptyVolumeException(
        f"{name} is missing; to read absent chunks as background, set source.missing: fill in a configuration, or "
        "fill_missing=True in Python"
    )


def lost_chunk(name: str) -> EmptyVolumeException:
    """What to say of a chunk that an earlier pass has made, and is absent."""
    return EmptyVolumeException(
        f"{name} is missing, which an earlier pass has made; `cvbatch verify CONFIG --repair` makes it again"
    )


@dataclass(frozen=True)
class ChunkReader:
    """Reads one scale.

    ``absent`` is "error", "fill" (counted), "background" (deleted on purpose) or "lost" (it was there before).
    """

    chunks: ChunkStore
    codec: ArrayCodec
    voxel: VoxelType
    absent: str = ABSENT_IS_ERROR
    background: float = 0
    recorder: Recorder = field(default_factory=Recorder)

    def fetch(self, index: Vec, tally: Tally) -> Blob | None:
        """The bytes of a chunk, or None where it is absent and may be.

        Raises :class:`EmptyVolumeException` where it may not, :class:`EmptyFileException` for no bytes.
        """
        return next(self.fetch_group([index], tally))[1]

    def fetch_group(self, indices: Sequence[Vec], tally: Tally) -> Iterator[tuple[Vec, Blob | None]]:
        """As :meth:`fetch` for chunks that are read in one go, one after the other."""
        with tally.stage("fetch"):
            blobs = self.chunks.read_group(indices)
        for index, blob in zip(indices, blobs, strict=True):
            self.count(index, None if blob is None else len(blob.data), tally)
            yield index, blob

    def count(self, index: Vec, nbytes: int | None, tally: Tally) -> None:
        """Count a chunk that was read, None bytes for one that is absent. Raises as :meth:`fetch` does."""
        if nbytes is None:
            if self.absent == ABSENT_IS_LOST:
                raise lost_chunk(self.chunks.name(index))
            if self.absent == ABSENT_IS_ERROR:
                raise missing_chunk(self.chunks.name(index))
            tally.add(chunks_filled=int(self.absent == ABSENT_IS_FILLED))
        elif nbytes == 0:
            raise EmptyFileException(f"{self.chunks.name(index)} has no bytes")
        else:
            tally.add(chunks_read=1, bytes_read=nbytes)

    def use(self, index: Vec, blob: Blob | None, does: Callable[[Vec, Blob | None], None]) -> None:
        """Do something with a chunk, with its bytes fetched again if they don't decode.

        A network may have spoiled them on their way.
        """
        for _ in range(FETCHED_AGAIN):
            try:
                does(index, blob)
            except DecodingError:
                blob = self.chunks.read(index)
                if blob is None:
                    raise
            else:
                return
        does(index, blob)

    def layout(self, index: Vec) -> Layout:
        """The array that a chunk stands for."""
        return self._layout(self.chunks.grid.box(index))

    def _layout(self, box: Bbox) -> Layout:
        x, y, z = box.size()
        return Layout((x, y, z, self.voxel.channels), self.voxel.dtype)

    def unpack(self, index: Vec, blob: Blob) -> Buffer:
        """The bytes of the array encoding. Raises :class:`DecodingError` that names the chunk."""
        return self._unpack(index, blob, self.layout(index))

    def _unpack(self, index: Vec, blob: Blob, layout: Layout) -> Buffer:
        # No array encoding makes more of a chunk than four times its voxels, also of noise.
        most = layout.nbytes if self.codec.traits.exact else 4 * layout.nbytes + (1 << 20)
        try:
            return decompress(blob.data, blob.encoding, most)
        except DecodingError as error:
            raise DecodingError(f"{self.chunks.name(index)} is damaged: {error}") from error

    def decode(self, index: Vec, blob: Blob, tally: Tally) -> Voxels:
        """The voxels (x, y, z, channel) of a chunk. Errors name it."""
        return self._decode(index, blob, self.layout(index), tally)

    def _decode(self, index: Vec, blob: Blob, layout: Layout, tally: Tally, out: Voxels | None = None) -> Voxels:
        """The voxels of a chunk, in ``out`` if the codec can."""
        with tally.stage("decode"):
            data = self._unpack(index, blob, layout)
            try:
                if not self.codec.traits.fragile:
                    return self.codec.decode(data, layout, out)
                with self.recorder.doing(self.chunks.name(index)):
                    return self.codec.decode(data, layout, out)
            except DecodingError as error:
                raise DecodingError(f"{self.chunks.name(index)} is damaged: {error}") from error

    def empty(self, index: Vec) -> Voxels:
        """A chunk of background."""
        layout = self.layout(index)
        return np.full(layout.shape, self.background, layout.dtype, order="F")

    def crop(self, index: Vec, blob: Blob | None, origin: Bbox, tally: Tally) -> Voxels | None:
        """The voxels of a chunk that are in ``origin``; None for an absent one, which is all background."""
        if blob is None:
            return None
        box = self.chunks.grid.box(index)
        voxels = self._decode(index, blob, self._layout(box), tally)
        return voxels[(box.intersection(origin) - box.minpt).to_slices()]

    def paint(self, index: Vec, blob: Blob | None, target: Voxels, origin: Bbox, tally: Tally) -> None:
        """Put the voxels of a chunk where they belong in ``target``, whose voxels are those of ``origin``."""
        box = self.chunks.grid.box(index)
        shared = box.intersection(origin)
        place = target[(shared - origin.minpt).to_slices()]
        if blob is None:
            place[...] = self.background
            return
        whole = shared == box
        # Where the chunk's voxels lie next to each other in the target, a library may write them there itself.
        direct = place if whole and place.flags.f_contiguous else None
        voxels = self._decode(index, blob, self._layout(box), tally, direct)
        if voxels is direct:
            return
        with tally.stage("paint"):
            place[...] = voxels if whole else voxels[(shared - box.minpt).to_slices()]

    def check_whole(self, index: Vec, blob: Blob) -> None:
        """Raise :class:`DecodingError` for raw bytes whose length is wrong, without decompressing gzip.

        The last four bytes of a gzip file are the length of its last member: if that is the chunk's, the
        file was not cut short.
        """
        if not self.codec.traits.exact:
            return
        expected = self.layout(index).nbytes
        if blob.encoding == "gzip":
            whole = bytes(blob.data[:2]) == GZIP_MAGIC and int.from_bytes(
                bytes(blob.data[-4:]), "little"
            ) == expected % (1 << 32)
        else:
            whole = blob.encoding != "" or len(blob.data) == expected
        if not whole:
            # Several members, perhaps: decoding decides, and names what is wrong.
            self.codec.decode(self.unpack(index, blob), self.layout(index))
