"""``info`` and ``provenance`` of a volume, as documents that the user may change and commit."""

from __future__ import annotations

import copy
import json
import math
import operator
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from cvbatch.errors import (
    CyclicRedirect,
    InfoError,
    InfoUnavailableError,
    ReadOnlyException,
    RedirectError,
    ScaleUnavailableError,
    TooManyRedirects,
)
from cvbatch.formats.precomputed import parse_info, read_info_document, read_provenance, write_document
from cvbatch.geometry import Bbox, Vec, box_between_resolutions
from cvbatch.metadata import VolumeInfo
from cvbatch.metadata.volume import format_resolution
from cvbatch.storage import Location, Store, open_store, parse_location
from cvbatch.volume.scales import coarser_scale

Document = dict[str, Any]


def voxel_at(point: Sequence[float], given: Sequence[float], wanted: Sequence[float]) -> Vec:
    """The voxel of resolution ``wanted`` in which a point in voxels of resolution ``given`` lies.

    >>> voxel_at((11, -19, 5), (4, 4, 40), (8, 8, 40))
    Vec(5, -10, 5)
    """
    exact = [Fraction(p) * Fraction(a) / Fraction(b) for p, a, b in zip(point, given, wanted, strict=True)]
    return Vec(*map(math.floor, exact))


class Provenance(dict[str, Any]):
    """Where a volume comes from: a dict whose members are attributes too (``provenance.owners``)."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"provenance has no {name!r}; it has {', '.join(self)}")
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    @classmethod
    def of(cls, value: str | Mapping[str, Any]) -> Provenance:
        """From a dict or JSON; what is missing of its four members is empty."""
        given = json.loads(value) if isinstance(value, str) else value
        return cls({"description": "", "owners": [], "processing": [], "sources": [], **copy.deepcopy(given)})


class Metadata:
    """The documents of the volume at ``location``, following redirects.

    ``info`` is what the user sees and may change; nothing is written before a commit. ``readonly`` is set where
    the volume was reached by a redirect: writing to another place than the one that was named must be meant.
    """

    def __init__(self, location: Location, info: Document | None, max_redirects: int) -> None:
        self.location = location
        self.readonly = False
        self._max_redirects = max_redirects
        self._committed: Document | None = None
        self._provenance: Provenance | None = None
        if info is None:
            self.info = self.fetch()
        else:
            self.info = copy.deepcopy(info)
            self.parsed()

    @property
    def store(self) -> Store:
        return open_store(self.location)

    @property
    def uncommitted(self) -> bool:
        """Whether ``info`` is not what is stored, as far as this object knows."""
        return self.info != self._committed

    def fetch(self) -> Document:
        """The stored ``info``, of the volume that redirects lead to.

        Raises :class:`InfoUnavailableError`, :class:`TooManyRedirects` or :class:`CyclicRedirect`.
        """
        document = self._read()
        visited = [self.location]
        while self._max_redirects > 0 and (target := document.get("redirect")):
            place = parse_location(target)
            if self.location.is_remote and not place.is_remote:
                raise RedirectError(f"{self.location.url} redirects to {place.url}, which is on this machine")
            if place == self.location:
                break
            path = " → ".join(each.url for each in [*visited, place])
            if place in visited:
                raise CyclicRedirect(f"volumes that redirect to each other: {path}")
            if len(visited) > self._max_redirects:
                raise TooManyRedirects(f"more than max_redirects={self._max_redirects}: {path}")
            visited.append(place)
            self.location, self.readonly = place, True
            document = self._read()
        if self.readonly and len(visited) > 1:
            warnings.warn(
                f"{visited[0].url} redirects to {self.location.url}. This volume is read-only until you set "
                "vol.image.readonly = False, or open the second path",
                stacklevel=2,
            )
        parse_info(document, self.location.url)
        self._committed = copy.deepcopy(document)
        return document

    def _read(self) -> Document:
        url = self.location.url
        document = read_info_document(self.store)
        if document is None:
            self.store.reach()
            raise InfoUnavailableError(
                f"no volume at {url}: there is no {url}/info. To make one, pass info=CloudVolume.create_new_info(...)"
            )
        if not isinstance(document, dict):
            raise InfoUnavailableError(f"{url}/info: should be an object")
        return document

    def refresh(self) -> None:
        """Read ``info`` again, in place of changes that were not committed."""
        self.info = self.fetch()

    def parsed(self) -> VolumeInfo:
        """``info`` as it is now, checked. Raises :class:`InfoUnavailableError` that names what is wrong."""
        return parse_info(_plain(self.info), self.location.url)

    def commit(self) -> None:
        """Store ``info``."""
        self.parsed()
        self.check_writable()
        write_document(self.store, "info", _plain(self.info))
        self._committed = copy.deepcopy(self.info)

    def check_writable(self) -> None:
        """Raise :class:`ReadOnlyException` where this volume is not to be written to."""
        if self.readonly:
            raise ReadOnlyException(
                f"{self.location.url} was reached by a redirect and is read-only; set vol.image.readonly = False, "
                "or open it by its own path"
            )

    @property
    def provenance(self) -> Provenance:
        """Read when it is first asked for."""
        if self._provenance is None:
            self._provenance = Provenance.of(read_provenance(self.store))
        return self._provenance

    @provenance.setter
    def provenance(self, value: Provenance) -> None:
        self._provenance = value

    def refresh_provenance(self) -> None:
        """Forget changes that were not committed."""
        self._provenance = None

    def commit_provenance(self) -> None:
        """Store ``provenance``."""
        self.check_writable()
        write_document(self.store, "provenance", self.provenance)

    @property
    def scales(self) -> list[Document]:
        scales: list[Document] = self.info["scales"]
        return scales

    def to_mip(self, mip: int | Sequence[float]) -> int:
        """The index of a mip that is given as one (negative ones count from the coarsest) or as a resolution.

        Raises :class:`ScaleUnavailableError` that lists those there are.
        """
        there = ", ".join(f"{i} ({format_resolution(s['resolution'])} nm)" for i, s in enumerate(self.scales))
        if np.ndim(mip) > 0:
            wanted = [float(r) for r in mip]  # type: ignore[union-attr]
            for i, scale in enumerate(self.scales):
                if [float(r) for r in scale["resolution"]] == wanted:
                    return i
            raise ScaleUnavailableError(f"no mip of {format_resolution(tuple(wanted))} nm; there are {there}")
        number = _whole_number(mip)
        if number is None:
            raise ScaleUnavailableError(f"no mip {mip!r}; there are {there}")
        if not -len(self.scales) <= number < len(self.scales):
            raise ScaleUnavailableError(f"no mip {number}; there are {there}")
        return number % len(self.scales)

    def scale(self, mip: int) -> Document:
        return self.scales[self.to_mip(mip)]

    def key(self, mip: int) -> str:
        return str(self.scale(mip)["key"])

    def encoding(self, mip: int) -> str:
        return str(self.scale(mip)["encoding"])

    def resolution(self, mip: int) -> Vec:
        """Nanometres a voxel."""
        return Vec(*self.scale(mip)["resolution"])

    def volume_size(self, mip: int) -> Vec:
        return Vec(*self.scale(mip)["size"])

    def voxel_offset(self, mip: int) -> Vec:
        return Vec(*self.scale(mip).get("voxel_offset", (0, 0, 0)))

    def chunk_size(self, mip: int) -> Vec:
        return Vec(*self.scale(mip)["chunk_sizes"][0])

    underlying = chunk_size

    def shape(self, mip: int) -> tuple[int, ...]:
        """Voxels along x, y, z, and channels."""
        return (*self.volume_size(mip), int(self.info["num_channels"]))

    def ndim(self, mip: int) -> int:
        return len(self.shape(mip))

    def compressed_segmentation_block_size(self, mip: int) -> tuple[int, ...] | None:
        size = self.scale(mip).get("compressed_segmentation_block_size")
        return None if size is None else tuple(size)

    def bounds(self, mip: int) -> Bbox:
        return Bbox.from_delta(self.voxel_offset(mip), self.volume_size(mip))

    def downsample_ratio(self, mip: int) -> Vec:
        """How many voxels of mip 0 are one of this mip, along each axis."""
        pairs = zip(self.resolution(mip), self.resolution(0), strict=True)
        return Vec(*[coarse / fine for coarse, fine in pairs])

    def bbox_to_mip(self, box: Bbox, mip: int, to_mip: int) -> Bbox:
        """The smallest box of voxels of ``to_mip`` around a box of voxels of ``mip``.

        Counted from the origin of space, not from the volumes' offsets, as CloudVolume does it.
        """
        return box_between_resolutions(box, self.resolution(mip), self.resolution(to_mip))

    def point_to_mip(self, point: Sequence[float], mip: int, to_mip: int) -> Vec:
        """The voxel of ``to_mip`` in which a point in voxels of ``mip`` lies."""
        return voxel_at(point, self.resolution(mip), self.resolution(to_mip))

    def add_scale(
        self, factor: Sequence[int], encoding: str | None, chunk_size: Sequence[int] | None, info: Document | None
    ) -> Document:
        """Append the scale that is ``factor`` times coarser than mip 0, or put it in the place of that resolution."""
        document = self.info if info is None else info
        whole = [_whole_number(f) or 0 for f in factor]
        if min(whole) < 1:
            raise ValueError(f"factor is {tuple(factor)}; it should be three whole numbers of at least 1")
        made = coarser_scale(document["scales"][0], Vec(*whole), encoding, chunk_size)
        for i, scale in enumerate(document["scales"]):
            if scale["resolution"] == made["resolution"]:
                document["scales"][i] = made
                return made
        document["scales"].append(made)
        return made

    def reset_scales(self) -> None:
        """Keep mip 0 only. Not committed."""
        self.info["scales"] = self.info["scales"][:1]


def _whole_number(value: Any) -> int | None:
    """An integer, also of one that is a float; None for others."""
    try:
        return operator.index(value) if hasattr(value, "__index__") or int(value) != value else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _plain(document: Document) -> Document:
    """A document of lists and numbers as JSON has them, where users put tuples, Vecs and numpy's numbers."""
    try:
        plain: Document = json.loads(json.dumps(document, default=_number))
    except (TypeError, ValueError) as error:
        raise InfoError(f"info cannot be written as JSON: {error}") from error
    return plain


def _number(value: Any) -> Any:
    """What JSON can hold of a number or array of numpy."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} is no number, text, list or dict")
