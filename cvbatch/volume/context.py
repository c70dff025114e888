"""What the parts of one opened volume share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cvbatch.geometry import Vec
from cvbatch.storage import Location, parse_location
from cvbatch.volume.access import Access
from cvbatch.volume.cache import CacheSettings
from cvbatch.volume.lru import ChunkLru
from cvbatch.volume.metadata import Metadata
from cvbatch.volume.options import Options, compression_name
from cvbatch.volume.selection import Extent


@dataclass
class Context:
    """A volume's documents, the options that hold now, the mip that is meant if none is given, and its caches."""

    meta: Metadata
    options: Options
    mip: int
    lru: ChunkLru
    cache: CacheSettings
    cache_enabled: bool

    def set_options(self, **changes: Any) -> None:
        """Change options. Raises ValueError for values that they can't have."""
        self.options = replace(self.options, **changes)

    def to_mip(self, mip: int | Sequence[float] | None) -> int:
        """The mip that is meant. Raises :class:`~cvbatch.errors.ScaleUnavailableError`."""
        return self.mip if mip is None else self.meta.to_mip(mip)

    def access(self, mip: int) -> Access:
        """How the scale of a mip is read and written with these options."""
        info, options = self.meta.parsed(), self.options
        scale = info.scale(mip)
        compress = scale.shard_compression or compression_name(options.compress, scale.encoding)
        caching = replace(self.meta.location.options, cache_control=options.cache_control)
        location = replace(self.meta.location, options=caching)
        return Access(
            location,
            info.voxel,
            scale,
            fill_missing=options.fill_missing,
            background=options.background_color,
            delete_background=options.delete_black_uploads,
            compress=compress,
            compress_level=None if compress == "none" else options.compress_level,
            cache=self.cache if self.cache_enabled else None,
        )

    def place_beside(self, cloudpath: str) -> Location:
        """Another volume. On the same server it is reached in the same way, with the same credentials."""
        ours, there = self.meta.location, parse_location(cloudpath)
        caching = replace(there.options, cache_control=self.options.cache_control)
        if (there.protocol, there.endpoint) == (ours.protocol, ours.endpoint):
            caching = replace(ours.options, cache_control=self.options.cache_control)
        return replace(there, options=caching)

    def extent(self, mip: int) -> Extent:
        """What there is to select from."""
        meta, options = self.meta, self.options
        return Extent(
            meta.bounds(mip),
            int(meta.info["num_channels"]),
            Vec(*meta.scale(mip)["resolution"]),
            options.bounded,
            options.autocrop,
        )
