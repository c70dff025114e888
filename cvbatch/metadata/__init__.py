"""What volumes and jobs are: frozen types with a JSON form."""

from cvbatch.metadata.job import ByteEncoding, Check, Downsampling, Job, Level, PassSpec, PlanSpec, Source
from cvbatch.metadata.receipt import Course, Failure, Receipt
from cvbatch.metadata.task import Batch, Task
from cvbatch.metadata.volume import DATA_TYPES, LAYER_TYPES, ScaleInfo, VolumeInfo, VoxelType, check_key, check_writable

__all__ = [
    "DATA_TYPES",
    "LAYER_TYPES",
    "Batch",
    "ByteEncoding",
    "Check",
    "Course",
    "Downsampling",
    "Failure",
    "Job",
    "Level",
    "PassSpec",
    "PlanSpec",
    "Receipt",
    "ScaleInfo",
    "Source",
    "Task",
    "VolumeInfo",
    "VoxelType",
    "check_key",
    "check_writable",
]
