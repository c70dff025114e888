"""Which array encodings there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cvbatch.codecs.base import ArrayCodec
from cvbatch.codecs.compressed_segmentation import CompressedSegmentation
from cvbatch.codecs.compresso import Compresso
from cvbatch.codecs.crackle import Crackle
from cvbatch.codecs.fpzip import Fpzip
from cvbatch.codecs.jpeg import Jpeg
from cvbatch.codecs.jxl import Jxl
from cvbatch.codecs.kempressed import Kempressed
from cvbatch.codecs.npz import Npz
from cvbatch.codecs.png import Png
from cvbatch.codecs.raw import Raw
from cvbatch.codecs.zfpc import Zfpc
from cvbatch.errors import UnsupportedFormatError

ARRAY_CODECS: Mapping[str, type[ArrayCodec]] = {
    codec.traits.name: codec
    for codec in (
        Raw,
        Jpeg,
        Png,
        Jxl,
        CompressedSegmentation,
        Compresso,
        Crackle,
        Fpzip,
        Kempressed,
        Zfpc,
        Npz,
    )
}


def array_codec(encoding: str, parameters: Mapping[str, Any]) -> ArrayCodec:
    """The codec for the ``encoding`` of a scale; ``parameters`` are the scale's other members.

    Raises :class:`UnsupportedFormatError` for an encoding that there is not.
    """
    if encoding not in ARRAY_CODECS:
        raise UnsupportedFormatError(f"no codec for encoding {encoding!r}; there are {', '.join(ARRAY_CODECS)}")
    return ARRAY_CODECS[encoding].from_parameters(parameters)


def codecs_for(dtype: np.dtype[Any], channels: int) -> list[str]:
    """The encodings that such voxels can be written in."""
    return [name for name, codec in ARRAY_CODECS.items() if codec.traits.writable and codec.holds(dtype, channels)]


def parameters_of(encoding: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a scale's members that decide the bytes of this encoding."""
    names = ARRAY_CODECS[encoding].traits.parameters.values() if encoding in ARRAY_CODECS else ()
    return {name: members[name] for name in names if name in members}
