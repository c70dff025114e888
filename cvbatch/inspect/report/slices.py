"""A section of source and destination, side by side, as pictures."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

from cvbatch.errors import CvbatchError
from cvbatch.formats.precomputed import require_info
from cvbatch.geometry import Bbox, Vec
from cvbatch.inspect.report.pixels import Range, encode_png, grey_range, read_section
from cvbatch.metadata import Job, ScaleInfo, VolumeInfo
from cvbatch.planner.plan import base_bounds
from cvbatch.storage import Location, open_store

# A picture has about as many voxels on its longer side.
FEWEST, MOST = 256, 512

# x0, y0, x1, y1
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Slice:
    """A picture, or why there is none.

    ``png`` may have holes, which are transparent: ``problem`` says why. ``width`` and ``height`` are those of what it
    shows, in nm. ``frame`` is the part of it, in shares of its sides, that other pictures show.
    """

    title: str
    words: str
    width: float
    height: float
    png: bytes = b""
    problem: str = ""
    frame: Rectangle | None = None

    @property
    def data_uri(self) -> str:
        """The picture as an address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class View:
    """A scale that can be shown. One of its voxels is ``ratio`` of the job's base, whose first is its ``first``."""

    mip: int
    scale: ScaleInfo
    ratio: tuple[float, ...]
    first: Vec

    def section(self, window: Bbox) -> Bbox:
        """Its voxels in the middle section of a window, which is in voxels of the base, from the region's first on."""
        low = [int(start // ratio) for start, ratio in zip(window.minpt, self.ratio, strict=True)]
        high = [int(-(-stop // ratio)) for stop, ratio in zip(window.maxpt, self.ratio, strict=True)]
        middle = (low[2] + high[2]) // 2
        box = Bbox((low[0], low[1], middle), (high[0], high[1], middle + 1)) + self.first
        return box.intersection(self.scale.bounds)

    def longer_side(self, window: Bbox) -> float:
        """Voxels on the longer side of a window."""
        return max(window.dx / self.ratio[0], window.dy / self.ratio[1])


@dataclass(frozen=True)
class Shown:
    """A volume with its views, finest first; ``problem`` is why there are none. ``background`` is what chunks that
    are rightly absent read as, None where none should be."""

    title: str
    location: Location
    info: VolumeInfo | None
    views: tuple[View, ...]
    problem: str = ""
    background: int | None = None


def slices_of(job: Job) -> list[Slice]:
    """The middle section of source and destination; the whole of the destination, where those are only a part.

    Never raises for a volume that can't be read: the slice says why.
    """
    region = Bbox((0, 0, 0), tuple(job.region.size()))
    source, destination = source_of(job), destination_of(job)
    window = common_window(region, source.views, destination.views)
    seen = best_view(source.views, window)
    same = next((view for view in destination.views if seen is not None and view.ratio == seen.ratio), None)
    first, grey = _slice(source, seen, window, job, None)
    second, grey = _slice(destination, same or best_view(destination.views, window), window, job, grey)
    overview = best_view(destination.views, region)
    if overview is None or not second.png or (area := _crop(region, overview)) == window:
        return [first, second]
    third, _ = _slice(destination, overview, area, job, grey)
    return [first, second, replace(third, title="Destination, overview", frame=_shares(window, area))]


def source_of(job: Job) -> Shown:
    """The source, with the scales that are as coarse as the one that was read or coarser."""
    place, scale = job.source.location, job.source.scale
    first = job.region.minpt - job.translate - scale.voxel_offset
    info, problem = _info(place)
    found = (scale,) if info is None else info.scales
    made = {level.scale.resolution for level in job.levels} if place.same_place(job.destination) else set()
    scales = [each for each in found if each.resolution == scale.resolution or each.resolution not in made]
    background = job.background if job.source.missing == "fill" else None
    return Shown("Source", place, info, _views(scales, info, scale, first), problem, background)


def destination_of(job: Job) -> Shown:
    """The destination, with the scales that the job writes."""
    info, problem = _info(job.destination)
    scales = [level.scale for level in job.levels]
    views = _views(scales, info, job.source.scale, job.region.minpt - base_bounds(job, 0).minpt) if scales else ()
    problem = problem or ("" if views else "its info has none of the scales that the job writes")
    background = job.background if job.delete_background else None
    return Shown("Destination", job.destination, info, views, problem, background)


def _info(place: Location) -> tuple[VolumeInfo | None, str]:
    try:
        return require_info(open_store(place)), ""
    except CvbatchError as error:
        return None, str(error)


def _views(scales: list[ScaleInfo], info: VolumeInfo | None, base: ScaleInfo, first: Vec) -> tuple[View, ...]:
    """``first`` is the region's first voxel, counted from where the base begins."""
    views = []
    for scale in scales:
        mip = None if info is None else info.mip_at(scale.resolution)
        ratio = tuple(r / b for r, b in zip(scale.resolution, base.resolution, strict=True))
        if mip is None or min(ratio) < 1:
            continue
        own = [offset + int(n // r) for offset, n, r in zip(scale.voxel_offset, first, ratio, strict=True)]
        views.append(View(mip, scale, ratio, Vec(*own)))
    return tuple(sorted(views, key=lambda view: view.ratio))


def best_view(views: tuple[View, ...], window: Bbox) -> View | None:
    """The coarsest that still has enough voxels, else the finest."""
    fine_enough = [view for view in views if view.longer_side(window) >= FEWEST]
    return next(iter(fine_enough[-1:] or views[:1]), None)


def common_window(region: Bbox, *volumes: tuple[View, ...]) -> Bbox:
    """The part of the region, in the middle, of which no volume has too many voxels to show."""
    window = region
    for _ in volumes:  # Each may make it smaller for the others.
        for views in volumes:
            view = best_view(views, window)
            window = window if view is None else _crop(window, view)
    return window


def _crop(window: Bbox, view: View) -> Bbox:
    """The middle of a window, as much of it as a picture shows."""
    size = [min(n, int(MOST * ratio)) for n, ratio in zip(window.size()[:2], view.ratio[:2], strict=True)]
    low = [low + (n - own) // 2 for low, n, own in zip(window.minpt[:2], window.size()[:2], size, strict=True)]
    high = [at + n for at, n in zip(low, size, strict=True)]
    return Bbox((*low, window.minpt.z), (*high, window.maxpt.z))


def _shares(part: Bbox, whole: Bbox) -> Rectangle:
    """Where a part lies in a whole, in shares of its sides."""
    x, y = whole.dx, whole.dy
    low, high = part.minpt - whole.minpt, part.maxpt - whole.minpt
    return low.x / x, low.y / y, high.x / x, high.y / y


def _slice(shown: Shown, view: View | None, window: Bbox, job: Job, grey: Range | None) -> tuple[Slice, Range | None]:
    """The picture of a window, and between which values it is grey, if those were not given."""
    width, height = (n * r for n, r in zip(window.size()[:2], job.source.scale.resolution[:2], strict=True))
    if view is None or shown.info is None:
        return Slice(shown.title, shown.location.url, width, height, problem=shown.problem), grey
    box = view.section(window)
    size = f"{box.dx} × {box.dy}"
    words = f"mip {view.mip} ({view.scale.key}), z = {box.minpt.z}, {size} voxels from x {box.minpt.x}, y {box.minpt.y}"
    words += "" if shown.background is None else ", absent chunks as background"
    try:
        section = read_section(shown.location, view.mip, box, shown.background)
        is_image = job.voxel.layer_type == "image"
        grey = grey or (grey_range(section) if is_image else None)
        png = encode_png(section, grey if is_image else None) if section.readable.any() else b""
    except Exception as error:  # noqa: BLE001 - a report without a picture is better than none
        return Slice(shown.title, words, width, height, problem=str(error) or repr(error)), grey
    return Slice(shown.title, words, width, height, png, section.problem), grey
