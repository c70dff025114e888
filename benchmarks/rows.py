"""The table of what is measured: each row with its cases, programs, targets, and a few words on how."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.compare import nearly_same_labels, same_files, same_voxels
from benchmarks.environment import Rivals, cvbatch, our_script
from benchmarks.inputs import Inputs, Volume
from benchmarks.model import Case, CaseResult, DisagreementError, Program, Results, Target, judge
from benchmarks.servers import S3

IGNEOUS_TASK = [512, 512, 64]
IGNEOUS_TASK_VOXELS = 512 * 512 * 64
CHUNK = [128, 128, 64]
WARM_CALLS = 7
DELAY_SECONDS = 0.05
HUGE_CHUNKS = (4000, 4000, 8000)


@dataclass(frozen=True)
class Bench:
    """Where things are, and how programs are called."""

    work: Path
    inputs: Inputs
    rivals: Rivals

    def out(self, name: str) -> Path:
        return self.work / "out" / name

    def job(
        self,
        name: str,
        source: Volume,
        *,
        kind: str = "transfer",
        destination: dict[str, Any] | None = None,
        mips: int = 0,
        workers: dict[str, Any] | None = None,
        label: str = "cvbatch",
    ) -> Program:
        """``cvbatch run`` of a job from one folder to another, or in place, by two processes."""
        out = self.out(name)
        config: dict[str, Any] = {"job": kind, "workers": {"processes": 2, **(workers or {})}}
        config["source"] = f"file://{source.path if kind == 'transfer' else out}"
        if kind == "transfer":
            config["destination"] = {"path": f"file://{out}", **(destination or {})}
        elif destination is not None:
            config["destination"] = destination
        if mips:
            config["downsample"] = {"mips": mips}
        return Program(
            label,
            cvbatch("run", "--quiet", str(self.config(name, config))),
            out,
            source.path if kind == "downsample" else None,
            config=self.config(name, config),
        )

    def config(self, name: str, config: dict[str, Any]) -> Path:
        """Write it down; YAML reads JSON."""
        path = self.work / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config, indent=1))
        return path

    def igneous(self, name: str, task: str, options: dict[str, Any], grows_from: Volume | None = None) -> Program:
        """Igneous' tasks, by its local queue with two processes."""
        out = self.out(name)
        start = grows_from.path if grows_from is not None else None
        return Program("igneous", self.rivals.script("igneous_tasks", task, json.dumps(options)), out, start)

    def transfer_options(self, source: Volume, name: str, **options: Any) -> dict[str, Any]:
        """What Igneous is told of a transfer."""
        return {
            "src_layer_path": f"file://{source.path}",
            "dest_layer_path": f"file://{self.out(name)}",
            "chunk_size": CHUNK,
            "shape": IGNEOUS_TASK,
            "compress": "gzip",
            "no_src_update": True,
            **options,
        }


@dataclass(frozen=True)
class Row:
    """A letter, what is compared, how, and the cases."""

    key: str
    title: str
    how: str
    cases: Callable[[Bench], list[Case]]


def _speed(limit: float, *rivals: str) -> Target:
    """How many times as fast as the fastest of some."""

    def value(results: Results) -> float:
        return min(results[rival].seconds for rival in rivals) / results["cvbatch"].seconds

    return Target(f"speed, to {' or '.join(rivals)}", limit, value)


def _bytes(limit: float, rival: str) -> Target:
    def value(results: Results) -> float:
        ours, theirs = results["cvbatch"].output_bytes, results[rival].output_bytes
        assert ours is not None
        assert theirs is not None
        return ours / theirs

    return Target(f"bytes out, of {rival}'s", limit, value, at_least=False)


def _memory(limit: float, rival: str) -> Target:
    def value(results: Results) -> float:
        return results["cvbatch"].peak_bytes / results[rival].peak_bytes

    return Target(f"peak memory, of {rival}'s", limit, value, at_least=False)


def _fixed(
    bench: Bench, name: str, destination: dict[str, Any] | None = None, compress: str = "none", mips: int = 0
) -> Program:
    """A job of one chunk."""
    job = bench.job(name, bench.inputs.one_chunk(compress), destination=destination, mips=mips, label="one chunk")
    return replace(job, share=0.0)


def _twice(make: Callable[[int], Case]) -> list[Case]:
    """A case as the row has it, and, for comparison, with four times the volume and no targets."""
    larger = make(4)
    return [make(1), replace(larger, name=f"{larger.name} ×4", targets=())]


def _a(bench: Bench, times: int) -> Case:
    source = bench.inputs.volume("em", times=times)
    programs = (
        bench.job(f"a{times}-ours", source, destination={"chunk_size": CHUNK, "compress": "gzip"}, mips=2),
        bench.igneous(f"a{times}-igneous", "transfer", bench.transfer_options(source, f"a{times}-igneous")),
    )
    return Case(
        "a",
        programs,
        (_speed(3.5, "igneous"), _bytes(1.03, "igneous"), _memory(1.0, "igneous")),
        source.voxel_bytes,
        lambda _: same_voxels(bench.rivals, bench.out(f"a{times}-ours"), bench.out(f"a{times}-igneous"), 1),
    )


def _rechunk(bench: Bench, key: str, name: str, limit: float) -> list[Case]:
    source = bench.inputs.volume(name, "none", 4)
    programs = [bench.job(f"{key}-ours", source, destination={"chunk_size": CHUNK, "compress": "none"})]
    ways = ("copy", "loop")
    for way in ways:
        out = bench.out(f"{key}-{way}")
        script = bench.rivals.script("tensorstore_copy", str(source.path), str(out), *map(str, CHUNK), way)
        programs.append(Program(f"tensorstore {way}", script, out))
    return [
        Case(
            key,
            tuple(programs),
            (_speed(limit, *(f"tensorstore {way}" for way in ways)),),
            source.voxel_bytes,
            lambda _: same_files([bench.out(f"{key}-{each}") for each in ("ours", *ways)]),
        )
    ]


def _c1(bench: Bench, times: int) -> Case:
    source = bench.inputs.volume("seg", times=times)
    encoding = "compressed_segmentation"
    name, rival = f"c1-{times}-ours", f"c1-{times}-igneous"
    options = bench.transfer_options(source, rival, encoding=encoding, skip_downsamples=True)
    destination = {"chunk_size": CHUNK, "encoding": encoding, "compress": "gzip"}
    return Case(
        "c1",
        (bench.job(name, source, destination=destination), bench.igneous(rival, "transfer", options)),
        (_speed(2.0, "igneous"),),
        source.voxel_bytes,
        lambda _: same_voxels(bench.rivals, bench.out(name), bench.out(rival)),
    )


def _downsample(bench: Bench, key: str, volume: str, times: int) -> Case:
    source = bench.inputs.volume(volume, times=times)
    name, rival = f"{key}{times}-ours", f"{key}{times}-igneous"
    itemsize = {"em": 1, "seg": 8}[volume]
    options = {
        "layer_path": f"file://{bench.out(rival)}",
        "num_mips": 3,
        "compress": "gzip",
        "memory_target": IGNEOUS_TASK_VOXELS * itemsize * 3 // 2,
    }
    programs = (
        bench.job(name, source, kind="downsample", mips=3),
        bench.igneous(rival, "downsample", options, source),
    )
    speed = _speed(3.0, "igneous")

    def check(_: Results) -> str:
        if volume == "em":
            return same_voxels(bench.rivals, bench.out(name), bench.out(rival), 1)
        return nearly_same_labels(bench.rivals, bench.out(name), bench.out(rival), 0.01)

    targets = (speed,) if volume == "em" else (speed, _bytes(1.25, "igneous"))
    return Case(key, programs, targets, source.voxel_bytes, check)


def _f(bench: Bench) -> list[Case]:
    source = bench.inputs.volume("em")
    calls = str(WARM_CALLS)
    programs = (
        Program("cvbatch", our_script("shared", str(source.path), "2", calls), reports=True),
        *(
            Program(
                f"CloudVolume parallel={count}",
                bench.rivals.script("cloudvolume_shared", str(source.path), str(count), calls),
                reports=True,
            )
            for count in (1, 2)
        ),
        Program("libdeflate alone", our_script("decode", str(source.scale_folder), "2", calls), reports=True),
    )
    floor = Target(
        "time, of libdeflate's alone",
        1.25,
        lambda results: results["cvbatch"].seconds / results["libdeflate alone"].seconds,
        at_least=False,
    )
    targets = (_speed(3.0, "CloudVolume parallel=1", "CloudVolume parallel=2"), floor)

    def check(results: Results) -> str:
        digests = {result.reported["digest"] for result in results.values() if "digest" in result.reported}
        if len(digests) != 1:
            raise DisagreementError("the digests of the voxels are different")
        return "all voxels are equal"

    return [Case("f", programs, targets, source.voxel_bytes, check)]


def _g(bench: Bench) -> list[Case]:
    cases = []
    for times in (1, 10):
        source = bench.inputs.volume("em", "none", times)
        outs = [bench.out(f"g{times}-{each}") for each in ("ours", "cp", "cloudvolume")]
        programs = (
            bench.job(f"g{times}-ours", source),
            Program("cp -r", ("cp", "-r", str(source.path), str(outs[1])), outs[1]),
            Program(
                "CloudVolume",
                bench.rivals.script("cloudvolume_transfer", str(source.path), str(outs[2])),
                outs[2],
            ),
            _fixed(bench, f"g{times}-fixed"),
        )
        beyond = Target(
            "time beyond that of one chunk, of cp's",
            1.5,
            lambda results: (results["cvbatch"].seconds - results["one chunk"].seconds) / results["cp -r"].seconds,
            at_least=False,
        )
        cases.append(
            Case(
                f"g ×{times}",
                programs,
                (beyond, _speed(2.0, "CloudVolume")),
                source.voxel_bytes,
                lambda _, paths=(source.path, *outs): same_files(paths),  # type: ignore[misc]
            )
        )
    return cases


def _bucket(bench: Bench, volume: Volume) -> Path:
    """A folder with the buckets ``src``, which has the volume as ``em``, and ``dst``."""
    root = bench.work / f"s3-{volume.path.name}"
    target = root / "src" / "em"
    if not target.exists():
        (root / "dst").mkdir(parents=True, exist_ok=True)
        for file in volume.path.rglob("*"):
            if file.is_file():
                # The server knows nothing of the encoding of an object that it didn't receive.
                copy = target / file.relative_to(volume.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.hardlink_to(file)
    return root


def _s3_job(bench: Bench, name: str, root: Path, delay: float, config: dict[str, Any]) -> Program:
    overrides = ("--set", "source.endpoint={endpoint}", "--set", "destination.endpoint={endpoint}")
    path = bench.config(name, config)
    return Program(
        "cvbatch",
        cvbatch("run", "--quiet", str(path), *overrides),
        root / "dst" / "ours",
        environment={"CLOUD_VOLUME_DIR": "{home}"},
        service=S3(root, delay).serve,
        config=path,
        overrides=overrides,
    )


def _h(bench: Bench) -> list[Case]:
    source = bench.inputs.volume("em", "none")
    root = _bucket(bench, source)
    service = S3(root).serve
    config = {
        "job": "transfer",
        "source": {"path": "s3://src/em"},
        "destination": {"path": "s3://dst/ours"},
        "workers": {"processes": 2},
    }
    keys = {"CLOUD_VOLUME_DIR": "{home}", "CLOUD_FILES_DIR": "{home}"}
    remote = {"RCLONE_CONFIG": "/dev/null"}
    for name in ("A", "B"):
        words = {
            "TYPE": "s3",
            "PROVIDER": "Rclone",
            "ENDPOINT": "{endpoint}",
            "ACCESS_KEY_ID": "{key}",
            "SECRET_ACCESS_KEY": "{secret}",
        }
        remote |= {f"RCLONE_CONFIG_{name}_{word}": value for word, value in words.items()}
    programs = (
        _s3_job(bench, "h-ours", root, 0.0, config),
        Program(
            "cloud-files",
            bench.rivals.script("cloudfiles_transfer", "s3://{endpoint}/src/em", "s3://{endpoint}/dst/cloudfiles"),
            root / "dst" / "cloudfiles",
            environment=keys,
            service=service,
        ),
        Program(
            "rclone",
            (bench.rivals.rclone, "copy", "A:src/em", "B:dst/rclone"),
            root / "dst" / "rclone",
            environment=remote,
            service=service,
        ),
        Program(
            "rclone, by the server",
            (bench.rivals.rclone, "copy", "A:src/em", "A:dst/rclone-inside"),
            root / "dst" / "rclone-inside",
            environment=remote,
            service=service,
        ),
    )
    volumes = [root / "src" / "em", *(program.destination for program in programs if program.destination)]
    return [
        Case(
            "h",
            programs,
            (_speed(3.0, "cloud-files"), _speed(0.8, "rclone")),
            source.voxel_bytes,
            lambda _: same_files(volumes),
        )
    ]


def _i(bench: Bench) -> list[Case]:
    source = bench.inputs.volume("em")
    root = bench.work / "s3-encoded"
    (root / "dst").mkdir(parents=True, exist_ok=True)
    (root / "src").mkdir(parents=True, exist_ok=True)
    upload = bench.rivals.script("cloudfiles_transfer", f"file://{source.path}", "s3://{endpoint}/src/em")
    service = S3(root, DELAY_SECONDS, upload).serve
    config = {
        "job": "transfer",
        "source": {"path": "s3://src/em"},
        "destination": {"path": "s3://dst/ours", "chunk_size": CHUNK, "compress": "gzip"},
        "downsample": {"mips": 2},
        "workers": {"processes": 2},
    }
    options = bench.transfer_options(
        source, "-", src_layer_path="bench://src/em", dest_layer_path="bench://dst/igneous"
    )
    programs = (
        replace(_s3_job(bench, "i-ours", root, 0.0, config), service=service),
        Program(
            "igneous",
            bench.rivals.script("igneous_tasks", "transfer", json.dumps(options)),
            root / "dst" / "igneous",
            environment={"CLOUD_VOLUME_DIR": "{home}", "CLOUD_FILES_DIR": "{home}"},
            service=service,
        ),
    )

    def check(_: Results) -> str:
        ours, theirs = (_named_as_files(root / "dst" / name, bench.out(f"i-{name}")) for name in ("ours", "igneous"))
        return same_voxels(bench.rivals, ours, theirs, 1)

    return [Case("i", programs, (_speed(4.0, "igneous"),), source.voxel_bytes, check)]


def _named_as_files(bucket: Path, folder: Path) -> Path:
    """Objects under the names that files have: with the extension of their compression."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in bucket.rglob("*"):
        if file.is_file() and ".cvbatch" not in file.parts:
            with file.open("rb") as opened:
                extension = ".gz" if opened.read(2) == b"\x1f\x8b" else ""
            target = folder / file.relative_to(bucket).with_name(file.name + extension)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(file)
    return folder


def _j(bench: Bench) -> list[Case]:
    source = bench.inputs.volume("seg")
    options = {
        "src_layer_path": f"file://{source.path}",
        "dst_layer_path": f"file://{bench.out('j-igneous')}",
        "chunk_size": [64, 64, 64],
        "compress": "gzip",
    }
    programs = (
        bench.job("j-ours", source, destination={"sharding": "auto"}),
        bench.igneous("j-igneous", "shard", options),
    )
    return [
        Case(
            "j",
            programs,
            (_speed(2.0, "igneous"), _memory(0.5, "igneous")),
            source.voxel_bytes,
            lambda _: same_voxels(bench.rivals, bench.out("j-ours"), bench.out("j-igneous")),
        )
    ]


def _l(bench: Bench) -> list[Case]:
    cases = []
    for times in (1, 4):
        source = bench.inputs.volume("em", times=times)
        programs = tuple(
            bench.job(
                f"l{times}-{count}",
                source,
                destination={"chunk_size": CHUNK, "compress": "gzip"},
                mips=2,
                workers={"processes": count, "threads": 1},
                label="cvbatch" if count == 2 else "cvbatch, 1 process",
            )
            for count in (2, 1)
        )
        outs = (bench.out(f"l{times}-2"), bench.out(f"l{times}-1"))
        cases.append(
            Case(
                f"l ×{times}",
                programs,
                (_speed(1.8, "cvbatch, 1 process"),),
                source.voxel_bytes,
                lambda _, outs=outs: same_files(outs),  # type: ignore[misc]
            )
        )
    return cases


def _m(bench: Bench) -> list[Case]:
    def wall(limit: float) -> tuple[Target, ...]:
        return (Target("wall time", limit, lambda results: results["cvbatch"].seconds, at_least=False, unit=" s"),)

    job = replace(_fixed(bench, "m"), name="cvbatch")
    python = (sys.executable, "-c", "import numpy, cvbatch")
    return [
        Case("m: a job of one chunk", (job,), wall(1.0)),
        Case("m: import", (Program("cvbatch", python),), wall(0.25)),
        Case("m: --help", (Program("cvbatch", cvbatch("--help")),), wall(0.3)),
    ]


def _n(bench: Bench) -> list[Case]:
    def plan_of(name: str, volume: Volume) -> str:
        config = {
            "job": "transfer",
            "source": f"file://{volume.path}",
            "destination": {"path": f"file://{bench.out('n')}", "chunk_size": CHUNK},
            "workers": {"processes": 2, "memory": "256MiB"},
        }
        return str(bench.config(name, config))

    huge = plan_of("n-huge", bench.inputs.huge(HUGE_CHUNKS))
    small = plan_of("n-small", bench.inputs.one_chunk())

    def told(name: str) -> Callable[[Results], float]:
        return lambda results: float(results["cvbatch"].reported[name])

    targets = (
        Target("tasks", 1e9, told("tasks"), unit=""),
        Target("len(plan)", 50.0, told("len_microseconds"), at_least=False, unit=" µs"),
        Target("plan[i]", 50.0, told("item_microseconds"), at_least=False, unit=" µs"),
        Target("memory", 20.0, told("memory_megabytes"), at_least=False, unit=" MB"),
    )
    return [Case("n", (Program("cvbatch", our_script("plan", huge, small), reports=True),), targets)]


def _o(bench: Bench) -> list[Case]:
    def job(times: int) -> Program:
        source = bench.inputs.volume("em", times=times)
        name = "cvbatch" if times == 16 else f"cvbatch, ×{times}"
        made = bench.job(f"o{times}", source, destination={"chunk_size": CHUNK, "compress": "gzip"}, mips=2, label=name)
        return replace(made, share=times / 16)

    def growth(small: str, times: int) -> Callable[[Results], float]:
        def value(results: Results) -> float:
            fixed = results["one chunk"].seconds
            return (results["cvbatch"].seconds - fixed) / (results[small].seconds - fixed) / times

        return value

    def memory(results: Results) -> float:
        return results["cvbatch"].peak_bytes / results["cvbatch, ×1"].peak_bytes

    fixed = _fixed(bench, "o-fixed", {"chunk_size": CHUNK}, "gzip", mips=2)
    return [
        Case(
            "o",
            (job(16), job(4), job(1), fixed),
            (
                Target(
                    "time a voxel beyond that of one chunk, of ×1's", 1.1, growth("cvbatch, ×1", 16), at_least=False
                ),
                Target("time a voxel beyond that of one chunk, of ×4's", 1.1, growth("cvbatch, ×4", 4), at_least=False),
                Target("peak memory, of ×1's", 1.05, memory, at_least=False),
            ),
            bench.inputs.volume("em", times=16).voxel_bytes,
        )
    ]


def projections(cases: Sequence[CaseResult]) -> CaseResult:
    """Row k: of each job, the memory that its plan projects for a worker, in parts of what the largest one had."""
    found = [
        (f"{case.name}, {result.name}", result)
        for case in cases
        for result in case.results
        if result.projected_bytes and result.worker_bytes
    ]
    results = dict(found)
    targets = []
    for name in results:

        def value(given: Results, name: str = name) -> float:
            projected, measured = given[name].projected_bytes, given[name].worker_bytes
            assert projected is not None
            assert measured is not None
            return projected / measured

        what = f"{name}: projected, of measured"
        targets.append(Target(what, 0.85, value, at_most=1.15))
    return CaseResult("k", None, (), judge(tuple(targets), results))


ROWS: tuple[Row, ...] = (
    Row(
        "a",
        "EM, raw + gzip: 64³ to 128×128×64, with two mips",
        "Igneous: `create_transfer_tasks`, tasks of 512×512×64, gzip, `LocalTaskQueue(parallel=2)`. Here and in c1, d "
        "and e, ×4 is the same with four times the volume, where starting the program is a smaller part.",
        lambda bench: _twice(lambda times: _a(bench, times)),
    ),
    Row(
        "b",
        "EM ×4, uncompressed: 64³ to 128×128×64",
        "TensorStore in two ways, each with two threads for voxels and two for files, without syncing files: one "
        "`write` of the whole store, and a loop over boxes of 512×512×64 by two threads. The faster one counts. "
        "The volume is in memory, so that this is a matter of copies and calls.",
        lambda bench: _rechunk(bench, "b", "em", 2.0),
    ),
    Row(
        "c1",
        "labels, raw + gzip 64³ to compressed_segmentation + gzip 128×128×64",
        "Igneous as in a, with `skip_downsamples`.",
        lambda bench: _twice(lambda times: _c1(bench, times)),
    ),
    Row(
        "c2",
        "labels ×4, uncompressed: 64³ to 128×128×64",
        "As b.",
        lambda bench: _rechunk(bench, "c2", "seg", 1.0),
    ),
    Row(
        "d",
        "three mips of EM, in place",
        "Igneous: `create_downsampling_tasks`, `num_mips=3`, with the memory target that makes tasks of 512×512×64, "
        "`LocalTaskQueue(parallel=2)`. Bytes out are those that were added.",
        lambda bench: _twice(lambda times: _downsample(bench, "d", "em", times)),
    ),
    Row(
        "e",
        "three mips of labels, in place",
        "As d. Where no label of a cell has more voxels than the others, programs may choose differently.",
        lambda bench: _twice(lambda times: _downsample(bench, "e", "seg", times)),
    ),
    Row(
        "f",
        "`download_to_shared_memory` of EM, pool warm",
        f"One process makes {WARM_CALLS + 1} calls; its time is the median of all but the first. CloudVolume with "
        "parallel=1 and with parallel=2; the faster one counts. Beside it libdeflate alone: two processes that have "
        "the gzip files in memory and decompress them, which is less than what anybody has to do. CPU and memory are "
        "of the whole process.",
        _f,
    ),
    Row(
        "g",
        "copy, nothing changed, uncompressed: 512 chunks, and ten times as many",
        "CloudVolume: `transfer_to`. One chunk is a job of cvbatch that copies a single chunk: its fixed cost.",
        _g,
    ),
    Row(
        "h",
        "EM uncompressed from one bucket to another of a local S3 server, nothing changed",
        "`rclone serve s3`, started anew for each run. cloud-files: `transfer_to`. rclone with two remotes, so that "
        "bytes pass through it, as they do through cvbatch; and, for comparison, with one, where the server copies by "
        "itself. CPU is without the server's.",
        _h,
    ),
    Row(
        "i",
        "case a from and to S3, 50 ms added to each request",
        "The server of h behind a proxy that lets 50 ms pass before each request. Before each run the source is "
        "uploaded, untimed. Igneous' connections are closed before its local queue forks. The proxy works in Python on "
        "the same cores, which is a part of both times.",
        _i,
    ),
    Row(
        "j",
        "labels, raw + gzip 64³ from plain files into shards",
        "Igneous: `create_image_shard_transfer_tasks` with its own memory target, which makes one shard, and so one "
        "task, of this volume. Smaller targets lose chunks of it. cvbatch: `sharding: auto`.",
        _j,
    ),
    Row(
        "l",
        "case a with one process and with two, one thread in each",
        "Whole processes: the start of the program is in both.",
        _l,
    ),
    Row("m", "fixed cost", "Whole processes.", _m),
    Row(
        "n",
        "a plan of 10⁹ tasks",
        "One process, which says itself: `len(plan)`, the mean of 1,000 random `plan[i]`, and what its resident memory "
        "grew by, after a plan of one task had loaded the code.",
        _n,
    ),
    Row(
        "o",
        "case a with a volume 1, 4 and 16 times as large",
        "Copies of EM along z. From each time that of a job of one chunk is taken off, then it is divided by the "
        "number of voxels.",
        _o,
    ),
)
PROJECTIONS = Row(
    "k",
    "memory that `cvbatch plan` projects for a worker",
    "`worker.memory_projected_bytes` of `cvbatch plan --json`, before the job's first run, by the largest "
    "`peak_memory_bytes` in the receipts of that run; for each job of the rows that were run. The comparison of the "
    "peak memory of case a with Igneous' is in row a.",
    lambda _: [],
)
