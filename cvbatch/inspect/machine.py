"""What this machine has for the workers of a plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cvbatch.memory import available_bytes
from cvbatch.planner import Plan, extents_of, keeps_voxels, route, slabs_bytes, tasks_at_once
from cvbatch.process.host import processors


@dataclass(frozen=True)
class Machine:
    """Processors that this process may use, and free bytes of memory and of shared memory (None: not limited)."""

    processors: int
    memory: int
    shared_memory: int | None

    @classmethod
    def here(cls) -> Machine:
        import psutil

        return cls(processors(), int(psutil.virtual_memory().available), available_bytes())

    def workers_that_fit(self, plan: Plan, worker: int) -> int:
        """How many workers of so many bytes there is room for, whether or not there are processors for them."""
        fitting = self.memory // worker
        shared = max((_shared_bytes(plan, number) for number in range(len(plan.passes))), default=0)
        if self.shared_memory is not None and shared:
            fitting = min(fitting, self.shared_memory // shared)
        return fitting

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _shared_bytes(plan: Plan, number: int) -> int:
    each = plan.passes[number]
    if not keeps_voxels(route(plan.job, each), each):
        return 0
    return tasks_at_once(plan, each) * slabs_bytes(plan.job, each.levels, extents_of(each), plan.spec.threads)
