"""What a job does to voxels."""

from cvbatch.ops.cells import Kernel
from cvbatch.ops.downsample import LARGEST_FACTOR, METHODS, SPARSE_METHODS, downsample, kernel_for, method_for

__all__ = ["LARGEST_FACTOR", "METHODS", "SPARSE_METHODS", "Kernel", "downsample", "kernel_for", "method_for"]
