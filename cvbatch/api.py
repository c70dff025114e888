"""Jobs from Python: the functions behind the commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from cvbatch.config import LoadedConfig, load_config, resolve
from cvbatch.errors import StateError
from cvbatch.events import Subscriber, ignore
from cvbatch.planner import Plan
from cvbatch.runtime import Report, Retries, RunOptions, StopFlag, execute, open_state, planned

__all__ = ["load_config", "plan", "resume", "run"]

AnyConfig: TypeAlias = "LoadedConfig | Mapping[str, Any] | str | os.PathLike[str]"


def _loaded(config: AnyConfig) -> LoadedConfig:
    return config if isinstance(config, LoadedConfig) else load_config(config)


def plan(config: AnyConfig) -> Plan:
    """The tasks of a job. ``config`` is a :func:`load_config` result, a dict or the path of a YAML file.

    Reads metadata and writes nothing. Raises errors of :class:`~cvbatch.errors.InputError`.
    """
    resolved = resolve(_loaded(config))
    return planned(resolved.job, open_state(resolved.job, resolved.state), resolved.crew)


def run(config: AnyConfig, tell: Subscriber = ignore, stop: StopFlag | None = None) -> Report:
    """Run a job, or what is left of it, to its end; what this run did.

    ``tell`` hears what happens (:mod:`cvbatch.events`), ``stop`` ends the run early. Raises errors of
    :class:`~cvbatch.errors.InputError` before anything is changed and
    :class:`~cvbatch.errors.InterruptedRun` when stopped. Failed tasks don't raise: see ``Report.failures``.
    """
    resolved = resolve(_loaded(config))
    options = RunOptions(
        crew=resolved.crew,
        state=resolved.state,
        tell=tell,
        stop=stop or StopFlag(),
        retries=Retries(resolved.max_attempts),
    )
    return execute(resolved.job, options)


def resume(config: AnyConfig, tell: Subscriber = ignore, stop: StopFlag | None = None) -> Report:
    """As :func:`run`, for a job that was started before.

    Raises :class:`~cvbatch.errors.StateError` where it was not.
    """
    loaded = _loaded(config)
    resolved = resolve(loaded)
    state = open_state(resolved.job, resolved.state)
    if state.read_job() is None:
        raise StateError(f"nothing to resume: {state.store.url} has no job.json. Start the job with `cvbatch run`")
    return run(loaded, tell, stop)
