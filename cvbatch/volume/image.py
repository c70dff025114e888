"""Reading and writing the voxels of a volume: ``vol.image``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.errors import AlignmentError, OutOfBoundsError
from cvbatch.formats.precomputed import add_processing
from cvbatch.formats.precomputed.sharding import TARGET_BYTES, choose_sharding
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.memory import FILE, SEGMENT, NamedArray, unlink_segment
from cvbatch.pipeline import missing_chunk
from cvbatch.storage import Location, open_store
from cvbatch.version import __version__
from cvbatch.volume.access import Access
from cvbatch.volume.canvas import Canvas, shared_canvas
from cvbatch.volume.context import Context
from cvbatch.volume.cutout import Origin, VolumeCutout
from cvbatch.volume.handout import do_all
from cvbatch.volume.options import processes_of
from cvbatch.volume.pool import perform
from cvbatch.volume.progress import progress_bar
from cvbatch.volume.selection import Key, as_box, select
from cvbatch.volume.shards import Shards
from cvbatch.volume.transfer import Changes, transfer
from cvbatch.volume.upload import check_image, cropped
from cvbatch.volume.work import ReadChunks, Work, WriteChunks

Mip = int | Sequence[float] | None


@dataclass(frozen=True)
class NamedBox:
    """A segment or file (``kind``), and the box whose voxels it holds, in Fortran (F) or C ``order``."""

    kind: str
    name: str
    bbox: Key
    order: str = "F"


DELETED_TOGETHER = 1000


class ImageSource:
    """The images of a volume. ``readonly`` True refuses to write."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.shared_memory_id = self.generate_shared_memory_location()

    @property
    def lru(self) -> Any:
        """Chunks in memory, a dict of bytes by name: ``resize``, ``nbytes``, ``items`` and so on."""
        return self._context.lru

    @property
    def readonly(self) -> bool:
        return self._context.meta.readonly

    @readonly.setter
    def readonly(self, value: bool) -> None:
        self._context.meta.readonly = value

    # Reading

    def select(self, key: Key, mip: Mip = None, parallel: int | None = None) -> VolumeCutout:
        """What ``vol[key]`` gives."""
        mip = self._context.to_mip(mip)
        selection = select(key, self._context.extent(mip))
        cutout = self._cutout(selection.box, mip, parallel)
        whole = selection.steps == Vec.ones() and cutout.shape[3] == selection.channels.stop - selection.channels.start
        return cutout if whole else cast(VolumeCutout, cutout[selection.strides])

    def download(self, bbox: Key, mip: Mip = None, parallel: int | None = None) -> VolumeCutout:
        """The voxels (x, y, z, channel) of a box.

        ``mip`` and ``parallel`` are the volume's if not given. Raises
        :class:`~cvbatch.errors.OutOfBoundsError`, :class:`~cvbatch.errors.EmptyVolumeException` for a chunk that
        is not there (without ``fill_missing``) and :class:`~cvbatch.errors.DecodingError` for one that is damaged.
        """
        mip = self._context.to_mip(mip)
        return self._cutout(as_box(bbox, self._context.extent(mip).cropping()), mip, parallel)

    def _cutout(self, box: Bbox, mip: int, parallel: int | None) -> VolumeCutout:
        access, processes = self._context.access(mip), self._processes(parallel)
        inside = box.intersection(access.scale.bounds)
        chunks = len(ChunkGrid(access.grid.index_range(inside), Vec.ones()))
        if processes == 1 or chunks < 2 or not access.shareable or self.lru.size > 0:
            canvas = Canvas.private(box, access.voxel)
            self._read(access, canvas, 1)
            return VolumeCutout(canvas.voxels, self._origin(box, mip))
        with shared_canvas("cutout", box, access.voxel) as canvas:
            self._read(access, canvas, processes)
            # The name goes now; the pages stay as long as an array is over them.
            return VolumeCutout(canvas.voxels, self._origin(box, mip))

    def _read(self, access: Access, canvas: Canvas, processes: int) -> None:
        """Fill a canvas, what is outside of the volume with background."""
        inside = canvas.box.intersection(access.scale.bounds)
        if inside != canvas.box:
            canvas.voxels[...] = access.background
        if not inside.empty():
            self._perform(ReadChunks(access, canvas, inside, lru=self.lru), processes, "Downloading")

    def _perform(self, work: Work, processes: int, doing: str) -> None:
        with progress_bar(self._context.options.progress, doing, len(work)) as tick:
            perform(work, processes, tick)

    def _processes(self, parallel: int | None) -> int:
        return processes_of(self._context.options.parallel if parallel is None else parallel)

    def _origin(self, box: Bbox, mip: int) -> Origin:
        meta = self._context.meta
        *_, dataset, layer = ["", *meta.location.path.split("/")]
        return Origin(meta.location.url, dataset, layer, str(meta.info["type"]), mip, meta.resolution(mip), box)

    def download_points(self, points: Iterable[Sequence[int]], mip: Mip = None) -> dict[tuple[int, ...], Any]:
        """The values at points in voxels of ``mip``, each chunk decoded once: a number, or an array of the channels.

        Raises as :meth:`download`.
        """
        mip = self._context.to_mip(mip)
        access, extent = self._context.access(mip), self._context.extent(mip)
        by_chunk: dict[Vec, list[Vec]] = {}
        values: dict[tuple[int, ...], Any] = {}
        for point in points:
            voxel = extent.admit(Bbox.from_delta(Vec(*map(int, point)), 1)).minpt
            chunk = next(access.grid.indices(Bbox.from_delta(voxel, 1)), None)
            if chunk is None:
                values[tuple(voxel)] = _value(np.full(access.voxel.channels, access.background, access.voxel.dtype))
            else:
                by_chunk.setdefault(chunk, []).append(voxel)
        chunks, reader = list(by_chunk), access.reader(lru=self.lru)

        def look(number: int) -> None:
            index, tally = chunks[number], Tally()
            blob = reader.fetch(index, tally)
            voxels = reader.empty(index) if blob is None else reader.decode(index, blob, tally)
            origin = access.grid.box(index).minpt
            for voxel in by_chunk[index]:
                values[tuple(voxel)] = _value(voxels[tuple(voxel - origin)].copy())

        do_all(look, len(chunks), access.threads)
        return values

    def unique(self, bbox: Key, mip: Mip = None) -> set[Any]:
        """The values in a box, found chunk by chunk, with a few of them in memory. Raises as :meth:`download`."""
        import fastremap

        mip = self._context.to_mip(mip)
        access = self._context.access(mip)
        box = as_box(bbox, self._context.extent(mip).cropping())
        inside = box.intersection(access.scale.bounds)
        chunks, reader = list(access.grid.indices(inside)), access.reader(lru=self.lru)
        found: set[Any] = set() if inside == box else {access.voxel.dtype.type(access.background).item()}

        def look(number: int) -> None:
            index, tally = chunks[number], Tally()
            blob = reader.fetch(index, tally)
            if blob is None:
                found.add(access.voxel.dtype.type(access.background).item())
                return
            chunk = access.grid.box(index)
            part = chunk.intersection(inside) - chunk.minpt
            voxels = reader.decode(index, blob, tally)[part.to_slices()]
            # fastremap writes beyond its buffers where the range of a signed type does not fit into it.
            found.update((fastremap.unique if voxels.dtype.kind == "u" else np.unique)(voxels).tolist())

        do_all(look, len(chunks), access.threads)
        return found

    def download_files(self, bbox: Key, mip: Mip = None, decompress: bool = True) -> dict[str, bytes | None]:
        """The files of the chunks that share voxels with a box, by name, None for those that are not there.

        ``decompress`` takes the compression off that is around the encoding; without it they are as stored.
        """
        mip = self._context.to_mip(mip)
        access = self._context.access(mip)
        reader, chunks = access.reader(lru=None), access.chunks()
        indices = list(access.grid.indices(as_box(bbox, self._context.extent(mip).cropping())))
        files: dict[str, bytes | None] = {chunks.key(index): None for index in indices}

        def fetch(number: int) -> None:
            index = indices[number]
            blob = chunks.read(index)
            if blob is not None:
                data = reader.unpack(index, blob) if decompress else blob.data
                files[chunks.key(index)] = bytes(data)

        do_all(fetch, len(indices), access.threads)
        return files

    def exists(self, bbox: Key, mip: Mip = None) -> dict[str, bool]:
        """For each chunk that shares voxels with a box, whether it is there."""
        mip = self._context.to_mip(mip)
        access = self._context.access(mip)
        chunks = access.chunks()
        return {chunks.key(i): chunks.exists(i) for i in access.grid.indices(as_box(bbox, self._context.extent(mip)))}

    def has_data(self, mip: Mip = None) -> bool:
        """Whether any chunk of a mip is there."""
        return self._context.access(self._context.to_mip(mip)).chunks().any()

    def is_sharded(self, mip: Mip = None) -> bool:
        """Whether the chunks of a mip share files."""
        return self._context.meta.scale(self._context.to_mip(mip)).get("sharding") is not None

    def _shards(self, mip: Mip, spec: Mapping[str, Any] | None = None) -> Shards:
        return Shards.of(self._context.access(self._context.to_mip(mip)), spec)

    def shard_shape(self, mip: Mip = None) -> Vec:
        """Voxels of a shard along x, y, z: the box that is written at once. ValueError if there are no shards."""
        return self._shards(mip).shape

    def shard_filename(self, bbox: Key, mip: Mip = None) -> str:
        """The name of the shard that has a box's chunks."""
        return self._shards(mip).filename(self._box(bbox, mip))

    def morton_codes(
        self, bbox: Key, mip: Mip = None, same_shard: bool = True, require_aligned: bool = True
    ) -> tuple[list[Vec], np.ndarray[Any, Any]]:
        """The grid positions and Morton codes of a box's chunks.

        Raises :class:`~cvbatch.errors.AlignmentError` for a box that cuts chunks or reaches into several shards,
        unless that is allowed.
        """
        return self._shards(mip).codes(self._box(bbox, mip), same_shard, require_aligned)

    def make_shard(
        self, img_or_dict: Any, bbox: Key, mip: Mip = None, spec: Mapping[str, Any] | None = None
    ) -> tuple[str, bytes]:
        """A shard's name and bytes, from its voxels or ``{Morton code: encoded chunk}``. Nothing is written."""
        return self._shards(mip, spec).make(img_or_dict, self._box(bbox, mip))

    def to_sharded(
        self, mip: Mip = None, uncompressed_shard_bytesize: int = TARGET_BYTES, data_encoding: str = "gzip"
    ) -> None:
        """Describe shards of about so many bytes of voxels in ``info``. Not committed, and no chunk is moved."""
        mip = self._context.to_mip(mip)
        access = self._context.access(mip)
        spec = choose_sharding(access.scale, access.voxel.nbytes, data_encoding, uncompressed_shard_bytesize)
        self._context.meta.scale(mip)["sharding"] = spec.to_json()

    def to_unsharded(self, mip: Mip = None) -> None:
        """Describe chunks in files of their own in ``info``. Not committed, and no chunk is moved."""
        self._context.meta.scale(self._context.to_mip(mip)).pop("sharding", None)

    def _box(self, bbox: Key, mip: Mip) -> Bbox:
        return as_box(bbox, self._context.extent(self._context.to_mip(mip)))

    def grid_size(self, mip: Mip = None) -> Vec:
        """Chunks along x, y and z."""
        return self._context.access(self._context.to_mip(mip)).grid.shape

    # Writing

    def store(self, key: Key, image: Any, mip: Mip = None, parallel: int | None = None) -> None:
        """What ``vol[key] = image`` does."""
        mip = self._context.to_mip(mip)
        extent = self._context.extent(mip)
        selection = select(key, extent.unlimited())
        if selection.steps != Vec.ones():
            raise ValueError(f"steps of {tuple(selection.steps)}: only every voxel of a box can be written")
        access, given = self._context.access(mip), selection.box
        voxels = check_image(image, given, access.voxel, selection.channels)
        if extent.autocrop and not extent.bounded and given.intersection(extent.bounds).empty():
            return
        box = extent.admit(given)
        self._write(access, Canvas(cropped(voxels, given, box), box), box, self._processes(parallel))

    def upload(self, image: Any, bbox: Key, mip: Mip = None, parallel: int | None = None) -> None:
        """Write an array (x, y, z) or (x, y, z, channel), or one number, into a box, or from a point on.

        Raises :class:`~cvbatch.errors.AlignmentError` for a box that is not made of whole chunks (without
        ``non_aligned_writes``) or is not of the array's size, and ValueError for another data type.
        """
        if not isinstance(bbox, Bbox | slice | str) and np.shape(bbox) == (3,) and not _has_slice(bbox):
            bbox = Bbox.from_delta(Vec(*bbox), Vec(*np.shape(image)[:3]))
        self.store(bbox, image, mip, parallel)

    def _write(self, access: Access, canvas: Canvas, box: Bbox, processes: int) -> None:
        """Write ``box``, whose voxels are on the canvas."""
        self._context.meta.check_writable()
        self._check_aligned(access, box)
        self._check_shell(access, box)
        work = WriteChunks(access, canvas, box)
        if processes > 1 and len(work) > 1 and access.shareable and canvas.named is None:
            with shared_canvas("upload", box, access.voxel) as shared:
                shared.voxels[...] = canvas.part(box)
                self._perform(WriteChunks(access, shared, box), processes, "Uploading")
        else:
            self._perform(work, processes, "Uploading")
        self._forget(access, box)

    def _check_aligned(self, access: Access, box: Bbox) -> None:
        if not access.grid.bounds.contains_bbox(box):
            raise OutOfBoundsError(
                f"{box} leaves the volume, which is {access.grid.bounds}; outside of it nothing can be written. "
                "autocrop=True writes what is inside"
            )
        cells = access.cells
        if cells.is_aligned(box) or self._context.options.non_aligned_writes:
            return
        smaller, larger = cells.shrink(box), cells.expand(box)
        what = access.scale.cells
        raise AlignmentError(
            f"{box} is not made of whole {what} of {cells.cell}, counted from {cells.bounds.minpt}. "
            f"The nearest that are: {larger}" + ("" if smaller.empty() else f" and {smaller}") + ". "
            f"non_aligned_writes=True reads, changes and writes the {what} at its edge; no other program may write "
            "them at the same time"
        )

    @staticmethod
    def _check_shell(access: Access, box: Bbox) -> None:
        """Raise :class:`EmptyVolumeException` for a chunk that is to be changed in part and is not there.

        Before anything is written, and not when the chunks inside are.
        """
        if access.fill_missing or access.grid.is_aligned(box):
            return
        chunks = access.chunks()
        for index in access.grid.indices(box):
            if not box.contains_bbox(access.grid.box(index)) and not chunks.exists(index):
                raise missing_chunk(chunks.name(index))

    def transfer(self, cloudpath: str, bbox: Key, mip: Mip, changes: Changes) -> Location:
        """Bring a box to another volume; where that is. See :meth:`~cvbatch.CloudVolume.transfer_to`."""
        mip, target = self._context.to_mip(mip), self._context.place_beside(cloudpath)
        tasks = transfer(self._context, target, as_box(bbox, self._context.extent(mip)), mip, changes)
        self._perform(tasks, self._processes(None), "Transferring")
        method = {"task": "transfer_to", "job": tasks.plan.job.id, "version": __version__, "mip": mip}
        add_processing(open_store(target), {"method": method}, self._context.meta.location.url)
        return target

    def transfer_to(self, cloudpath: str, bbox: Key, mip: Mip = None, **changes: Any) -> None:
        """Bring a box to another volume, with the arguments of :meth:`~cvbatch.CloudVolume.transfer_to`."""
        changes.pop("block_size", None)
        self.transfer(cloudpath, bbox, mip, Changes(**changes))

    def _forget(self, access: Access, box: Bbox) -> None:
        """Drop chunks that have changed from memory."""
        if len(self.lru) > 0:
            chunks = access.chunks()
            for index in access.grid.indices(box):
                self.lru.pop(chunks.key(index), None)

    def delete(self, bbox: Key, mip: Mip = None) -> None:
        """Remove the chunks of a box. Raises :class:`~cvbatch.errors.AlignmentError` for one that cuts chunks."""
        mip = self._context.to_mip(mip)
        access = self._context.access(mip)
        box = as_box(bbox, self._context.extent(mip))
        self._context.meta.check_writable()
        if not access.grid.bounds.contains_bbox(box):
            raise OutOfBoundsError(
                f"{box} leaves the volume, which is {access.grid.bounds}; there is nothing to delete"
            )
        cells = access.cells
        if not cells.is_aligned(box):
            raise AlignmentError(
                f"{box} is not made of whole {access.scale.cells}, which alone can be deleted; the nearest box is "
                f"{cells.expand(box)}"
            )
        # Buckets remove many objects by one request; a shard has to be told of all its chunks at once.
        together = DELETED_TOGETHER if access.scale.sharding is None else 1
        parts = [cells.box(index) for index in cells.indices(box)]
        groups = [parts[first : first + together] for first in range(0, len(parts), together)]
        chunks = access.chunks()

        def remove(number: int) -> None:
            cell = chunks.cell(groups[number][0])
            cell.delete([index for part in groups[number] for index in access.grid.indices(part)])
            cell.finish()

        do_all(remove, len(groups), access.threads)
        self._forget(access, box)

    # Shared memory and files

    @staticmethod
    def generate_shared_memory_location() -> str:
        """A name that no segment has; nothing is made."""
        return f"cvbatch-{uuid.uuid4().hex[:20]}"

    def download_to(self, kind: str, name: str, bbox: Key, mip: Mip = None) -> VolumeCutout:
        """As :meth:`download`, into a new segment (``kind`` "segment") or file that stays when the array is gone."""
        mip = self._context.to_mip(mip)
        box = as_box(bbox, self._context.extent(mip))
        access = self._context.access(mip)
        named = NamedArray(kind, name, (*box.size(), access.voxel.channels), access.voxel.data_type)
        canvas = Canvas(named.create(), box, named)
        try:
            self._read(access, canvas, self._processes(None))
        except BaseException:
            named.remove()
            raise
        return VolumeCutout(canvas.voxels, self._origin(box, mip))

    def upload_from(self, given: NamedBox, cutout_bbox: Key | None = None, mip: Mip = None) -> None:
        """Write what a segment or file of raw voxels holds, without copying them.

        ``cutout_bbox`` writes only that part. Raises :class:`~cvbatch.errors.SharedMemoryReadError` where it is
        not there or not of that size.
        """
        if given.order not in ("F", "C"):
            raise ValueError(f"order is {given.order!r}, not F or C")
        mip = self._context.to_mip(mip)
        extent = self._context.extent(mip)
        holds = as_box(given.bbox, extent.unlimited())
        box = extent.admit(holds if cutout_bbox is None else as_box(cutout_bbox, extent.unlimited()))
        if not holds.contains_bbox(box):
            raise AlignmentError(f"cutout_bbox {box} is not inside of what {given.name!r} holds, {holds}")
        access = self._context.access(mip)
        shape = (*holds.size(), access.voxel.channels)
        named = NamedArray(given.kind, given.name, shape, access.voxel.data_type, given.order)
        self._write(access, Canvas.at(named, holds), box, self._processes(None))

    def download_to_shared_memory(self, bbox: Key, location: str | None = None, mip: Mip = None) -> VolumeCutout:
        return self.download_to(SEGMENT, location or self.shared_memory_id, bbox, mip)

    def download_to_file(self, path: str, bbox: Key, mip: Mip = None) -> VolumeCutout:
        return self.download_to(FILE, path, bbox, mip)

    def unlink_shared_memory(self, location: str | None = None) -> bool:
        """Remove the segment of this volume, or another one; whether it was there."""
        return unlink_segment(location or self.shared_memory_id)


def _value(channels: Voxels) -> Any:
    return channels[0] if len(channels) == 1 else channels


def _has_slice(key: Iterable[Any]) -> bool:
    return any(isinstance(part, slice) for part in key)
