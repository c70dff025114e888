"""What a worker does with a task: fetch → decode → paint → downsample → encode → store."""

from cvbatch.pipeline.pools import Pools
from cvbatch.pipeline.recorder import Recorder, notes_in
from cvbatch.pipeline.run import TaskRun, start_task
from cvbatch.pipeline.work import PassWork, open_pass

__all__ = ["PassWork", "Pools", "Recorder", "TaskRun", "notes_in", "open_pass", "start_task"]
