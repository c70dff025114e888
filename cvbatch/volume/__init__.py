"""The library: CloudVolume's API on the engine of the batch jobs."""

from cvbatch.volume.cloudvolume import CloudVolume
from cvbatch.volume.cutout import VolumeCutout

__all__ = ["CloudVolume", "VolumeCutout"]
