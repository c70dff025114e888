"""``vol.cache``: looking at the cache on disk, and emptying it."""

from __future__ import annotations

import builtins
import os
import shutil
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from cvbatch.formats.precomputed import read_info_document, write_document
from cvbatch.geometry import Bbox
from cvbatch.storage import LocalStore
from cvbatch.volume.cache import cache_folder, cached_files, files_of
from cvbatch.volume.context import Context
from cvbatch.volume.options import Compress
from cvbatch.volume.selection import Key, as_box


class CacheService:
    """The cached objects of one volume, below :attr:`path`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def enabled(self) -> bool:
        """Whether reading looks here first and leaves here what it has fetched. A path enables it there."""
        return self._context.cache_enabled

    @enabled.setter
    def enabled(self, value: bool | str) -> None:
        self._context.cache_enabled = bool(value)
        if isinstance(value, str) and value:
            self.path = cache_folder(self._context.meta.location, value)

    @property
    def path(self) -> str:
        """The folder of this volume in the cache."""
        return self._context.cache.path

    @path.setter
    def path(self, value: str) -> None:
        self._context.cache = replace(self._context.cache, path=os.path.abspath(os.path.expanduser(value)))

    @property
    def compress(self) -> Compress:
        """None: as the volume's objects are. True: gzip. False: not compressed. Or the name of a compression."""
        return self._context.cache.compress

    @compress.setter
    def compress(self, value: Compress) -> None:
        self._context.cache = replace(self._context.cache, compress=value)

    @property
    def max_bytes(self) -> int | None:
        """What was not used for longest is removed beyond this many bytes; None keeps everything."""
        return self._context.cache.max_bytes

    @max_bytes.setter
    def max_bytes(self, value: int | None) -> None:
        self._context.cache = replace(self._context.cache, max_bytes=value)

    def _files(self, mip: int | None) -> builtins.list[os.DirEntry[str]]:
        return cached_files(self.path, self._context.meta.key(self._context.to_mip(mip)))

    def list(self, mip: int | None = None) -> builtins.list[str]:
        """The names of the files that are cached of a mip."""
        return sorted(entry.name for entry in self._files(mip))

    def num_files(self, all_mips: bool = False) -> int | builtins.list[int]:
        """Files of this mip, or a list with those of each mip."""
        mips = self._context.meta.scales if all_mips else []
        return [len(self._files(mip)) for mip in range(len(mips))] if all_mips else len(self._files(None))

    def num_bytes(self, all_mips: bool = False) -> int | builtins.list[int]:
        """Bytes in the files of this mip, or a list with those of each mip."""
        if all_mips:
            return [_total(self._files(mip)) for mip in range(len(self._context.meta.scales))]
        return _total(self._files(None))

    def flush(self, preserve: Key | None = None) -> None:
        """Remove all that is cached of this volume, at all mips, or all but the chunks in ``preserve`` (at this mip).

        The preserved box is brought to the other mips.
        """
        if preserve is None:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        for mip, box in self._boxes(preserve, None):
            keep = set(self._of_chunks(mip, box))
            for entry in self._files(mip):
                if entry.path not in keep:
                    _unlink(entry.path)

    def flush_region(self, region: Key, mips: Iterable[int] | None = None) -> None:
        """Remove the chunks of a box (in voxels of this mip) at some mips, or all."""
        for mip, box in self._boxes(region, mips):
            for path in self._of_chunks(mip, box):
                _unlink(path)

    def _boxes(self, region: Key, mips: Iterable[int] | None) -> builtins.list[tuple[int, Bbox]]:
        """A box of this mip, at each of the mips."""
        meta, mip = self._context.meta, self._context.mip
        box = as_box(region, self._context.extent(mip).unlimited())
        wanted = range(len(meta.scales)) if mips is None else mips
        return [(each, meta.bbox_to_mip(box, mip, each)) for each in wanted]

    def _of_chunks(self, mip: int, box: Bbox) -> Iterable[str]:
        access = self._context.access(mip)
        chunks = access.chunks()
        for index in access.grid.indices(box):
            yield from files_of(self.path, chunks.key(index))

    def check_info(self) -> None:
        """Keep the volume's ``info`` here, and warn where it is not the one that was kept before."""
        store, info = LocalStore(self.path), self._context.meta.info
        with suppress(Exception):
            known = read_info_document(store)
            if known is not None and known != info:
                warnings.warn(
                    f"the info of {self._context.meta.location.url} is not the one of the cache in {self.path}. If its "
                    "chunks have changed too, call vol.cache.flush()",
                    stacklevel=2,
                )
            write_document(store, "info", info)

    def __repr__(self) -> str:
        return f"CacheService(enabled={self.enabled}, compress={self.compress}, path={self.path!r})"


def _total(files: Iterable[os.DirEntry[str]]) -> int:
    total = 0
    for entry in files:
        with suppress(OSError):
            total += entry.stat().st_size
    return total


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
