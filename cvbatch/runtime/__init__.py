"""Running a job: state, lock, workers, supervisor."""

from cvbatch.runtime.coordinate import Coordinator
from cvbatch.runtime.execute import RunOptions, execute
from cvbatch.runtime.passes import planned, tasks_done
from cvbatch.runtime.prepare import missing_scales, prepare_destination
from cvbatch.runtime.report import Report, TaskTotals
from cvbatch.runtime.state import State, open_state
from cvbatch.runtime.stop import StopFlag
from cvbatch.runtime.supervisor import Retries
from cvbatch.runtime.work import WorkOptions, WorkSummary, work

__all__ = [
    "Coordinator",
    "Report",
    "Retries",
    "RunOptions",
    "State",
    "StopFlag",
    "TaskTotals",
    "WorkOptions",
    "WorkSummary",
    "execute",
    "missing_scales",
    "open_state",
    "planned",
    "prepare_destination",
    "tasks_done",
    "work",
]
