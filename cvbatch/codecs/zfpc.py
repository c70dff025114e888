"""``zfpc``: floating-point voxels as several zfp streams, one for each uncorrelated plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cvbatch.codecs.base import Buffer, Layout, Traits, Voxels, decoding, native
from cvbatch.errors import DecodingError, UnsupportedFormatError

UNSET = -1.0
# The header: magic, version, data type and mode, then the size as four 32-bit numbers.
HEADER_BYTES = 22


@dataclass(frozen=True)
class Zfpc:
    """Format: seung-lab/zfpc. Lossless without a ``rate`` (bits a value), ``precision`` (bits) or ``tolerance``.

    ``correlated_dims`` says of x, y, z and channel along which the values vary smoothly. The package
    ``zfpc`` comes with the extra ``zfpc``.
    """

    rate: float = UNSET
    precision: float = UNSET
    tolerance: float = UNSET
    correlated_dims: tuple[bool, bool, bool, bool] = (True, True, True, True)

    traits: ClassVar[Traits] = Traits(
        "zfpc",
        loss="by parameters",
        viewable=False,
        fragile=True,
        parameters={
            "rate": "zfpc_rate",
            "precision": "zfpc_precision",
            "tolerance": "zfpc_tolerance",
            "correlated_dims": "zfpc_correlated_dims",
        },
    )

    @property
    def lossless(self) -> bool:
        return self.rate == self.precision == self.tolerance == UNSET

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        _library()  # Known to be there before anything is written.
        limits = {name: parameters.get(f"zfpc_{name}", UNSET) for name in ("rate", "precision", "tolerance")}
        for name, value in limits.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or (value != UNSET and not value > 0):
                raise UnsupportedFormatError(f"zfpc_{name} is a number above 0, not {value!r}")
        if sum(value != UNSET for value in limits.values()) > 1:
            raise UnsupportedFormatError("only one of zfpc_rate, zfpc_precision and zfpc_tolerance can be given")
        dims = parameters.get("zfpc_correlated_dims", (True, True, True, True))
        if not isinstance(dims, list | tuple) or len(dims) != 4 or not all(type(d) is bool for d in dims):
            raise UnsupportedFormatError(
                f"zfpc_correlated_dims is four booleans, for x, y, z and channel, not {dims!r}"
            )
        return cls(**limits, correlated_dims=(dims[0], dims[1], dims[2], dims[3]))

    @classmethod
    def holds(cls, dtype: np.dtype[Any], channels: int) -> bool:
        return dtype == np.float32

    def encode(self, voxels: Voxels) -> Buffer:
        zfpc = _library()
        encoded: bytes = zfpc.compress(
            native(voxels),
            correlated_dims=list(self.correlated_dims),
            rate=self.rate,
            precision=self.precision,
            tolerance=self.tolerance,
        )
        return encoded

    def decode(self, data: Buffer, layout: Layout, out: Voxels | None = None) -> Voxels:
        zfpc = _library()
        raw = bytes(data)
        if len(raw) < HEADER_BYTES or raw[:4] != b"zfpc":
            raise DecodingError("not zfpc")
        size = tuple(np.frombuffer(raw, "<u4", count=4, offset=6).tolist())
        if size != layout.shape:
            raise DecodingError(f"a zfpc stream of {size} is not a chunk of {layout.shape}")
        with decoding("zfpc"):
            voxels: Voxels = zfpc.decompress(raw)
        if voxels.size != np.prod(layout.shape) or voxels.dtype != layout.dtype:
            raise DecodingError(f"a zfpc stream of {voxels.shape} {voxels.dtype} is not a chunk of {layout.shape}")
        return voxels.reshape(layout.shape, order="F")


def _library() -> Any:
    try:
        import zfpc
    except ImportError as error:
        raise UnsupportedFormatError("encoding zfpc needs a package: pip install 'cvbatch[zfpc]'") from error
    return zfpc
