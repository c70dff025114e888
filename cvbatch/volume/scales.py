"""Making ``info`` documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cvbatch.geometry import Bbox, Vec, coarser_bounds

Document = dict[str, Any]
BLOCK_SIZE = (8, 8, 8)


def default_layer_type(dtype: np.dtype[Any]) -> str:
    """Segmentation for unsigned integers of 32 bits and more, else image."""
    return "segmentation" if dtype.kind == "u" and dtype.itemsize >= 4 else "image"


def create_info(voxel: Mapping[str, Any], scale: Mapping[str, Any], factor: Sequence[int], max_mip: int) -> Document:
    """An ``info`` with mips 0 to ``max_mip``, each ``factor`` times coarser than the one before.

    ``voxel`` are the members about voxels, ``scale`` is mip 0 without its key.
    """
    info = {**voxel, "scales": [with_key(dict(scale))]}
    for mip in range(1, max_mip + 1):
        total = Vec(*[f**mip for f in factor])
        info["scales"].append(coarser_scale(info["scales"][0], total, None, None))
    return info


def coarser_scale(
    scale: Mapping[str, Any], factor: Vec, encoding: str | None, chunk_size: Sequence[int] | None
) -> Document:
    """The scale ``factor`` times coarser, with another encoding and chunk size if they are given."""
    given = Bbox.from_delta(scale.get("voxel_offset", (0, 0, 0)), Vec(*scale["size"]))
    bounds = coarser_bounds(given, factor)
    made = {
        **{name: value for name, value in scale.items() if name not in ("key", "sharding")},
        "encoding": encoding or scale["encoding"],
        "chunk_sizes": [[int(n) for n in chunk_size]] if chunk_size is not None else scale["chunk_sizes"],
        "resolution": [_whole(r * f) for r, f in zip(scale["resolution"], factor, strict=True)],
        "voxel_offset": list(bounds.minpt),
        "size": list(bounds.size()),
    }
    return with_key(with_block_size(made))


def with_block_size(scale: Document, block_size: Sequence[int] = BLOCK_SIZE) -> Document:
    """The scale with the member that its encoding needs, and without it if it has another."""
    name = "compressed_segmentation_block_size"
    if scale["encoding"] != "compressed_segmentation":
        return {key: value for key, value in scale.items() if key != name}
    return {**scale, name: scale.get(name, [int(n) for n in block_size])}


def with_key(scale: Document) -> Document:
    """The scale with the name that CloudVolume gives it: its resolution."""
    return {**scale, "key": "_".join(map(str, scale["resolution"]))}


def _whole(value: float) -> float:
    """An integer where the value is one."""
    return int(value) if value == int(value) else value
