"""What a worker does with a task: fetch → decode → paint → downsample → encode → store."""

from cvbatch.pipeline.pools import Pools
from cvbatch.pipeline.run import TaskRun, start_task
from cvbatch.pipeline.work import PassWork, open_pass

__all__ = ["PassWork", "Pools", "TaskRun", "open_pass", "start_task"]
