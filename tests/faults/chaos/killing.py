"""A job of which processes are killed at random moments, until it is done."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from volumes import noise, write_volume

from .commands import (
    CVBATCH,
    answer,
    below,
    config_file,
    endpoint,
    left_over,
    objects,
    orphans_after_sweep,
    tasks_of,
    until,
)
from .commands import receipts as receipts_of

# So many that died of our doing before they were ready end a run, which is then started again.
STILLBORN = "died before they could start"
JOB_SECONDS = 180.0


@dataclass
class Killings:
    """What came of the kills: ``victims`` by what they were, and how often tasks were done twice (which is no harm)."""

    victims: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    tasks: int = 0
    in_two_receipts: int = 0
    partial_files: int = 0

    @property
    def kills(self) -> int:
        return sum(self.victims.values())

    def __iadd__(self, other: Killings) -> Killings:
        self.victims += other.victims
        for name in ("jobs", "tasks", "in_two_receipts", "partial_files"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def to_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("jobs", "tasks", "in_two_receipts", "partial_files")}
        return {"kills": self.kills, "victims": dict(sorted(self.victims.items())), **numbers}


class Scene:
    """A volume, and what an undisturbed job makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_volume(f"file://{folder}/em", noise((256, 256, 96)), chunk_size=(32, 32, 16))
        answer("run", self.config("calm", {"url": "local"}))
        self.expected = objects(folder / "calm")

    def config(self, name: str, queue: Mapping[str, Any]) -> Path:
        """A job of many small tasks. What is killed again and again must not be taken for what kills."""
        return config_file(
            self.folder / f"{name}.yaml",
            job="transfer",
            source=f"file://{self.folder}/em",
            destination={"path": f"file://{self.folder}/{name}", "chunk_size": [16, 16, 16], "encoding": "png"},
            downsample={"mips": 2},
            workers={"processes": 2, "memory": "64MiB"},
            queue={**queue, "max_attempts": 1000},
        )

    def check(self, name: str, total: int) -> Killings:
        """What there is must be what an undisturbed job leaves, with each task in a receipt, and nothing else left."""
        folder = self.folder / name
        found = objects(folder)
        differing = [key for key in self.expected.keys() | found.keys() if self.expected.get(key) != found.get(key)]
        assert not differing, f"{len(differing)} objects differ, for example {sorted(differing)[:3]}"
        tasks = tasks_of(receipts_of(folder))
        assert len(set(tasks)) == total, f"{len(set(tasks))} of {total} tasks have receipts"
        assert orphans_after_sweep() == []
        partial = len(list(folder.rglob("*.cvbpart")))
        doubled = len(tasks) - len(set(tasks))
        shutil.rmtree(folder)
        return Killings(jobs=1, tasks=total, in_two_receipts=doubled, partial_files=partial)


def kill_locally(scene: Scene, name: str, kills: int, rng: random.Random) -> Killings:
    """One job on one machine; its supervisor or a worker is killed, and the same command given again."""
    config = scene.config(name, {"url": "local"})
    troupe = _Troupe(scene.folder / name, rng)
    troupe.play("supervisor", ["run", str(config), "--json"])
    return _kill(scene, name, troupe, "supervisor", kills)


def kill_cluster(scene: Scene, name: str, queue: Mapping[str, Any], kills: int, rng: random.Random) -> Killings:
    """One job by the workers of a queue; its coordinator, a worker or one of their processes is killed."""
    config = scene.config(name, queue)
    answer("queue", "create", queue["url"], *endpoint(queue))
    troupe = _Troupe(scene.folder / name, rng)
    troupe.play("coordinator", ["run", str(config), "--json"])
    options = ["--processes", "1", "--lease-seconds", "3", "--grace", "5"]
    for number in range(3):
        troupe.play(f"worker {number}", ["work", queue["url"], *endpoint(queue), *options])
    return _kill(scene, name, troupe, "coordinator", kills)


def _kill(scene: Scene, name: str, troupe: _Troupe, leader: str, kills: int) -> Killings:
    """Kill so often, or until the leader is done; what the job came to."""
    while troupe.killed < kills and not troupe.is_done(leader):
        troupe.kill_one()
    output = troupe.finish(leader)
    troupe.end()
    killings = scene.check(name, output["tasks"]["total"])
    killings.victims = troupe.victims
    return killings


@dataclass
class _Part:
    """A command that is given again when it is killed."""

    words: list[str]
    process: subprocess.Popen[bytes]
    output: Path


class _Troupe:
    """Commands that run side by side, and who of them was killed."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._folder, self._rng = folder, rng
        self._parts: dict[str, _Part] = {}
        self._seen: set[psutil.Process] = set()
        self.victims: Counter[str] = Counter()

    @property
    def killed(self) -> int:
        return sum(self.victims.values())

    def play(self, name: str, words: list[str]) -> None:
        """Start a command, or start it again. What it says goes into files, which no reader has to keep up with."""
        output = self._folder.parent / f"{self._folder.name}-{name.replace(' ', '-')}"
        with open(f"{output}.out", "wb") as out, open(f"{output}.err", "ab") as err:
            process = subprocess.Popen([*CVBATCH, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        self._parts[name] = _Part(words, process, output)

    def is_done(self, name: str) -> bool:
        """Whether a command has come to a good end. Raises for a bad one that we are not to blame for."""
        part = self._parts[name]
        code = part.process.poll()
        if code in (None, 0):
            return code == 0
        said = Path(f"{part.output}.err").read_text()
        assert STILLBORN in said, f"{name} ended with {code}: {said[-2000:]}"
        self.play(name, part.words)
        return False

    def kill_one(self) -> None:
        """Kill one process of all, after some receipts more, and start again what was killed."""
        before = len(receipts_of(self._folder))
        until(lambda: len(receipts_of(self._folder)) > before, 2.5)
        time.sleep(self._rng.uniform(0, 0.4))
        trees = {name: below(part.process) for name, part in self._parts.items()}
        self._seen.update(each for tree in trees.values() for each in tree)
        name = self._rng.choice([name for name, tree in trees.items() if tree])
        victim = self._rng.choice(trees[name])
        is_top = victim.pid == self._parts[name].process.pid
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return
        self.victims[name.split()[0] if is_top else f"process of a {name.split()[0]}"] += 1
        if is_top:
            code = self._parts[name].process.wait()
            if code != 0:  # It may have ended a moment before.
                self.play(name, self._parts[name].words)

    def finish(self, name: str) -> dict[str, Any]:
        """Let a command come to its end; what it answers."""
        assert until(lambda: self.is_done(name), JOB_SECONDS), f"{name} doesn't end"
        found: dict[str, Any] = json.loads(Path(f"{self._parts[name].output}.out").read_text())
        assert found["tasks"]["failed"] == 0
        return found

    def end(self) -> None:
        """Tell all to end, and see that nobody is left."""
        for part in self._parts.values():
            self._seen.update(below(part.process))
            if part.process.poll() is None:
                part.process.terminate()
        for part in self._parts.values():
            part.process.wait(30)
        left = left_over(self._seen)
        assert not left, f"processes that are left: {left}"
