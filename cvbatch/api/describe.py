"""What a job will be like."""

from __future__ import annotations

from typing import Any

from cvbatch.api.start import AnyConfig, resolved_with_state
from cvbatch.inspect import describe_plan
from cvbatch.inspect.advice import warnings_of
from cvbatch.inspect.estimate import estimate
from cvbatch.inspect.machine import Machine
from cvbatch.planner import worker_bytes
from cvbatch.runtime.passes import planned


def describe(config: AnyConfig, calibrate: bool = False) -> dict[str, Any]:
    """All that ``cvbatch plan --json`` says of a job; ``calibrate`` works for some seconds, to tell how long it takes.

    Reads metadata and a few chunks, and writes nothing. Raises errors of :class:`~cvbatch.errors.InputError`.
    """
    resolved, state = resolved_with_state(config)
    made = planned(resolved.job, state, resolved.crew)
    processes, machine = resolved.crew.processes, Machine.here()
    found = estimate(made, processes, calibrate)
    shares = {} if found is None else found.shares(made)
    worker = max(worker_bytes(made, each, processes, shares) for each in made.passes)
    fitting = machine.workers_that_fit(made, worker)
    described = describe_plan(made)
    return {
        **described,
        "estimate": None if found is None else found.to_json(),
        "worker": {**described["worker"], "memory_projected_bytes": worker},
        "machine": {**machine.to_json(), "processes": min(processes, len(made)), "workers_that_fit": fitting},
        "warnings": warnings_of(made, resolved.region, fitting, processes, found),
    }
