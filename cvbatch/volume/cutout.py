"""An array that knows which voxels of which volume it holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from cvbatch.codecs.base import Voxels
from cvbatch.errors import UnsupportedFormatError
from cvbatch.geometry import Bbox, Vec

AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Origin:
    """Where a cutout comes from."""

    cloudpath: str
    dataset_name: str
    layer: str
    layer_type: str
    mip: int
    resolution: Vec
    bounds: Bbox


class VolumeCutout(np.ndarray[Any, Any]):
    """Voxels (x, y, z, channel) in Fortran order, with what is known of them.

    Slices, copies and results of arithmetic keep ``bounds`` and the rest, which are those of the whole cutout.
    """

    _origin: Origin | None

    def __new__(cls, voxels: Voxels, origin: Origin) -> Self:
        cutout = voxels.view(cls)
        cutout._origin = origin
        return cutout

    def __array_finalize__(self, before: NDArray[Any] | None) -> None:
        self._origin = getattr(before, "_origin", None)

    def __reduce__(self) -> Any:
        make, arguments, state = tuple(super().__reduce__())
        return make, arguments, (state, self._origin)

    def __setstate__(self, state: Any) -> None:
        array_state, self._origin = state
        super().__setstate__(array_state)

    def _known(self) -> Origin:
        if self._origin is None:
            raise AttributeError("this array was not cut out of a volume")
        return self._origin

    @property
    def bounds(self) -> Bbox:
        """The box of voxels that was cut out."""
        return self._known().bounds

    @property
    def mip(self) -> int:
        return self._known().mip

    @property
    def resolution(self) -> Vec:
        """Nanometres a voxel."""
        return self._known().resolution

    @property
    def layer_type(self) -> str:
        """``image`` or ``segmentation``."""
        return self._known().layer_type

    @property
    def cloudpath(self) -> str:
        return self._known().cloudpath

    @property
    def dataset_name(self) -> str:
        return self._known().dataset_name

    @property
    def layer(self) -> str:
        return self._known().layer

    @property
    def num_channels(self) -> int:
        return self.shape[3] if self.ndim > 3 else 1

    def save_images(
        self,
        directory: str | None = None,
        axis: str = "z",
        channel: int | None = None,
        global_norm: bool = True,
        image_format: str = "PNG",
    ) -> str:
        """Write the slices along an axis as pictures, ``000.png`` and so on; the folder they are in.

        ``directory`` is ``./saved_images/<dataset>/<layer>/<bounds>`` if not given. Images of more than 8 bits are
        stretched to 0–255, over the whole cutout (``global_norm``) or slice by slice; labels get a grey each.
        Raises ValueError for an axis or format that there is not.
        """
        if axis not in AXES:
            raise ValueError(f"axis is {axis!r}, not x, y or z")
        encode = _encoder(image_format)
        folder = directory or os.path.join(
            "saved_images", self.dataset_name, self.layer, f"{self.mip}_{self.bounds.to_filename()}"
        )
        os.makedirs(folder, exist_ok=True)
        voxels = np.asarray(self)[..., :] if self.ndim == 4 else np.asarray(self)[..., np.newaxis]
        if channel is not None:
            voxels = voxels[..., channel : channel + 1]
        grey = _as_grey(voxels, self.layer_type) if global_norm else None
        digits = max(3, len(str(voxels.shape[AXES[axis]] - 1)))
        for i in range(voxels.shape[AXES[axis]]):
            place = tuple(i if a == AXES[axis] else slice(None) for a in range(3))
            picture = grey[place] if grey is not None else _as_grey(voxels[place], self.layer_type)
            for c in range(picture.shape[-1]):
                name = f"{i:0{digits}}" if picture.shape[-1] == 1 else f"{i:0{digits}}_{c}"
                path = os.path.join(folder, f"{name}.{image_format.lower()}")
                with open(path, "wb") as file:
                    file.write(encode(np.ascontiguousarray(picture[..., c].T)))
        return folder

    def viewer(self, port: int = 8080) -> NoReturn:
        """Not there yet."""
        raise UnsupportedFormatError(
            "a viewer of cutouts is not part of this version; vol.viewer() shows the whole volume in Neuroglancer"
        )

    def close(self) -> None:
        """Needless here: shared memory is unmapped when the last array over it is gone."""


def _as_grey(voxels: Voxels, layer_type: str) -> NDArray[np.uint8]:
    """Values from 0 to 255."""
    if layer_type == "segmentation" or voxels.dtype.kind == "b":
        # Golden ratio hashing: labels that follow each other get greys that are far apart; background stays black.
        labels = voxels.astype(np.uint64, copy=False)
        hashed = ((labels * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(56)).astype(np.uint8)
        return np.where(labels == 0, np.uint8(0), np.maximum(hashed, np.uint8(32)))
    if voxels.dtype == np.uint8:
        return voxels
    low, high = float(voxels.min()), float(voxels.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return ((voxels.astype(np.float64) - low) * scale).round().astype(np.uint8)


def _encoder(image_format: str) -> Any:
    import imagecodecs

    encoders = {"png": imagecodecs.png_encode, "jpeg": imagecodecs.jpeg_encode, "jpg": imagecodecs.jpeg_encode}
    if image_format.lower() not in encoders:
        raise ValueError(f"image_format is {image_format!r}; there are PNG and JPEG")
    return encoders[image_format.lower()]
