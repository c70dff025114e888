"""``compressed_segmentation``: labels by small blocks, each with its own table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, FixedLoss, Layout, Traits, Voxels, decoding, native
from cvbatch.errors import DecodingError, EncodingError, UnsupportedFormatError
from cvbatch.geometry import Bbox, ChunkGrid, Vec

DEFAULT_BLOCK_SIZE = (8, 8, 8)
MOST_LABELS = 1 << 16


@dataclass(frozen=True)
class CompressedSegmentation(FixedLoss):
    """Specification: google/neuroglancer, sliceview/compressed_segmentation/README.md.

    ``block_size`` is in voxels (x, y, z).
    """

    block_size: tuple[int, int, int] = DEFAULT_BLOCK_SIZE

    traits: ClassVar[Traits] = Traits(
        "compressed_segmentation", releases_gil=False, parameters={"block_size": "compressed_segmentation_block_size"}
    )

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        size = parameters.get("compressed_segmentation_block_size", DEFAULT_BLOCK_SIZE)
        if not (isinstance(size, list | tuple) and len(size) == 3 and all(isinstance(n, int) and n > 0 for n in size)):
            raise UnsupportedFormatError(
                f"compressed_segmentation_block_size is three whole numbers above 0, not {size!r}"
            )
        return cls((size[0], size[1], size[2]))

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype in (np.uint32, np.uint64)

    def encode(self, voxels: Voxels) -> Buffer:
        channels = [self._encode_channel(voxels[:, :, :, channel]) for channel in range(voxels.shape[3])]
        if len(channels) == 1:
            return channels[0]
        # The library dies of several channels. Offsets inside of a channel count from its beginning, so that
        # channels can be joined: first a word for where each begins, then all of them without their own.
        bodies = [channel[4:] for channel in channels]
        sizes = [len(body) // 4 for body in bodies[:-1]]
        starts = np.cumsum([len(channels), *sizes]).astype("<u4")
        return starts.tobytes() + b"".join(bodies)

    def _encode_channel(self, channel: Voxels) -> bytes:
        import compressed_segmentation

        self._check_labels(channel)
        try:
            encoded: bytes = compressed_segmentation.compress(
                native(channel[..., np.newaxis]), self.block_size, order="F"
            )
        except OverflowError as error:
            raise EncodingError(f"too many labels for compressed_segmentation, try smaller chunks: {error}") from error
        return encoded

    def _check_labels(self, channel: Voxels) -> None:
        """Refuse blocks with more labels than 16 bits can tell apart, of which the library would never come back."""
        if np.prod(self.block_size) <= MOST_LABELS:
            return
        grid = ChunkGrid(Bbox((0, 0, 0), channel.shape), Vec(*self.block_size))
        for index in grid.indices(grid.bounds):
            if len(np.unique(channel[grid.box(index).to_slices()])) > MOST_LABELS:
                raise EncodingError(f"a block of {self.block_size} voxels has more than {MOST_LABELS:,} labels")

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        channels = layout.shape[3]
        if len(data) % 4 or len(data) < 4 * channels:
            raise DecodingError(f"{len(data)} bytes are not the 32-bit words of {channels} channels")
        starts = np.frombuffer(data, "<u4", count=channels).tolist()
        if min(starts) < channels:
            raise DecodingError(f"a channel that begins among the {channels} words which say where channels begin")
        single = Layout((*layout.shape[:3], 1), layout.dtype)
        parts = [self._decode_channel(data, start, single) for start in starts]
        return parts[0] if channels == 1 else np.concatenate(parts, axis=3)

    def _decode_channel(self, data: Buffer, start: int, layout: Layout) -> Voxels:
        import compressed_segmentation

        blocks = int(np.prod([-(-n // b) for n, b in zip(layout.shape, self.block_size, strict=False)]))
        body = np.frombuffer(data, "<u4")[start:]
        if len(body) < 2 * blocks:
            raise DecodingError(f"the headers of {blocks} blocks don't fit into {4 * len(body)} bytes")
        self._check_blocks(body, blocks, layout.dtype.itemsize // 4)
        alone = bytes(data) if start == 1 else b"\1\0\0\0" + body.tobytes()
        with decoding("compressed_segmentation"):
            voxels: Voxels = compressed_segmentation.decompress(
                alone, layout.shape, layout.dtype, self.block_size, order="F"
            )
        return voxels.reshape(layout.shape, order="F")

    def _check_blocks(self, body: Voxels, blocks: int, words_a_label: int) -> None:
        """Refuse what would make the C code read outside of ``body``, the words of one channel.

        It begins with a header of two words for each block: the offset of its table (24 bits) and its bits a
        voxel (8 bits), then the offset of its values.
        """
        headers = body[: 2 * blocks].reshape(blocks, 2).astype(np.int64)
        tables, bits, values = headers[:, 0] & 0xFFFFFF, headers[:, 0] >> 24, headers[:, 1]
        if not np.isin(bits, (0, 1, 2, 4, 8, 16, 32)).all():
            raise DecodingError("a block has an impossible number of bits a voxel")
        value_words = -(-int(np.prod(self.block_size)) * bits // 32)
        ends = np.where(bits > 0, values + value_words, 0)
        if (ends > len(body)).any() or (tables + words_a_label > len(body)).any():
            raise DecodingError("a block points outside of the chunk")
        self._check_indices(body, headers, words_a_label)

    def _check_indices(self, body: Voxels, headers: Voxels, words_a_label: int) -> None:
        """The largest index of each width must still be inside of the chunk, or is looked up."""
        tables, bits, values = headers[:, 0] & 0xFFFFFF, headers[:, 0] >> 24, headers[:, 1]
        for width in np.unique(bits[bits > 0]):
            chosen = np.flatnonzero(bits == width)
            room = (len(body) - tables[chosen]) // words_a_label
            # A block whose table has room for every index that its bits can spell needs no look.
            doubtful = chosen[room < (1 << int(width))]
            count = -(-int(np.prod(self.block_size)) * int(width) // 32)
            for block in doubtful:
                packed = body[values[block] : values[block] + count]
                largest = _largest_index(packed, int(width))
                if int(tables[block]) + (largest + 1) * words_a_label > len(body):
                    raise DecodingError("a voxel points outside of the table of its block")


def _largest_index(packed: Voxels, width: int) -> int:
    """The largest of the ``width``-bit numbers in 32-bit words."""
    mask = np.uint32((1 << width) - 1)
    return max(int(((packed >> np.uint32(shift)) & mask).max()) for shift in range(0, 32, width))
