"""Volumes in Neuroglancer: what it is told to show, and the server that it reads from.

State: google/neuroglancer, python/neuroglancer/viewer_state.py and src/viewer.ts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from cvbatch.codecs import ARRAY_CODECS, array_codec
from cvbatch.codecs.base import Voxels
from cvbatch.counts import Tally
from cvbatch.errors import CvbatchError, InputError, UnsupportedFormatError
from cvbatch.formats.precomputed import open_chunks, require_info
from cvbatch.geometry import Bbox
from cvbatch.inspect.client import ROOT, PackagedClient
from cvbatch.metadata import VolumeInfo, VoxelType
from cvbatch.pipeline.reader import ABSENT_IS_FILLED, ChunkReader
from cvbatch.storage import Location, Store, open_store
from cvbatch.volume.server import HOST, Page, VolumeServer, source_url, volume_name

HOSTED = "https://neuroglancer-demo.appspot.com/"
# What the client decodes; it shows nothing of a volume with a scale in anything else.
ENCODINGS = tuple(name for name, codec in ARRAY_CODECS.items() if codec.traits.viewable)
# Pixels of a panel in a window that fits most screens: (width, height).
PANEL = {"4panel": (600, 300), "xy": (1240, 600)}
# A volume this many times wider than it is deep is seen from above only.
FLAT = 8
# The darkest and the brightest voxels that may be lost to contrast, in percent.
CLIPPED = 0.5
COLORS = ("magenta", "lime", "cyan", "yellow", "red", "blue", "white")
# The view in space as a quaternion (x, y, z, w), from where all three sections are seen.
TILTED = (-0.25, 0.35, 0.1, 0.9)
# How much of the labels' colours covers the image below them.
TINT = 0.3

Range = tuple[float, float]


@dataclass(frozen=True)
class ViewedVolume:
    """A volume that is to be seen: the name of its layer, and which grey values are black and white in each channel."""

    name: str
    store: Store
    info: VolumeInfo
    contrast: tuple[Range, ...] = ()

    @property
    def type(self) -> str:
        return self.info.voxel.layer_type


def open_volumes(locations: Sequence[Location]) -> tuple[ViewedVolume, ...]:
    """The volumes at some places, images first, because labels lie on top of them.

    Raises :class:`InfoUnavailableError` where there is none, and :class:`UnsupportedFormatError` for those that
    Neuroglancer doesn't show.
    """
    stores = [open_store(location) for location in locations]
    infos = [_info(store) for store in stores]
    # The client is below a name of its own.
    names = distinct_names([volume_name(store) for store in stores], taken=[ROOT.partition("/")[0]])
    volumes = [
        ViewedVolume(name, store, info, grey_ranges(store, info))
        for name, store, info in zip(names, stores, infos, strict=True)
    ]
    return tuple(sorted(volumes, key=lambda volume: volume.type != "image"))


def _info(store: Store) -> VolumeInfo:
    info = require_info(store)
    for mip, scale in enumerate(info.scales):
        if scale.encoding not in ENCODINGS:
            raise UnsupportedFormatError(
                f"{store.url}: mip {mip} is in {scale.encoding}, which Neuroglancer doesn't decode; `cvbatch run` can"
                f" make a volume of it in one of {', '.join(ENCODINGS)}"
            )
    if info.voxel.data_type == "int64":
        raise UnsupportedFormatError(f"{store.url}: voxels are int64, which Neuroglancer doesn't show")
    return info


def distinct_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names of which no two are alike, and none is taken.

    >>> distinct_names(["em", "seg", "em", "em-2"])
    ['em', 'seg', 'em-2', 'em-2-2']
    """
    found, used = list[str](), set(taken)
    for name in names:
        free, number = name, 1
        while free in used:
            number += 1
            free = f"{name}-{number}"
        used.add(free)
        found.append(free)
    return found


def grey_ranges(store: Store, info: VolumeInfo) -> tuple[Range, ...]:
    """The grey values from black to white of each channel, by the chunk in the middle of the coarsest scale.

    Nothing for labels, and where that chunk can't be read or is of one grey.
    """
    if info.voxel.layer_type != "image":
        return ()
    scale = info.scales[-1]
    chunks = open_chunks(store, scale)
    middle = scale.voxel_offset + scale.size // 2
    index = next(iter(chunks.grid.indices(Bbox.from_delta(middle, (1, 1, 1)))))
    box = chunks.grid.box(index)
    voxels = np.zeros((*box.size(), info.voxel.channels), info.voxel.dtype, order="F")
    tally = Tally()
    try:
        reader = ChunkReader(chunks, array_codec(scale.encoding, scale.other), info.voxel, ABSENT_IS_FILLED)
        reader.paint(index, reader.fetch(index, tally), voxels, box, tally)
    except CvbatchError:
        # Neuroglancer shows what can be read of the rest.
        return ()
    ranges = [grey_range(voxels[..., channel]) for channel in range(info.voxel.channels)]
    return tuple(each for each in ranges if each is not None) if None not in ranges else ()


def grey_range(voxels: Voxels) -> Range | None:
    """Between which values nearly all voxels are, None for voxels of one value.

    Those of 0 don't count, for they are mostly where nothing was imaged.

    >>> grey_range(np.array([0, 0, 0, 100, 150, 200], np.uint8))
    (100, 200)
    """
    values = voxels[np.isfinite(voxels) & (voxels != 0)]
    if values.size == 0:
        return None
    # Voxels themselves, not something between two of them, so that whole numbers stay whole.
    low, high = np.percentile(values, (CLIPPED, 100 - CLIPPED), method="nearest").tolist()
    return (low, high) if low < high else None


def describe_view(volumes: Sequence[ViewedVolume], host: str) -> dict[str, Any]:
    """The state of Neuroglancer: all volumes of the server at ``host:port``, the first of them filling the view.

    The position is in voxels of the first volume's finest scale, as is the zoom (a side of the smallest voxel is 1).
    """
    scale = volumes[0].info.scales[0]
    smallest = min(scale.resolution)
    width, height, depth = (size * nm / smallest for size, nm in zip(scale.size, scale.resolution, strict=True))
    layout = "xy" if scale.size.z == 1 or depth * FLAT < max(width, height) else "4panel"
    panel_width, panel_height = PANEL[layout]
    over_image = volumes[0].type == "image"
    return {
        "dimensions": {axis: [nm / 1e9, "m"] for axis, nm in zip("xyz", scale.resolution, strict=True)},
        "position": [low + size // 2 + 0.5 for low, size in zip(scale.voxel_offset, scale.size, strict=True)],
        "crossSectionScale": max(width / panel_width, height / panel_height),
        "projectionScale": 1.7 * max(width, height, depth),
        "projectionOrientation": list(TILTED),
        "crossSectionBackgroundColor": "#000000",
        "hideCrossSectionBackground3D": True,
        "layers": [
            _image_layer(volume, host, is_lowest=i == 0)
            if volume.type == "image"
            else _label_layer(volume, host, over_image)
            for i, volume in enumerate(volumes)
        ],
        "layout": layout,
    }


def _image_layer(volume: ViewedVolume, host: str, is_lowest: bool) -> dict[str, Any]:
    layer = {"type": "image", "name": volume.name, "source": source_url(host, volume.name)}
    # Half of each image is seen where several lie on each other.
    return {**layer, "opacity": 1 if is_lowest else 0.5, **_shading(volume.info.voxel, volume.contrast)}


def _label_layer(volume: ViewedVolume, host: str, over_image: bool) -> dict[str, Any]:
    layer = {"type": "segmentation", "name": volume.name, "source": source_url(host, volume.name)}
    return {**layer, "selectedAlpha": TINT} if over_image else {**layer, "selectedAlpha": 1}


def _shading(voxel: VoxelType, contrast: Sequence[Range]) -> dict[str, Any]:
    """The shader of an image, and where its sliders stand: grey, red-green-blue, or a colour for each channel."""
    if voxel.channels == 1:
        return {"shaderControls": {"normalized": _slider(voxel, contrast[0])}} if contrast else {}
    if (voxel.channels, voxel.data_type) == (3, "uint8"):
        parts = ", ".join(f"toNormalized(getDataValue({channel}))" for channel in range(3))
        return {"shader": f"void main() {{\n  emitRGB(vec3({parts}));\n}}\n"}
    colors = list(enumerate(COLORS))[: voxel.channels]
    controls = "".join(
        f"#uicontrol invlerp contrast{channel}(channel={channel})\n"
        f'#uicontrol vec3 color{channel} color(default="{name}")\n'
        for channel, name in colors
    )
    total = " + ".join(f"contrast{channel}() * color{channel}" for channel, _ in colors)
    layer: dict[str, Any] = {"shader": f"{controls}void main() {{\n  emitRGB({total});\n}}\n"}
    if contrast:
        sliders = {f"contrast{channel}": _slider(voxel, contrast[channel]) for channel, _ in colors}
        layer["shaderControls"] = sliders
    return layer


def _slider(voxel: VoxelType, contrast: Range) -> dict[str, Any]:
    """A range, and around it as much as one may want to move it."""
    low, high = contrast
    if voxel.data_type == "uint8":
        return {"range": [low, high]}
    margin = (high - low) / 2
    window = [low - margin, high + margin]
    if voxel.dtype.kind == "f":
        return {"range": [low, high], "window": window}
    limits = np.iinfo(voxel.dtype)
    values = [low, high, max(round(window[0]), limits.min), min(round(window[1]), limits.max)]
    # Numbers of JavaScript hold 53 bits.
    written = [str(value) if voxel.nbytes == 8 else value for value in values]
    return {"range": written[:2], "window": written[2:]}


def link_to(page: str, state: dict[str, Any]) -> str:
    """The address of a state in the client at ``page``."""
    return f"{page}#!{quote(json.dumps(state, separators=(',', ':')), safe=':/,')}"


class ViewServer(VolumeServer):
    """Serves volumes, and the client if there is one, on this machine only. Port 0 takes a free one.

    Raises :class:`InputError` for a port that can't be had.
    """

    def __init__(self, volumes: Sequence[ViewedVolume], port: int, client: PackagedClient | None) -> None:
        self._volumes, self._client = tuple(volumes), client
        try:
            super().__init__({volume.name: volume.store for volume in volumes}, port)
        except OSError as error:
            raise InputError(f"cannot serve at {HOST}:{port}: {error.strerror}; 0 takes a port that is free") from error

    @property
    def link(self) -> str:
        """What to open in a browser."""
        if self._client is None:
            return link_to(HOSTED, describe_view(self._volumes, self.address))
        return f"http://{self.address}/"

    def page(self, path: str, host: str) -> Page | None:
        """The client, and at the root the way to it, with the state in the address."""
        if self._client is None:
            return None
        if path == "":
            # The host as the browser knows it, which is another one at the near end of a tunnel.
            return Page(location=link_to(f"/{ROOT}/", describe_view(self._volumes, host)))
        return self._client.page(path)

    def to_json(self) -> dict[str, Any]:
        """What is served."""
        layers = [
            {"name": volume.name, "type": volume.type, "source": source_url(self.address, volume.name)}
            for volume in self._volumes
        ]
        return {"url": self.link, "layers": layers, "client": "hosted" if self._client is None else "local"}
