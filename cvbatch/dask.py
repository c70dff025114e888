"""``cvbatch.dask.from_cloudvolume`` and ``to_cloudvolume``: needs the extra ``dask``."""

from cvbatch.volume.dask import from_cloudvolume, to_cloudvolume

__all__ = ["from_cloudvolume", "to_cloudvolume"]
