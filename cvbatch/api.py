"""Jobs from Python: the functions behind the commands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from cvbatch.config import LoadedConfig, Resolved, load_config, resolve
from cvbatch.errors import InputError, StateError
from cvbatch.events import Subscriber, ignore
from cvbatch.formats.precomputed import read_info
from cvbatch.metadata import Failure
from cvbatch.planner import Plan
from cvbatch.queues import open_queue
from cvbatch.runtime import Coordinator, Report, Retries, RunOptions, State, StopFlag, execute, open_state, planned
from cvbatch.storage import open_store

__all__ = ["enqueue", "failures", "load_config", "plan", "resume", "run"]

AnyConfig: TypeAlias = "LoadedConfig | Mapping[str, Any] | str | os.PathLike[str]"


def _loaded(config: AnyConfig, overrides: Sequence[str] = ()) -> LoadedConfig:
    return config if isinstance(config, LoadedConfig) else load_config(config, overrides)


def _resolved(config: AnyConfig) -> tuple[Resolved, State]:
    """The job of a configuration and its state. Raises :class:`InputError` where it may not be started."""
    resolved = resolve(_loaded(config))
    job, state = resolved.job, open_state(resolved.job, resolved.state)
    # A volume that an earlier start of this very job has made is not in its way.
    if resolved.must_be_new and state.read_job() is None and read_info(open_store(job.destination)) is not None:
        raise InputError(f"there is a volume at {job.destination.url} already, and destination.mode is create")
    return resolved, state


def plan(config: AnyConfig) -> Plan:
    """The tasks of a job. ``config`` is a :func:`load_config` result, a dict or the path of a YAML file.

    Reads metadata and writes nothing. Raises errors of :class:`~cvbatch.errors.InputError`.
    """
    resolved, state = _resolved(config)
    return planned(resolved.job, state, resolved.crew)


def run(config: AnyConfig, tell: Subscriber = ignore, stop: StopFlag | None = None) -> Report:
    """Run a job, or what is left of it, to its end; what this run did.

    ``tell`` hears what happens (:mod:`cvbatch.events`), ``stop`` ends the run early. Raises errors of
    :class:`~cvbatch.errors.InputError` before anything is changed and
    :class:`~cvbatch.errors.InterruptedRun` when stopped. Failed tasks don't raise: see ``Report.failures``.
    """
    resolved, _ = _resolved(config)
    return _execute(resolved, tell, stop)


def resume(config: AnyConfig, tell: Subscriber = ignore, stop: StopFlag | None = None) -> Report:
    """As :func:`run`, for a job that was started before.

    Raises :class:`~cvbatch.errors.StateError` where it was not.
    """
    resolved, state = _resolved(config)
    if state.read_job() is None:
        raise StateError(f"nothing to resume: {state.store.url} has no job.json. Start the job with `cvbatch run`")
    return _execute(resolved, tell, stop)


def enqueue(config: AnyConfig, overrides: Sequence[str] = ()) -> int:
    """Put the tasks of a job into its queue, and don't wait; how many messages were sent.

    Raises errors of :class:`~cvbatch.errors.InputError` before anything is changed, and for a job without a queue.
    """
    resolved, _ = _resolved(_loaded(config, overrides))
    coordinator = _coordinator(resolved, _options(resolved, ignore, None))
    if coordinator is None:
        raise InputError(
            "queue is local: there is nobody to leave the tasks to. Set queue to fq://FOLDER or sqs://NAME"
        )
    return coordinator.enqueue()


def failures(config: AnyConfig, overrides: Sequence[str] = (), retry: bool = False) -> list[Failure]:
    """The tasks of a job that were given up.

    With ``retry`` they are tried again: by the workers of a shared queue at once, else by the next run.
    """
    resolved, state = _resolved(_loaded(config, overrides))
    tasks = state.given_up()
    found = state.failures_of(tasks)
    if retry and tasks:
        state.clear_failures()
        coordinator = _coordinator(resolved, _options(resolved, ignore, None))
        if coordinator is not None:
            coordinator.retry(tasks)
    return found


def _options(resolved: Resolved, tell: Subscriber, stop: StopFlag | None) -> RunOptions:
    return RunOptions(
        crew=resolved.crew,
        state=resolved.state,
        tell=tell,
        stop=stop or StopFlag(),
        retries=Retries(resolved.queue.max_attempts),
    )


def _coordinator(resolved: Resolved, options: RunOptions) -> Coordinator | None:
    """Who leads a job whose tasks others do; None for one whose queue is local."""
    queue = resolved.queue
    if queue.url == "local":
        return None
    return Coordinator(resolved.job, open_queue(queue.url, queue.endpoint, queue.region_name), options)


def _execute(resolved: Resolved, tell: Subscriber, stop: StopFlag | None) -> Report:
    options = _options(resolved, tell, stop)
    coordinator = _coordinator(resolved, options)
    return execute(resolved.job, options) if coordinator is None else coordinator.run()
