"""The scales that a job writes: what was asked for, against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cvbatch.codecs import ARRAY_CODECS, default_compression
from cvbatch.config.model import Config, EncodingConfig
from cvbatch.config.origin import Origin
from cvbatch.errors import (
    ConfigError,
    DestinationMismatchError,
    InputError,
    OutOfBoundsError,
    UnsupportedFormatError,
)
from cvbatch.formats.precomputed.sharding import ShardingSpec, choose_sharding
from cvbatch.geometry import Bbox, Vec, coarser_bounds, coarser_resolution
from cvbatch.metadata import Level, ScaleInfo, VolumeInfo, VoxelType, check_writable
from cvbatch.metadata.volume import format_resolution

# Members that readers need even where nobody asked for a value.
REQUIRED_MEMBERS: Mapping[str, Mapping[str, Any]] = {
    "compressed_segmentation": {"compressed_segmentation_block_size": [8, 8, 8]},
}


@dataclass(frozen=True)
class LevelRules:
    """What decides the levels. ``region`` is in the destination's voxels at the first level's resolution."""

    config: Config
    voxel: VoxelType
    source: ScaleInfo
    region: Bbox
    there: VolumeInfo | None
    origin: Origin

    @property
    def mips(self) -> int:
        return self.config.downsample.mips if self.config.downsample is not None else 0

    @property
    def factor(self) -> Vec:
        return Vec(*self.config.downsample.factor) if self.config.downsample is not None else Vec.ones()


def make_levels(rules: LevelRules) -> tuple[Level, ...]:
    """The levels, finest first.

    Raises :class:`DestinationMismatchError`, :class:`UnsupportedFormatError` or
    :class:`~cvbatch.errors.ConfigError` for what can't be.
    """
    _check_voxel(rules)
    template = _template(rules)
    levels: list[Level] = []
    if rules.config.job == "transfer":
        levels.append(Level(_first(rules, template), Vec.ones()))
        before = levels[0].scale
    else:
        before = rules.source
    for number in range(rules.mips):
        before = _coarser(rules, before, number)
        levels.append(Level(before, rules.factor))
    for level in levels:
        check_writable(rules.voxel, level.scale)
    return tuple(levels)


def _check_voxel(rules: LevelRules) -> None:
    if rules.there is not None and rules.there.voxel != rules.voxel:
        raise DestinationMismatchError(f"the destination holds {rules.there.voxel}, the source {rules.voxel}")


def _template(rules: LevelRules) -> ScaleInfo:
    """The source's scale with what the configuration asks for in its place."""
    target = rules.config.destination
    scale = replace(rules.source, chunk_sizes=(rules.source.chunk_size,), sharding=None)
    if target is None:
        return scale
    if target.chunk_size is not None:
        scale = replace(scale, chunk_sizes=(Vec(*target.chunk_size),))
    if target.encoding is not None:
        members = _encoding_members(target.encoding, rules.origin)
        if target.encoding.name != scale.encoding:
            ours = {member for codec in ARRAY_CODECS.values() for member in codec.traits.parameters.values()}
            other = {name: value for name, value in scale.other.items() if name not in ours}
            members = {**REQUIRED_MEMBERS.get(target.encoding.name, {}), **members}
        else:
            other = scale.other
        scale = replace(scale, encoding=target.encoding.name, other={**other, **members})
    return scale


def _encoding_members(encoding: EncodingConfig, origin: Origin) -> dict[str, Any]:
    """The members of a scale for the parameters in a configuration."""
    if encoding.name not in ARRAY_CODECS:
        raise UnsupportedFormatError(f"no encoding {encoding.name!r}; there are {', '.join(ARRAY_CODECS)}")
    names = ARRAY_CODECS[encoding.name].traits.parameters
    for name in encoding.parameters:
        if name not in names:
            known = ", ".join(names) or "none"
            problem = origin.problem(
                ("destination", "encoding", name), f"unknown parameter of {encoding.name}; there are: {known}"
            )
            raise ConfigError([problem])
    # Lists, as they come back from JSON.
    return {names[n]: list(v) if isinstance(v, tuple) else v for n, v in encoding.parameters.items()}


def _first(rules: LevelRules, template: ScaleInfo) -> ScaleInfo:
    """The level with the source's resolution."""
    target = rules.config.destination
    assert target is not None
    bounds = rules.region if target.extent == "region" else rules.source.bounds + rules.config.translate
    wanted = replace(template, size=bounds.size(), voxel_offset=bounds.minpt)
    found = _find(rules, wanted.resolution)
    if found is None:
        return _sharded(rules, replace(wanted, key=_free_key(rules, wanted)))
    _compare(rules, found)
    if target.extent == "region" and found.bounds != bounds:
        raise DestinationMismatchError(
            f"destination.extent region asks for {bounds}, the destination is {found.bounds}"
        )
    if not found.bounds.contains_bbox(rules.region):
        raise OutOfBoundsError(f"the region comes to {rules.region} in the destination, which is {found.bounds} there")
    return found


def _coarser(rules: LevelRules, before: ScaleInfo, number: int) -> ScaleInfo:
    """The next level, as it must be or as it is there."""
    bounds = coarser_bounds(before.bounds, rules.factor)
    if bounds.size() == before.size:
        raise InputError(
            f"downsample.mips is {rules.mips}, and this volume gives {number} with factor {rules.factor}: "
            f"it is {before.size} voxels then"
        )
    resolution = coarser_resolution(before.resolution, rules.factor)
    found = _find(rules, resolution)
    if found is None:
        made = replace(before, resolution=resolution, size=bounds.size(), voxel_offset=bounds.minpt)
        made = replace(made, sharding=None, chunk_sizes=(before.chunk_size,))
        return _sharded(rules, replace(made, key=_free_key(rules, made)))
    _compare(rules, found)
    if found.bounds != bounds:
        raise DestinationMismatchError(
            f"scale {found.key} of the destination is {found.bounds}; downsampling by {rules.factor} makes {bounds}"
        )
    return found


def _find(rules: LevelRules, resolution: tuple[float, ...]) -> ScaleInfo | None:
    """The scale of the destination with this resolution; None where it can be appended."""
    if rules.there is None:
        return None
    mip = rules.there.mip_at(resolution)
    if mip is not None:
        return rules.there.scales[mip]
    last = rules.there.scales[-1].resolution
    if any(new < old for new, old in zip(resolution, last, strict=True)):
        have = "; ".join(format_resolution(scale.resolution) for scale in rules.there.scales)
        raise DestinationMismatchError(
            f"the destination has no scale of {format_resolution(resolution)} nm, only {have}; "
            "finer scales can't be put before those that are there"
        )
    return None


def _compare(rules: LevelRules, found: ScaleInfo) -> None:
    """What was asked for explicitly must be what is there."""
    target = rules.config.destination
    if target is None:
        return
    if target.chunk_size is not None and Vec(*target.chunk_size) != found.chunk_size:
        raise DestinationMismatchError(
            f"destination.chunk_size is {list(target.chunk_size)}, scale {found.key} there has {list(found.chunk_size)}"
        )
    if target.encoding is not None:
        members = _encoding_members(target.encoding, rules.origin)
        if target.encoding.name != found.encoding:
            raise DestinationMismatchError(
                f"destination.encoding is {target.encoding.name}, scale {found.key} there has {found.encoding}"
            )
        for name, value in members.items():
            if found.other.get(name) != value:
                raise DestinationMismatchError(
                    f"the configuration gives {name} {value!r}, scale {found.key} there has {found.other.get(name)!r}"
                )
    _compare_sharding(target.sharding, found)


def _compare_sharding(wanted: str | dict[str, Any] | None, found: ScaleInfo) -> None:
    if wanted == "none" and found.sharding is not None:
        raise DestinationMismatchError(f"destination.sharding is none, scale {found.key} there is sharded")
    if wanted == "auto" and found.sharding is None:
        raise DestinationMismatchError(f"destination.sharding is auto, scale {found.key} there is not sharded")
    if isinstance(wanted, dict):
        there = None if found.sharding is None else ShardingSpec.from_json(found.sharding).to_json()
        if ShardingSpec.from_json(wanted).to_json() != there:
            raise DestinationMismatchError(f"destination.sharding is {wanted}, scale {found.key} there has {there}")


def _sharded(rules: LevelRules, scale: ScaleInfo) -> ScaleInfo:
    """A new scale with the sharding that is asked for."""
    target = rules.config.destination
    if target is None:  # Mips in place are laid out as the source is.
        wanted: str | dict[str, Any] | None = "none" if rules.source.sharding is None else "auto"
    else:
        wanted = target.sharding
    if wanted in (None, "none"):
        return replace(scale, sharding=None)
    if isinstance(wanted, dict):
        return replace(scale, sharding=ShardingSpec.from_json(wanted).to_json())
    compress = (target.compress if target is not None else None) or default_compression(scale.encoding)
    if compress not in ("gzip", "none"):
        raise UnsupportedFormatError(f"compress is {compress}; chunks of a sharded volume can have gzip or none")
    spec = choose_sharding(scale, rules.voxel.nbytes, "gzip" if compress == "gzip" else "raw")
    return replace(scale, sharding=spec.to_json())


def _free_key(rules: LevelRules, scale: ScaleInfo) -> str:
    """A key for a new scale: its resolution, as CloudVolume names them, or more where that is taken."""
    key = "_".join(str(int(r) if r == int(r) else r) for r in scale.resolution)
    taken = {there.key for there in rules.there.scales} if rules.there is not None else set()
    while key in taken:
        key += "_"
    return key
