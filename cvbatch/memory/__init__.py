"""Named shared memory: segments with one owner, an arena that reuses them, a sweep for orphans."""

from cvbatch.memory.arena import Arena
from cvbatch.memory.segment import SharedBlock, available_bytes
from cvbatch.memory.sweep import SegmentInfo, list_segments, sweep_segments

__all__ = ["Arena", "SegmentInfo", "SharedBlock", "available_bytes", "list_segments", "sweep_segments"]
