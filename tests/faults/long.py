"""What takes too long for CI: kills, fuzzing, a cut network and many tasks, as figures.

``python -m tests.faults.long PART [options]`` in the root of the repository, where PART is

- ``kills --kills 200``: processes are killed at random moments, on local, ``fq://`` and SQS queues in turn
- ``fuzz --cases 1000000 --chunks 20000``: the parsers with so many cases in all, each array encoding with so many
- ``network``: three hosts in network namespaces (needs root and ``ip``); a link is cut for longer than a lease
- ``tasks --tasks 20000``: so many small tasks by one worker, whose memory, handles and threads are watched
- ``audit``: the packages of this environment by ``pip-audit``, which has to be installed and needs a network
- ``all``

Each part prints lines while it works, and at its end a JSON document; ``--json FILE`` gets all of them. The exit status
is 1 where something was wrong. ``--seed`` repeats a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1])]


def say(text: str) -> None:
    """A line for who watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one part, removed at its end."""
    made = Path(tempfile.mkdtemp(prefix="cvbatch-long-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def kills(options: argparse.Namespace) -> dict[str, Any]:
    """Kill until there were enough, on one kind of queue after the other."""
    from chaos.killing import Killings, Scene, kill_cluster, kill_locally
    from servers import moto_s3

    rng = random.Random(options.seed)
    found: dict[str, Killings] = {kind: Killings() for kind in ("local", "fq", "sqs")}
    with folder() as place, moto_s3() as moto:
        os.environ.update(AWS_ACCESS_KEY_ID=moto.key, AWS_SECRET_ACCESS_KEY=moto.secret)
        scene, number = Scene(place), 0
        while sum(each.kills for each in found.values()) < options.kills:
            number += 1
            kind = min(found, key=lambda kind: found[kind].kills)
            name, each = f"{kind}{number}", random.Random(rng.random())
            if kind == "local":
                new = kill_locally(scene, name, 12, each)
            elif kind == "fq":
                new = kill_cluster(scene, name, {"url": f"fq://{place}/{name}-queue"}, 12, each)
            else:
                queue = {"url": f"sqs://{name}", "endpoint": moto.url, "region_name": "us-east-1"}
                new = kill_cluster(scene, name, queue, 12, each)
            found[kind] += new
            say(f"kills: {name}: {new.kills} kills, the same bytes, {dict(new.victims)}")
    return {
        "kills": sum(each.kills for each in found.values()),
        "queues": {kind: each.to_json() for kind, each in found.items()},
    }


def fuzz(options: argparse.Namespace) -> dict[str, Any]:
    """Feed spoiled input to every parser and every array encoding; what came out that should not."""
    import resource

    from chaos.targets import PARSERS, STURDY, array_encoding

    # Whoever believes what bytes claim runs into this.
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    found: dict[str, Any] = {}
    each = -(-options.cases // len(PARSERS))
    for name, target in PARSERS.items():
        found[name] = _fuzz_one(name, target, each, options.seed)
    for name in STURDY:
        target = _array_target(array_encoding, name)
        found[f"array: {name}"] = _fuzz_one(f"array: {name}", target, options.chunks, options.seed)
    for name, share in _fuzz_fragile(options).items():
        found[f"array: {name}"] = share
    total = sum(one["cases"] for one in found.values())
    return {"cases": total, "defects": sum(len(one["defects"]) for one in found.values()), "targets": found}


def _array_target(decode: Callable[[str, random.Random], None], name: str) -> Callable[[random.Random], None]:
    return lambda rng: decode(name, rng)


def _fuzz_one(name: str, target: Callable[[random.Random], None], cases: int, seed: int) -> dict[str, Any]:
    from chaos.targets import survives

    taken, slowest, defects, begin = 0, (0.0, 0), {}, time.monotonic()
    for number in range(cases):
        start = time.perf_counter()
        try:
            taken += survives(target, random.Random(f"{seed} {name} {number}"))
        except Exception as error:
            defects.setdefault(f"{type(error).__name__}: {error}"[:120], number)
        slowest = max(slowest, (time.perf_counter() - start, number))
    seconds = time.monotonic() - begin
    say(f"fuzz: {name}: {cases} cases, {taken} of them read, {len(defects)} defects, {cases / seconds:,.0f} a second")
    return {
        "cases": cases,
        "read": taken,
        "seconds": round(seconds, 1),
        "slowest_seconds": round(slowest[0], 3),
        "slowest_case": slowest[1],
        "defects": defects,
    }


def _fuzz_fragile(options: argparse.Namespace) -> dict[str, Any]:
    """Decoders that bytes may end, a case a process: a death is counted, a wrong answer is a defect."""
    import subprocess

    from chaos.targets import FRAGILE

    found = {}
    program = str(HERE.parent / "support" / "garbage.py")
    for name in FRAGILE:
        cases = max(1, options.chunks // 20)
        words = [sys.executable, program, name, str(cases)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        last = (done.stdout.split() or [""])[-1]
        wrong = {} if done.returncode == 0 else {done.stderr[-200:]: last}
        deaths = int(last) if done.returncode == 0 and last.isdigit() else None
        say(f"fuzz: {name}: {cases} cases, of which {deaths} ended their process")
        found[name] = {"cases": cases, "deaths": deaths, "defects": wrong}
    return found


def tasks(options: argparse.Namespace) -> dict[str, Any]:
    """Many small tasks by one worker; its memory, handles, threads and segments at the beginning and the end."""
    from chaos.endurance import endure

    with folder() as place:
        return endure(place, options.tasks, say)


def network(options: argparse.Namespace) -> dict[str, Any]:
    """Three hosts; a link is cut for longer than a lease."""
    from chaos.hosts import cut_and_heal

    with folder() as place:
        return cut_and_heal(place, options.seed, say)


def audit(options: argparse.Namespace) -> dict[str, Any]:
    """Known holes in the packages of this environment, by ``pip-audit`` (which is installed by hand)."""
    import subprocess

    words = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        return {"defects": {}, "not_run": done.stderr.strip()[-200:] or "pip-audit said nothing"}
    packages = json.loads(done.stdout)["dependencies"]
    audited = [each for each in packages if "skip_reason" not in each]
    holes = {each["name"]: [hole["id"] for hole in each["vulns"]] for each in audited if each["vulns"]}
    say(f"audit: {len(audited)} of {len(packages)} packages could be looked up, {len(holes)} have known holes")
    return {"packages": len(packages), "audited": len(audited), "defects": holes}


PARTS = {"kills": kills, "fuzz": fuzz, "network": network, "tasks": tasks, "audit": audit}


def main() -> int:
    """Run the parts that were asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.long", description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    say(f"--seed {options.seed}")
    found: dict[str, Any] = {"seed": options.seed}
    status = 0
    for name in PARTS if options.part == "all" else [options.part]:
        begin = time.monotonic()
        try:
            found[name] = PARTS[name](options)
            status |= bool(found[name].get("defects"))
        except AssertionError as error:
            found[name] = {"wrong": str(error)}
            status = 1
        found[name]["seconds"] = round(time.monotonic() - begin, 1)
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))
    return status


if __name__ == "__main__":
    sys.exit(main())
