"""Jobs that make something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cvbatch.api.start import (
    AnyConfig,
    coordinator_of,
    execute_resolved,
    loaded,
    resolved_with_state,
    run_options,
)
from cvbatch.errors import InputError, StateError
from cvbatch.events import Subscriber, ignore
from cvbatch.inspect import describe_plan
from cvbatch.inspect.advice import warnings_of
from cvbatch.inspect.estimate import estimate
from cvbatch.inspect.machine import Machine
from cvbatch.metadata import Failure
from cvbatch.planner import Plan, worker_bytes
from cvbatch.process.nursery import Nursery
from cvbatch.runtime import Report, StopFlag, planned


def plan(config: AnyConfig) -> Plan:
    """The tasks of a job. ``config`` is a :func:`load_config` result, a dict or the path of a YAML file.

    Reads metadata and writes nothing. Raises errors of :class:`~cvbatch.errors.InputError`.
    """
    resolved, state = resolved_with_state(config)
    return planned(resolved.job, state, resolved.crew)


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


def run(
    config: AnyConfig,
    tell: Subscriber = ignore,
    stop: StopFlag | None = None,
    force: bool = False,
    nursery: Nursery | None = None,
) -> Report:
    """Run a job, or what is left of it, to its end; what this run did.

    ``tell`` hears what happens (:mod:`cvbatch.events`), ``stop`` ends the run early, ``force`` writes although another
    job holds the region. Worker processes that have begun in a ``nursery`` are taken first. Raises errors of
    :class:`~cvbatch.errors.InputError` before anything is changed and
    :class:`~cvbatch.errors.InterruptedRun` when stopped. Failed tasks don't raise: see ``Report.failures``.
    """
    resolved, _ = resolved_with_state(config)
    options = replace(run_options(resolved, tell, stop), force=force, nursery=nursery or Nursery())
    return execute_resolved(resolved, options)


def resume(
    config: AnyConfig,
    tell: Subscriber = ignore,
    stop: StopFlag | None = None,
    force: bool = False,
    nursery: Nursery | None = None,
) -> Report:
    """As :func:`run`, for a job that was started before.

    Raises :class:`~cvbatch.errors.StateError` where it was not.
    """
    loading = loaded(config)
    _, state = resolved_with_state(loading)
    if state.read_job() is None:
        raise StateError(f"nothing to resume: {state.store.url} has no job.json. Start the job with `cvbatch run`")
    return run(loading, tell, stop, force, nursery)


def enqueue(config: AnyConfig) -> int:
    """Put the tasks of a job into its queue, and don't wait; how many messages were sent.

    Raises errors of :class:`~cvbatch.errors.InputError` before anything is changed, and for a job without a queue.
    """
    resolved, _ = resolved_with_state(config)
    coordinator = coordinator_of(resolved, run_options(resolved, ignore, None))
    if coordinator is None:
        raise InputError(
            "queue is local: there is nobody to leave the tasks to. Set queue to fq://FOLDER or sqs://NAME"
        )
    return coordinator.enqueue()


def failures(config: AnyConfig, overrides: Sequence[str] = (), retry: bool = False) -> list[Failure]:
    """The tasks of a job that were given up.

    With ``retry`` they are tried again: by the workers of a shared queue at once, else by the next run.
    """
    resolved, state = resolved_with_state(loaded(config, overrides))
    tasks = state.given_up()
    found = state.failures_of(tasks)
    if retry and tasks:
        state.clear_failures()
        coordinator = coordinator_of(resolved, run_options(resolved, ignore, None))
        if coordinator is not None:
            coordinator.retry(tasks)
    return found
