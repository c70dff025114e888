"""From a configuration to somebody who runs its job."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from cvbatch.config import LoadedConfig, load_config
from cvbatch.config.resolve import Resolved, resolve
from cvbatch.errors import InputError
from cvbatch.events import Subscriber
from cvbatch.formats.precomputed import read_info
from cvbatch.runtime.execute import RunOptions, execute
from cvbatch.runtime.report import Report
from cvbatch.runtime.state import State, open_state
from cvbatch.runtime.stop import StopFlag
from cvbatch.runtime.supervisor import Retries
from cvbatch.storage import open_store

if TYPE_CHECKING:
    from cvbatch.runtime.coordinate import Coordinator

AnyConfig: TypeAlias = "LoadedConfig | Mapping[str, Any] | str | os.PathLike[str]"


def loaded(config: AnyConfig, overrides: Sequence[str] = ()) -> LoadedConfig:
    """The configuration itself, or read from where it is."""
    return config if isinstance(config, LoadedConfig) else load_config(config, overrides)


def resolved_with_state(config: AnyConfig) -> tuple[Resolved, State]:
    """The job of a configuration and its state. Raises :class:`InputError` where it may not be started."""
    resolved = resolve(loaded(config))
    job, state = resolved.job, open_state(resolved.job, resolved.state)
    # A volume that an earlier start of this very job has made is not in its way.
    if resolved.must_be_new and state.read_job() is None and read_info(open_store(job.destination)) is not None:
        raise InputError(f"there is a volume at {job.destination.url} already, and destination.mode is create")
    return resolved, state


def run_options(resolved: Resolved, tell: Subscriber, stop: StopFlag | None) -> RunOptions:
    """How a configuration wants its job to be run."""
    return RunOptions(
        crew=resolved.crew,
        state=resolved.state,
        tell=tell,
        stop=stop or StopFlag(),
        retries=Retries(resolved.queue.max_attempts),
    )


def coordinator_of(resolved: Resolved, options: RunOptions) -> Coordinator | None:
    """Who leads a job whose tasks others do; None for one whose queue is local."""
    queue = resolved.queue
    if queue.url == "local":
        return None
    from cvbatch.queues import open_queue
    from cvbatch.runtime.coordinate import Coordinator

    return Coordinator(resolved.job, open_queue(queue.url, queue.endpoint, queue.region_name), options)


def execute_resolved(resolved: Resolved, options: RunOptions) -> Report:
    """Run a job here, or lead those who do."""
    options = replace(options, state=resolved.state)
    coordinator = coordinator_of(resolved, options)
    return execute(resolved.job, options) if coordinator is None else coordinator.run()
