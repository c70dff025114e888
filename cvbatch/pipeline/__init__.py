"""What a worker does with a task: fetch → decode → paint → downsample → encode → store."""

from cvbatch.pipeline.pools import Pools
from cvbatch.pipeline.reader import ABSENT_IS_ERROR, ABSENT_IS_FILLED, ChunkReader, missing_chunk
from cvbatch.pipeline.removal import Removal, open_removal
from cvbatch.pipeline.run import run_task
from cvbatch.pipeline.work import PassWork, open_pass
from cvbatch.pipeline.writer import ChunkWriter

__all__ = [
    "ABSENT_IS_ERROR",
    "ABSENT_IS_FILLED",
    "ChunkReader",
    "ChunkWriter",
    "PassWork",
    "Pools",
    "Removal",
    "missing_chunk",
    "open_pass",
    "open_removal",
    "run_task",
]
