"""Three hosts in network namespaces: a queue and a store on one, workers on two, and links that can be cut."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .commands import CVBATCH, SECONDS, config_file, tasks_of, until

SERVER, PORT = "10.99.0.1", 5555
LEASE_SECONDS = 4
# moto, where other hosts can reach it.
SERVE = f"""
import logging
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.ERROR)
MotoRequestHandler.protocol_version = "HTTP/1.1"
app = DomainDispatcherApplication(create_backend_app)
make_server("{SERVER}", {PORT}, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()
"""
# Run on the server's host: makes the bucket and the volume, or prints what is in the bucket, with its receipts.
PREPARE = """
import boto3, sys
boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1").create_bucket(Bucket="bucket")
from volumes import noise, write_volume
write_volume(f"s3://{sys.argv[1]}/bucket/em", noise((768, 768, 64)), chunk_size=(32, 32, 16))
"""
LOOK = """
import hashlib, json, sys
from cvbatch.storage import open_store
store = open_store(f"s3://{sys.argv[1]}/bucket/{sys.argv[2]}")
keys = list(store.list())
chunks = [key for key in keys if not key.startswith(".cvbatch/") and key != "provenance"]
receipts = [key.rpartition("/")[2][:-5].split("-") for key in keys if "/receipts/" in key]
names = sys.argv[3:] and {key: hashlib.sha256(bytes(store.get(key).data)).hexdigest() for key in chunks}
print(json.dumps([[list(map(int, each)) for each in receipts], names or {}]))
"""


def ip(*words: str, check: bool = True) -> None:
    """``ip`` of iproute2."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(words)}: {done.stderr}"


def can_make_hosts() -> bool:
    """Whether network namespaces can be made here: with ``ip``, and by root."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = f"cvb-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    ip("netns", "del", name, check=False)
    return made


class Hosts:
    """Namespaces ``server``, ``one`` and ``two``, with a link from the first to each of the others."""

    def __init__(self, serial: str) -> None:
        self._serial = serial

    def name(self, host: str) -> str:
        return f"cvb{self._serial}-{host}"

    def make(self) -> None:
        for host in ("server", "one", "two"):
            ip("netns", "add", self.name(host))
            ip("-n", self.name(host), "link", "set", "lo", "up")
        server = self.name("server")
        ip("-n", server, "addr", "add", f"{SERVER}/32", "dev", "lo")
        for number, host in enumerate(("one", "two"), 1):
            ends = ("type", "veth", "peer", "name", "uplink", "netns", self.name(host))
            ip("-n", server, "link", "add", f"to-{host}", *ends)
            ip("-n", server, "addr", "add", f"10.99.{number}.1/24", "dev", f"to-{host}")
            ip("-n", server, "link", "set", f"to-{host}", "up")
            ip("-n", self.name(host), "addr", "add", f"10.99.{number}.2/24", "dev", "uplink")
            ip("-n", self.name(host), "link", "set", "uplink", "up")
            ip("-n", self.name(host), "route", "add", "default", "via", f"10.99.{number}.1")

    def cut(self, host: str) -> None:
        ip("-n", self.name("server"), "link", "set", f"to-{host}", "down")

    def heal(self, host: str) -> None:
        ip("-n", self.name("server"), "link", "set", f"to-{host}", "up")

    def remove(self) -> None:
        for host in ("server", "one", "two"):
            ip("netns", "del", self.name(host), check=False)

    def on(self, host: str, *words: str) -> list[str]:
        """A command as one of a host."""
        return ["ip", "netns", "exec", self.name(host), *words]


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Three hosts, which are gone at the end."""
    made = Hosts(f"{random.randrange(16**4):04x}")
    try:
        made.make()
        yield made
    finally:
        made.remove()


def cut_and_heal(folder: Path, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """A job by workers of two hosts, of which one is cut off for longer than a lease, twice, and comes back.

    Raises AssertionError where something is lost, or was done twice so that it shows.
    """
    if not can_make_hosts():
        return {"skipped": "network namespaces can't be made here: that needs root and iproute2"}
    rng, url = random.Random(seed), f"http://{SERVER}:{PORT}"
    paths = os.pathsep.join(path for path in sys.path if path)
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    environment = {**os.environ, **keys, "PYTHONPATH": paths, "HOME": str(folder)}
    with hosts() as net, ExitStack() as around:

        def start(name: str, *words: str) -> subprocess.Popen[bytes]:
            output = around.enter_context(open(folder / name, "wb"))
            process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=environment)
            around.callback(_end, process)
            return process

        def done(*words: str) -> str:
            found = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)
            assert found.returncode == 0, (words[-4:], found.stdout[-500:], found.stderr[-2000:])
            return found.stdout

        def look(name: str, *more: str) -> Any:
            return json.loads(done(*net.on("server", sys.executable, "-c", LOOK, url, name, *more)))

        start("moto", *net.on("server", sys.executable, "-c", SERVE))
        prepare = net.on("server", sys.executable, "-c", PREPARE, url)
        assert until(lambda: not subprocess.run(prepare, env=environment, capture_output=True, check=False).returncode)
        done(
            *net.on(
                "server",
                *CVBATCH,
                "run",
                str(_config(folder, url, "calm", {"url": "local"})),
                "--quiet",
                "--set",
                "workers.processes=2",
            )
        )
        _, expected = look("calm", "names")
        say(f"network: {len(expected)} objects from an undisturbed job")
        queue = ["sqs://cut", "--endpoint", url, "--region-name", "us-east-1"]
        done(*net.on("server", *CVBATCH, "queue", "create", *queue))
        at = {"url": "sqs://cut", "endpoint": url, "region_name": "us-east-1"}
        config = str(_config(folder, url, "out", at))
        coordinator = start("coordinator", *net.on("server", *CVBATCH, "run", config, "--json", "--quiet"))
        options = ["--processes", "1", "--lease-seconds", str(LEASE_SECONDS), "--quiet"]
        workers = {host: start(host, *net.on(host, *CVBATCH, "work", *queue, *options)) for host in ("one", "two")}
        begin, cuts = time.monotonic(), []
        for host in rng.sample(("one", "two"), 2):
            before = len(look("out")[0])
            assert until(lambda before=before: len(look("out")[0]) > before or coordinator.poll() is not None, 60)
            if coordinator.poll() is not None:
                break
            before = len(look("out")[0])
            net.cut(host)
            seconds = rng.uniform(2, 3) * LEASE_SECONDS
            say(f"network: {host} is cut off for {seconds:.1f} s, with {before} receipts there")
            time.sleep(seconds)
            net.heal(host)
            cuts.append({"host": host, "seconds": round(seconds, 1), "receipts_before": before})
        assert coordinator.wait(240) == 0, (folder / "coordinator").read_bytes()[-2000:]
        seconds = time.monotonic() - begin
        codes = {}
        for host, process in workers.items():
            process.terminate()
            codes[host] = process.wait(90)
        receipts, found = look("out", "names")
        tasks = tasks_of(receipts)
    assert cuts, "the job was done before a link could be cut"
    assert found == expected, "the objects are not those of an undisturbed job"
    report = json.loads((folder / "coordinator").read_text())
    assert len(set(tasks)) == report["tasks"]["total"] == report["tasks"]["done"]
    assert set(codes.values()) == {0}, (codes, [(folder / host).read_text()[-800:] for host in codes])
    return {
        "tasks": len(set(tasks)),
        "in_two_receipts": len(tasks) - len(set(tasks)),
        "lease_seconds": LEASE_SECONDS,
        "cuts": cuts,
        "job_seconds": round(seconds, 1),
        "workers_ended_with": codes,
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _config(folder: Path, url: str, name: str, queue: dict[str, Any]) -> Path:
    reach = {"region_name": "us-east-1", "stall_seconds": 3}
    return config_file(
        folder / f"{name}.yaml",
        job="transfer",
        source={"path": f"s3://{url}/bucket/em", **reach},
        destination={"path": f"s3://{url}/bucket/{name}", "encoding": "png", "chunk_size": [16, 16, 16], **reach},
        downsample={"mips": 1},
        # Cut for more processes than there are: many small tasks.
        workers={"processes": 32, "memory": "64MiB"},
        queue={**queue, "max_attempts": 1000},
    )
