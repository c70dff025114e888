"""The sections of the page, each about one question. Those that have nothing to tell are empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cvbatch.inspect.report.charts import bars, both_widths, clock, slabs, swatch, throughput
from cvbatch.inspect.report.data import JobReport, PassReport, WorkerReport
from cvbatch.inspect.report.grids import LOOKS, GridView, grid_views
from cvbatch.inspect.report.slices import Slice
from cvbatch.inspect.report.text import (
    box_words,
    human_bytes,
    human_seconds,
    number,
    plural,
    share,
    text,
)
from cvbatch.metadata import Failure

# Rows of a table: all are in the JSON document.
MOST_ROWS = 100
SHOWN_ROWS = 8
MOST_WORKERS = 20
MOST_LETTERS = 4000
# A stage that takes more of the time than this is what to look at.
DOMINATES = 0.5
ADVICE = {
    "fetch": "Most of the time went into waiting for the source. More threads (workers.threads) fetch more at once.",
    "decode": "Most of the time went into decoding the source. More processes help, as far as there are processors.",
    "paint": "Most of the time went into copying voxels. Chunks that line up with those of the source need less of it.",
    "downsample": "Most of the time went into downsampling. More processes help, as far as there are processors.",
    "encode": "Most of the time went into encoding. More processes help, or a faster encoding or compression.",
    "store": "Most of the time went into writing. More threads (workers.threads) store more at once.",
    "compare": "Most of the time went into comparing. More processes help, as far as there are processors.",
}


def _section(name: str, title: str, *parts: str) -> str:
    return f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{title}</h2>{"".join(parts)}</section>\n'


def _cell(value: str, kind: str = "", name: str = "") -> str:
    named = f' data-name="{text(name)}"' if name else ""
    return f"<td{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}{named}>{value}</td>"


def _table(label: str, heads: Sequence[tuple[str, str]], rows: Iterable[str], kind: str = "stack") -> str:
    """``heads`` are names and classes of columns; a table that is too wide scrolls by itself."""
    head = "".join(
        f'<th scope="col"{f" class={chr(34)}{css}{chr(34)}" if css else ""}>{name}</th>' for name, css in heads
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table></div>"
    )


def _long_table(label: str, heads: Sequence[tuple[str, str]], rows: Sequence[str], count: int) -> str:
    """A table of which a part is folded away; ``count`` are the rows that there would be."""
    more = rows[SHOWN_ROWS:]
    folded = f"<details><summary>{number(len(more))} more</summary>{_table(f'More: {label}', heads, more)}</details>"
    return _table(label, heads, rows[:SHOWN_ROWS]) + (folded if more else "") + _cut_words(count, MOST_ROWS)


def _cut_words(count: int, most: int) -> str:
    if count <= most:
        return ""
    return f'<p class="soft">{number(most)} of {number(count)} are shown; <code>--json</code> tells all.</p>'


def _errors(errors: Sequence[str]) -> str:
    """The last error, and the others of a task folded away."""
    if not errors:
        return ""
    *before, last = (text(error[:MOST_LETTERS]) for error in errors)
    if not before:
        return last
    listed = "".join(f"<li>{error}</li>" for error in before)
    return f"{last}<details><summary>{plural(len(before), 'attempt')} before</summary><ol>{listed}</ol></details>"


def failures_section(report: JobReport) -> str:
    """What was given up, and why."""
    if not report.failures:
        return ""
    rows = []
    for failure in report.failures[:MOST_ROWS]:
        trace = failure.traceback[-MOST_LETTERS:]
        more = f"<details><summary>Traceback</summary><pre>{text(trace)}</pre></details>" if trace else ""
        why = _cell(_errors(failure.errors) + more)
        rows.append(f'<th scope="row">{text(failure.task)}</th>{_cell(_box(report, failure))}{why}')
    return _section(
        "failures",
        f'Failures <span class="soft">{number(len(report.failures))}</span>',
        '<p class="note bad">These tasks were given up, and coarser levels that need them were not made. Mend what the '
        "error names, then run the job again: only what is missing is done.</p>",
        _long_table(
            "Failed tasks", (("Task", ""), ("Voxels that it reads", ""), ("Error", "")), rows, len(report.failures)
        ),
    )


def _box(report: JobReport, failure: Failure) -> str:
    number_of_pass, _, index = failure.task.partition("-")
    return text(box_words(report.passes[int(number_of_pass)].plan.box(int(index)).to_filename()))


def grid_section(report: JobReport) -> str:
    """Which tasks are done, where they are."""
    views = grid_views(report.passes)
    drawn = "".join(_pass(report, each, view) for each, view in zip(report.passes, views, strict=True))
    looks = [look for look in LOOKS if any(look in view.looks for view in views)]
    legend = "".join(f"<li>{swatch(look)}{LOOKS[look]}</li>" for look in looks)
    words = "Each picture is a slab of the volume seen along z, x to the right and y downwards."
    return _section("grid", "What is done, and where", f"<p>{words}</p>", f'<ul class="legend">{legend}</ul>', drawn)


def _pass(report: JobReport, each: PassReport, view: GridView) -> str:
    tasks, levels = each.tasks, each.plan.levels
    name = f"Pass {each.plan.number + 1} of {len(report.passes)}"
    writes = ", ".join(level.level.scale.key for level in levels)
    many = view.per_cell[0] * view.per_cell[1] * view.per_cell[2]
    shape = " × ".join(map(str, view.per_cell))
    words = (
        f"{number(tasks.done)} of {plural(tasks.total, 'task')} done"
        + (f", {number(tasks.failed)} failed" if tasks.failed else "")
        + (f", {number(tasks.left)} left" if tasks.left else "")
        + f". A task reads {' × '.join(map(str, each.plan.grid.cell.minimum(each.plan.grid.bounds.size())))} voxels."
        + (f" A cell is {shape} tasks; one that failed shows as failed." if many > 1 else "")
    )
    voxel = _voxel_size(each)
    head = f"{name}: {text(writes)}" if writes else name
    return f'<h3>{head}</h3><p class="soft">{words}</p>{slabs(view, voxel, name)}'


def _voxel_size(each: PassReport) -> tuple[float, float]:
    """Width and height of a voxel of the level that is read, in nm."""
    if not each.plan.levels:
        return 1.0, 1.0
    first = each.plan.levels[0]
    x, y = (r / f for r, f in zip(first.level.scale.resolution[:2], first.factor[:2], strict=True))
    return x, y


def pictures_section(slices: Sequence[Slice]) -> str:
    """The middle of the volume, before and after."""
    if not slices:
        return ""
    return _section("pictures", "What it looks like", f'<div class="pictures">{"".join(map(_picture, slices))}</div>')


def _picture(each: Slice) -> str:
    title, words, problem = text(each.title), text(each.words), text(each.problem[:MOST_LETTERS])
    ratio = f"{each.width:g}/{each.height:g}"
    if not each.png:
        shown = f'<div class="canvas absent"><span>No picture: {problem or "nothing can be read"}</span></div>'
        return f"<figure><h3>{title}</h3>{shown}<figcaption>{words}</figcaption></figure>"
    frame = ""
    if each.frame is not None:
        x0, y0, x1, y1 = (100 * share for share in each.frame)
        place = f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"
        frame = f'<div class="frame" style="{place}"></div>'
        words += ". The frame is what the other pictures show"
    image = f'<img src="{each.data_uri}" alt="{title}: {words}" style="aspect-ratio:{ratio}">'
    holes = f"<br>Hatched: can’t be read. {problem}" if problem else ""
    return (
        f'<figure><h3>{title}</h3><div class="canvas">{image}{frame}</div>'
        f"<figcaption>{words}{holes}</figcaption></figure>"
    )


def throughput_section(report: JobReport) -> str:
    """How fast it went, and when."""
    line, mean = report.timeline, report.bytes_per_second
    if line is None:
        return _section("throughput", "Throughput", '<p class="soft">No task is done yet.</p>')
    if mean is None:
        words = "The receipts don’t tell how long their tasks took, and all have the same time."
        return _section("throughput", "Throughput", f'<p class="soft">{words}</p>')
    if len(line.rates) == 1:
        words = f"All was done within {human_seconds(max(line.wall_seconds, 1.0))}, which is too short for a chart."
        return _section("throughput", "Throughput", f'<p class="soft">{words}</p>')
    words = f"Uncompressed voxels read a second, averaged over {clock(line.bin_seconds)}."
    if report.untimed_receipts:
        words += (
            f" {plural(report.untimed_receipts, 'receipt')} of {number(report.receipts)} "
            "don’t tell how long their tasks took; those count when they were over."
        )
    return _section(
        "throughput",
        "Throughput",
        f'<p class="soft">{words}</p>',
        both_widths(lambda width: throughput(line, mean, width)),
    )


def stages_section(report: JobReport) -> str:
    """Where the time went, in total and by worker."""
    stages = sorted(report.counts.stages.items(), key=lambda each: -each[1])
    total = sum(seconds for _, seconds in stages)
    if not total:
        return ""
    name, seconds = stages[0]
    advice = ADVICE.get(name, "") if seconds > DOMINATES * total else ""
    said = "Time by stage: " + ", ".join(f"{name} {share(seconds, total)}" for name, seconds in stages if seconds)
    return _section(
        "stages",
        "Where the time went",
        f'<p class="soft">Seconds of all threads and processes together: {human_seconds(total)}.</p>',
        both_widths(lambda width: bars(stages, said, width)),
        f'<p class="note">{advice}</p>' if advice else "",
        _workers(report.workers, [name for name, _ in stages]),
    )


def _workers(workers: Sequence[WorkerReport], stages: Sequence[str]) -> str:
    heads = [("Worker", ""), ("Tasks", "n"), ("Time in tasks", "n"), ("Largest process", "n")]
    heads += [(text(stage), "n heat") for stage in stages]
    rows = (_worker(each, stages) for each in workers[:MOST_WORKERS])
    return f"<h3>By worker</h3>{_table('Stages by worker', heads, rows)}{_cut_words(len(workers), MOST_WORKERS)}"


def _worker(each: WorkerReport, stages: Sequence[str]) -> str:
    total = sum(each.stages.values())
    memory = human_bytes(each.peak_memory_bytes) if each.peak_memory_bytes else "–"
    cells = [
        _cell(number(each.tasks), "n", "tasks"),
        _cell(human_seconds(each.seconds) if each.seconds else "–", "n", "time in tasks"),
        _cell(memory, "n", "largest process"),
    ]
    for stage in stages:
        seconds = each.stages.get(stage, 0.0)
        shade = f' style="background:rgba(var(--heat),{0.45 * seconds / total if total else 0:.2f})"'
        cells.append(f'<td class="n heat"{shade} data-name="{text(stage)}">{share(seconds, total)}</td>')
    return f'<th scope="row">{text(each.name)}</th>{"".join(cells)}'


def slowest_section(report: JobReport) -> str:
    """The tasks that took longest."""
    if not report.slowest:
        return ""
    longest = report.slowest[0].seconds
    rows = (
        f'<th scope="row">{text(each.task)}</th>{_cell(human_seconds(each.seconds), "n")}'
        f"{_cell(text(box_words(each.box)))}"
        for each in report.slowest
    )
    timed = sum(each.tasks for each in report.workers if each.seconds)
    mean = sum(each.seconds for each in report.workers) / timed if timed else 0.0
    words = f"A task took {human_seconds(mean)} on average, the slowest {human_seconds(longest)}."
    return _section(
        "slowest",
        "Slowest tasks",
        f'<p class="soft">{words}</p>',
        _table("Slowest tasks", (("Task", ""), ("Time", "n"), ("Voxels that it reads", "")), rows, "stack fit"),
    )


def retries_section(report: JobReport) -> str:
    """The tasks that were done only when they were tried again."""
    if not report.retried:
        return ""
    rows = [
        f'<th scope="row">{text(each.task)}</th>{_cell(text(box_words(each.box)))}{_cell(_errors(each.errors))}'
        for each in report.retried[:MOST_ROWS]
    ]
    return _section(
        "retries",
        f'Tried again <span class="soft">{number(len(report.retried))}</span>',
        '<p class="soft">These tasks failed at first and were done later; nothing is wrong with what they wrote.</p>',
        _long_table(
            "Tasks that were tried again",
            (("Task", ""), ("Voxels that it reads", ""), ("Why", "")),
            rows,
            len(report.retried),
        ),
    )
