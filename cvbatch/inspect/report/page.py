"""The page: one HTML document that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from cvbatch.inspect.report.charts import patterns
from cvbatch.inspect.report.data import JobReport
from cvbatch.inspect.report.sections import (
    failures_section,
    grid_section,
    pictures_section,
    retries_section,
    slowest_section,
    stages_section,
    throughput_section,
)
from cvbatch.inspect.report.slices import Slice
from cvbatch.inspect.report.style import style_sheet
from cvbatch.inspect.report.text import human_bytes, human_count, human_seconds, number, plural, share, text
from cvbatch.version import __version__

# The page asks for nothing and runs nothing, whatever is in the names and errors that it shows.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render(report: JobReport, slices: Sequence[Slice], written: str) -> str:
    """The document, ``written`` at this time (ISO 8601)."""
    sections = (
        failures_section(report),
        grid_section(report),
        pictures_section(slices),
        throughput_section(report),
        stages_section(report),
        slowest_section(report),
        retries_section(report),
    )
    title = f"{report.kind.capitalize()} {report.job}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">'
        f"<title>{text(title)} – cvbatch report</title><style>{style_sheet()}</style></head>\n<body>{patterns()}\n"
        f"<header>{_heading(report)}</header>\n<main>{_summary(report)}\n{''.join(sections)}</main>\n"
        f"<footer>Written {text(written)} by cvbatch {text(__version__)} from <code>{text(report.state)}</code>."
        "</footer></body></html>\n"
    )


def _heading(report: JobReport) -> str:
    state = {
        "finished": "Finished",
        "running": f"Running: {plural(report.running, 'worker')}",
        "failed": f"{plural(report.tasks.failed, 'task')} failed"
        + (f", {number(report.tasks.left)} left" if report.tasks.left else ""),
        "unfinished": "Not finished, and nobody works on it",
    }[report.condition]
    return (
        f"<h1>{text(report.kind.capitalize())} <code>{text(report.job)}</code></h1>"
        f'<p class="badge {report.condition}">{state}</p>'
        f'<dl class="route"><dt>Source</dt><dd><code>{text(report.source)}</code></dd>'
        f"<dt>Destination</dt><dd><code>{text(report.destination)}</code></dd>"
        f"<dt>Voxels</dt><dd>{text(report.voxel_type)}</dd></dl>"
    )


def _summary(report: JobReport) -> str:
    tasks, counts, line = report.tasks, report.counts, report.timeline
    rest = [f"of {number(tasks.total)}", f"{number(tasks.failed)} failed", f"{number(tasks.left)} left"]
    if tasks.filled:
        rest.append(f"{number(tasks.filled)} with filled chunks")
    facts = [
        ("Tasks done", number(tasks.done), " · ".join(rest)),
        ("Voxels read", human_count(report.voxels), f"{human_bytes(report.voxel_bytes)} uncompressed, all passes"),
        ("Time", "–" if line is None else human_seconds(line.wall_seconds), _when(report)),
        ("Mean speed", _speed(report), "of voxels, while somebody worked"),
        ("Chunks written", number(counts.chunks_written), _chunks_written(report)),
        ("Chunks read", number(counts.chunks_read), f"{number(counts.chunks_filled)} absent and filled"),
        ("Bytes read", human_bytes(counts.bytes_read), f"{human_bytes(counts.bytes_written)} written, as stored"),
        ("Largest process", _measured(report), _memory(report)),
    ]
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{text(value)}</dd><dd>{text(words)}</dd></div>" for name, value, words in facts
    )
    return f'<section class="summary" aria-label="Summary">{_progress(report)}<dl class="facts">{shown}</dl></section>'


def _progress(report: JobReport) -> str:
    """Done, filled, failed and left as parts of one bar."""
    tasks = report.tasks
    parts = (("done", tasks.done - tasks.filled), ("fill", tasks.filled), ("fail", tasks.failed), ("left", tasks.left))
    drawn = "".join(
        f'<svg style="flex:{count} 1 0" aria-hidden="true"><rect class="{look}" width="100%" height="100%"/></svg>'
        for look, count in parts
        if count
    )
    said = f"{share(tasks.done, tasks.total)} of the tasks are done"
    return f'<div class="progress" role="img" aria-label="{said}">{drawn}</div>'


def _when(report: JobReport) -> str:
    line = report.timeline
    if line is None:
        return "no task is done yet"
    start, end = (each.replace("+00:00", "").replace("T", " ") for each in (line.start, line.end))
    until = end[11:] if start[:10] == end[:10] else end
    pauses = line.wall_seconds - line.working_seconds
    return f"{start} – {until} UTC" + (f", {human_seconds(pauses)} of it pauses" if pauses >= 1 else "")


def _speed(report: JobReport) -> str:
    speed = report.bytes_per_second
    return "unknown" if speed is None else f"{human_bytes(speed)}/s"


def _chunks_written(report: JobReport) -> str:
    counts = report.counts
    deleted = f" · {number(counts.chunks_deleted)} background, not stored" if counts.chunks_deleted else ""
    return f"{number(counts.chunks_copied)} of them copied as they were{deleted}"


def _measured(report: JobReport) -> str:
    return human_bytes(report.memory.measured_bytes) if report.memory.measured_bytes else "not measured"


def _memory(report: JobReport) -> str:
    memory = report.memory
    over = "more than allowed: " if memory.measured_bytes > memory.budget_bytes else ""
    return f"{over}{human_bytes(memory.projected_bytes)} projected, {human_bytes(memory.budget_bytes)} allowed"
