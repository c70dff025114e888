"""``crackle``: labels as the cracks between them, section by section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Parameterless, Traits, Voxels, decoding, native
from cvbatch.errors import DecodingError


@dataclass(frozen=True)
class Crackle(Parameterless):
    """Format: seung-lab/crackle, a stream of the ``crackle-codec`` package with checksums."""

    traits: ClassVar[Traits] = Traits("crackle", viewable=False, fragile=True)

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype.kind == "u" and channels == 1

    def encode(self, voxels: Voxels) -> Buffer:
        import crackle

        # One thread: the pipeline has its own.
        encoded: bytes = crackle.compress(native(voxels[:, :, :, 0]), parallel=1)
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        import crackle

        raw = bytes(data)
        with decoding("crackle"):
            self._check(raw, layout)
            voxels: Voxels = crackle.decompress(raw, parallel=1)
        return voxels.reshape(layout.shape, order="F")

    @staticmethod
    def _check(raw: bytes, layout: Layout) -> None:
        """Raise for a stream that is not one of ``layout``, or whose checksums say that it is damaged.

        The header's checksum is verified by the library, those of the index and the labels here: they decide
        about memory. The cracks have checksums of what comes out only.
        """
        from crackle import codec

        header = codec.header(raw)
        size, width = (header.sx, header.sy, header.sz), header.data_width
        if size != layout.shape[:3] or width != layout.dtype.itemsize:
            raise DecodingError(
                f"a crackle stream of {size} with {width} bytes a label is not a chunk of {layout.shape} {layout.dtype}"
            )
        sections = codec.components(raw)
        index, labels = bytes(sections["z_index"]), bytes(sections["labels"])
        if len(index) != header.grid_index_bytes or len(labels) != header.num_label_bytes:
            raise DecodingError("cut short")
        if header.format_version == 0:
            return  # The first version had no checksums.
        if codec.crc32c(index[:-4]) != int.from_bytes(index[-4:], "little"):
            raise DecodingError("the checksum of its index is wrong")
        if codec.crc32c(labels) != codec.labels_crc(raw):
            raise DecodingError("the checksum of its labels is wrong")
        lengths = np.frombuffer(index[:-4], "<u4")
        if int(lengths.sum()) + header.num_markov_model_bytes != len(sections["crack_codes"]):
            raise DecodingError("cut short")
