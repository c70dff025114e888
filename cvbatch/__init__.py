"""cvbatch: multiprocess batch transfer and ETL for Neuroglancer volumes.

>>> from cvbatch import Bbox
>>> Bbox((0, 0, 0), (64, 64, 64)).volume()
262144
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cvbatch.version import __version__

if TYPE_CHECKING:
    from cvbatch.api.jobs import plan, resume, run
    from cvbatch.api.verify import verify
    from cvbatch.config import load_config
    from cvbatch.geometry import Bbox, Vec
    from cvbatch.volume import CloudVolume, VolumeCutout

# Imported when first used: `cvbatch --help` needs none of it.
_HOMES = {
    "Bbox": "cvbatch.geometry",
    "CloudVolume": "cvbatch.volume",
    "Vec": "cvbatch.geometry",
    "VolumeCutout": "cvbatch.volume",
    "load_config": "cvbatch.config",
    "plan": "cvbatch.api.jobs",
    "resume": "cvbatch.api.jobs",
    "run": "cvbatch.api.jobs",
    "verify": "cvbatch.api.verify",
}

__all__ = [
    "Bbox",
    "CloudVolume",
    "Vec",
    "VolumeCutout",
    "__version__",
    "load_config",
    "plan",
    "resume",
    "run",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'cvbatch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
