"""Running a job: state, lock, workers, supervisor."""

from cvbatch.runtime.execute import RunOptions, execute, planned, tasks_done
from cvbatch.runtime.report import Report, TaskTotals
from cvbatch.runtime.state import State, open_state
from cvbatch.runtime.stop import StopFlag
from cvbatch.runtime.supervisor import Retries

__all__ = [
    "Report",
    "Retries",
    "RunOptions",
    "State",
    "StopFlag",
    "TaskTotals",
    "execute",
    "open_state",
    "planned",
    "tasks_done",
]
