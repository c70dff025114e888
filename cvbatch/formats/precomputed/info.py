"""``info``: the description of a volume.

Specification: google/neuroglancer, src/datasource/precomputed/volume.md.
"""

from __future__ import annotations

import sys
from typing import Any

from cvbatch.errors import InfoUnavailableError
from cvbatch.formats.precomputed.document import read_document, write_document
from cvbatch.geometry import Vec
from cvbatch.metadata.job import scale_from_json, scale_to_json
from cvbatch.metadata.volume import DATA_TYPES, LAYER_TYPES, ScaleInfo, VolumeInfo, VoxelType
from cvbatch.storage import Store

# The product of all lengths of a chunk can still be reckoned with as a float.
LARGEST_NUMBER = 1 << 200


def read_info(store: Store) -> VolumeInfo | None:
    """The ``info`` of the volume at a store, None where there is none."""
    document = read_info_document(store)
    return None if document is None else parse_info(document, store.url)


def require_info(store: Store) -> VolumeInfo:
    """The ``info`` of the volume at a store. Raises :class:`InfoUnavailableError` where there is none."""
    info = read_info(store)
    if info is None:
        store.reach()  # Perhaps nothing of the place is there.
        raise InfoUnavailableError(f"no volume at {store.url}: there is no file {store.url}/info")
    return info


def read_info_document(store: Store) -> object | None:
    """The ``info`` as it is written, None where there is none. Raises :class:`InfoUnavailableError`."""
    try:
        return read_document(store, "info")
    except ValueError as error:
        raise InfoUnavailableError(str(error)) from error


def write_info(store: Store, info: VolumeInfo) -> None:
    """Write ``info`` as readable JSON."""
    write_document(store, "info", info_to_json(info))


def info_to_json(info: VolumeInfo) -> dict[str, Any]:
    """The document that :func:`parse_info` reads, with the unknown members that it came with."""
    return {
        **info.other,
        "type": info.voxel.layer_type,
        "data_type": info.voxel.data_type,
        "num_channels": info.voxel.channels,
        "scales": [scale_to_json(scale) for scale in info.scales],
    }


def parse_info(document: object, url: str) -> VolumeInfo:
    """A checked ``info``. Raises :class:`InfoUnavailableError` that names the member at fault."""
    try:
        return _volume(document)
    except _MemberError as error:
        raise InfoUnavailableError(f"{url}/info: {error}") from error


class _MemberError(Exception):
    """A member of ``info`` that is missing or wrong."""


def _member(value: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in value:
        raise _MemberError(f"{where}{name} is missing")
    found = value[name]
    if not isinstance(found, kind) or isinstance(found, bool):
        raise _MemberError(f"{where}{name} should be a {kind.__name__}, not {found!r:.60}")
    return found


def _one_of(found: str, known: tuple[str, ...], name: str) -> str:
    if found.lower() not in known:
        raise _MemberError(f"{name} {found!r} is none of {', '.join(known)}")
    return found.lower()


def _volume(document: object) -> VolumeInfo:
    if not isinstance(document, dict):
        raise _MemberError("should be an object")
    scales = _member(document, "scales", list, "")
    if not scales:
        raise _MemberError("scales is empty")
    channels = _member(document, "num_channels", int, "")
    if not 1 <= channels <= LARGEST_NUMBER:
        raise _MemberError(f"num_channels is {channels}")
    voxel = VoxelType(
        _one_of(_member(document, "type", str, ""), LAYER_TYPES, "type"),
        _one_of(_member(document, "data_type", str, ""), DATA_TYPES, "data_type"),
        channels,
    )
    known = ("type", "data_type", "num_channels", "scales")
    other = {name: member for name, member in document.items() if name not in known}
    return VolumeInfo(voxel, tuple(_scale(scale, f"scales[{i}].") for i, scale in enumerate(scales)), other)


def _scale(value: object, where: str) -> ScaleInfo:
    if not isinstance(value, dict):
        raise _MemberError(f"{where[:-1]} should be an object")
    _member(value, "key", str, where)
    _member(value, "encoding", str, where)
    _integers(_member(value, "size", list, where), f"{where}size", least=1)
    if "voxel_offset" in value:
        _integers(_member(value, "voxel_offset", list, where), f"{where}voxel_offset", least=None)
    resolution = _member(value, "resolution", list, where)
    if len(resolution) != 3 or not all(_is_length(r) for r in resolution):
        raise _MemberError(f"{where}resolution should be three numbers above 0, not {resolution!r:.60}")
    chunk_sizes = _member(value, "chunk_sizes", list, where)
    if not chunk_sizes:
        raise _MemberError(f"{where}chunk_sizes is empty")
    for i, size in enumerate(chunk_sizes):
        _integers(size, f"{where}chunk_sizes[{i}]", least=1)
    if value.get("sharding") is not None:
        _member(value, "sharding", dict, where)
    return scale_from_json(value)


def _is_length(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _integers(value: object, where: str, least: int | None) -> Vec:
    if isinstance(value, list) and len(value) == 3 and all(type(n) is int for n in value):
        vec = Vec(*value)
        if (least is None or min(vec) >= least) and max(map(abs, vec)) <= LARGEST_NUMBER:
            return vec
    bound = "" if least is None else f" of at least {least}"
    raise _MemberError(f"{where} should be three whole numbers{bound}, not {value!r:.60}")
