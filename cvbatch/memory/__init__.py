"""Shared memory: segments with one owner, an arena that reuses them, a sweep for orphans; and named by users."""

from cvbatch.memory.arena import Arena
from cvbatch.memory.named import FILE, SEGMENT, NamedArray, unlink_segment
from cvbatch.memory.registry import NamedSegment, named_segments
from cvbatch.memory.segment import SharedBlock, available_bytes
from cvbatch.memory.sweep import SegmentInfo, list_segments, sweep_segments

__all__ = [
    "FILE",
    "SEGMENT",
    "Arena",
    "NamedArray",
    "NamedSegment",
    "SegmentInfo",
    "SharedBlock",
    "available_bytes",
    "list_segments",
    "named_segments",
    "sweep_segments",
    "unlink_segment",
]
