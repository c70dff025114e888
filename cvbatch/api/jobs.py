"""Jobs that make something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cvbatch.api.start import (
    AnyConfig,
    coordinator_of,
    execute_resolved,
    loaded,
    resolved_with_state,
    run_options,
)
from cvbatch.config.resolve import Resolved
from cvbatch.errors import InputError, StateError
from cvbatch.events import Subscriber, ignore
from cvbatch.metadata import Failure
from cvbatch.planner import Plan
from cvbatch.process.nursery import Nursery
from cvbatch.runtime.execute import RunOptions
from cvbatch.runtime.passes import planned
from cvbatch.runtime.report import Report
from cvbatch.runtime.stop import StopFlag


def plan(config: AnyConfig) -> Plan:
    """The tasks of a job. ``config`` is a :func:`load_config` result, a dict or the path of a YAML file.

    Reads metadata and writes nothing. Raises errors of :class:`~cvbatch.errors.InputError`.
    """
    resolved, state = resolved_with_state(config)
    return planned(resolved.job, state, resolved.crew)


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
    return _execute(resolved, run_options(resolved, tell, stop), force, nursery)


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
    resolved, state = resolved_with_state(config)
    if state.read_job() is None:
        raise StateError(f"nothing to resume: {state.store.url} has no job.json. Start the job with `cvbatch run`")
    return _execute(resolved, run_options(resolved, tell, stop), force, nursery)


def _execute(resolved: Resolved, options: RunOptions, force: bool, nursery: Nursery | None) -> Report:
    return execute_resolved(resolved, replace(options, force=force, nursery=nursery or Nursery()))


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
