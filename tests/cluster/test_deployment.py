"""What starts workers on real machines: all of ``workers/``, as far as it can be told without those machines."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import yaml

from cvbatch import load_config
from cvbatch.cli.main import cvbatch

WORKERS = Path(__file__).parents[2] / "workers"
FILES = sorted(path for path in WORKERS.rglob("*") if path.is_file())
GIB = 2**30
# The most that `workers.memory` is where a job doesn't say it.
MEMORY_OF_A_PROCESS = GIB
BATCH_STOP_SECONDS = 30
KUBERNETES = ("1.28", "1.37")
OPERATORS = set(";&|<>()")


def read(name: str) -> str:
    return (WORKERS / name).read_text()


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all(read(name)))


def of_kind(name: str, kind: str) -> dict:
    (found,) = [each for each in documents(name) if each["kind"] == kind]
    return found


COMPOSE = documents("compose.yaml")[0]
BATCH = json.loads(read("aws-batch.json"))
CONTAINER = BATCH["containerProperties"]
POD = of_kind("kubernetes/worker.yaml", "Deployment")["spec"]["template"]["spec"]


def unit() -> dict[str, str]:
    """The settings of the systemd unit, by name."""
    return dict(re.findall(r"^(\w+)=(.*)$", read("cvbatch-worker.service"), re.MULTILINE))


# Command lines


def words_of(line: str) -> list[str]:
    """The words of a shell command up to the first operator, with 4 in the place of variables."""
    lexer = shlex.shlex(re.sub(r"\$(\{[^}]*\}|\w+)", "4", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= OPERATORS:
            break
        words.append(word)
    return words


def in_shell(text: str) -> list[list[str]]:
    """Arguments of the ``cvbatch`` that a shell's lines call: by itself, in a container, or as compose's client."""
    begin = r"(?:^\s*|/bin/|&& )cvbatch +|cvbatch:[\w.]+ +(?=work)|run --rm client +"
    return [words_of(line[match.end() :]) for line in text.splitlines() for match in re.finditer(begin, line)]


def in_markdown(text: str) -> list[list[str]]:
    fenced = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(cvbatch [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return in_shell("\n".join([*fenced, *inline]))


def in_comments(text: str) -> list[list[str]]:
    return in_shell("\n".join(re.findall(r"#\s+(.*)$", text, re.MULTILINE)))


def with_parameters(words: list[str]) -> list[str]:
    return [re.sub(r"^Ref::(\w+)$", lambda match: BATCH["parameters"][match[1]], word) for word in words]


COMMANDS = [
    *[("compose", COMPOSE["services"][name]["command"]) for name in ("make-queue", "worker")],
    *[("comments", words) for path in FILES if path.suffix != ".md" for words in in_comments(path.read_text())],
    ("kubernetes", POD["containers"][0]["args"]),
    ("aws-batch", with_parameters(CONTAINER["command"])),
    *[("slurm", words) for words in in_shell(re.sub(r"#.*", "", read("slurm.sh")))],
    *[("systemd", words) for words in in_shell(unit()["ExecStart"])],
    *[("README", words) for words in in_markdown(read("README.md"))],
]


def parse(words: list[str]) -> dict[str, object]:
    """What cvbatch takes the words for, without doing anything. Raises errors of click."""
    command: click.Command = cvbatch
    context = None
    while True:
        context = command.make_context(command.name, list(words), parent=context)
        if not isinstance(command, click.Group):
            return {"command": context.command_path, **context.params}
        rest = [*context._protected_args, *context.args]
        _, command, words = command.resolve_command(context, rest)


def worker_of(place: str) -> dict[str, object]:
    (words,) = [words for where, words in COMMANDS if where == place and words[0] == "work"]
    return parse(words)


@pytest.mark.parametrize(("place", "words"), COMMANDS, ids=lambda each: each if isinstance(each, str) else each[0])
def test_every_command_line_is_one_that_cvbatch_has(place, words):
    assert parse([str(word) for word in words])["command"].startswith("cvbatch")


def test_command_lines_were_found_everywhere():
    counts = {place: sum(where == place for where, _ in COMMANDS) for place, _ in COMMANDS}

    assert counts["README"] >= 20
    assert {"compose", "comments", "kubernetes", "aws-batch", "slurm", "systemd"} <= set(counts)
    assert {"status", "run", "enqueue", "sample", "queue", "work"} <= {words[0] for _, words in COMMANDS}


@pytest.mark.parametrize(
    "line", ["cvbatch work", "cvbatch work q --proceses 2", "cvbatch wrok q", "cvbatch work q --grace x"]
)
def test_a_wrong_command_line_would_be_noticed(line):
    (words,) = in_shell(line)

    with pytest.raises(click.UsageError):
        parse(words)


# Files that are data


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix in {".yaml", ".json"}], ids=lambda path: path.name
)
def test_files_parse(path):
    found = list(yaml.safe_load_all(path.read_text()))

    assert found
    assert all(isinstance(each, dict) for each in found)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("document", documents("kubernetes/worker.yaml"), ids=lambda each: each["kind"])
def test_manifests_are_what_kubernetes_takes(document, version):
    validate = pytest.importorskip("kubernetes_validate").validate

    assert validate(document, version, strict=True) == version


def test_a_wrong_manifest_would_be_noticed():
    package = pytest.importorskip("kubernetes_validate")
    deployment = of_kind("kubernetes/worker.yaml", "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 120

    with pytest.raises(package.ValidationError):
        package.validate(deployment, KUBERNETES[0], strict=True)


def test_pods_may_do_no_more_than_they_need():
    (container,) = POD["containers"]

    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert str(POD["securityContext"]["runAsUser"]) == user_of_image()


def test_pods_can_write_where_workers_write():
    mounts = {each["mountPath"]: each["name"] for each in POD["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in POD["volumes"]}

    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
    assert "emptyDir" in volumes[mounts["/tmp"]]


def test_scaling_is_what_keda_takes():
    scaled = of_kind("kubernetes/scaling.yaml", "ScaledObject")
    authentication = of_kind("kubernetes/scaling.yaml", "TriggerAuthentication")
    (trigger,) = scaled["spec"]["triggers"]

    assert scaled["apiVersion"] == authentication["apiVersion"] == "keda.sh/v1alpha1"
    assert scaled["spec"]["scaleTargetRef"] == {
        "name": of_kind("kubernetes/worker.yaml", "Deployment")["metadata"]["name"]
    }
    assert scaled["spec"]["minReplicaCount"] < scaled["spec"]["maxReplicaCount"]
    assert trigger["type"] == "aws-sqs-queue"
    assert {"queueURL", "awsRegion", "queueLength"} <= set(trigger["metadata"])
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
    assert authentication["spec"]["podIdentity"]["provider"] == "aws"


def test_scaling_and_pods_mean_the_same_queue():
    (trigger,) = of_kind("kubernetes/scaling.yaml", "ScaledObject")["spec"]["triggers"]
    region = {each["name"]: each["value"] for each in POD["containers"][0]["env"]}["AWS_REGION"]

    assert trigger["metadata"]["awsRegion"] == region
    assert f"sqs.{region}.amazonaws.com" in trigger["metadata"]["queueURL"]
    assert worker_of("kubernetes")["url"] == f"sqs://{trigger['metadata']['queueURL'].rpartition('/')[2]}"


def batch_problems(definition: dict) -> str:
    """What AWS's own description of its service says against a job definition."""
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.get_session().get_service_model("batch").operation_model("RegisterJobDefinition")
    return ParamValidator().validate(definition, model.input_shape).generate_report()


def test_the_job_definition_is_what_aws_batch_takes():
    assert batch_problems(BATCH) == ""
    assert "sharedMemory" in batch_problems({**BATCH, "containerProperties": {"linuxParameters": {"sharedMemory": 1}}})


def test_aws_batch_starts_again_only_what_lost_its_machine():
    again, otherwise = BATCH["retryStrategy"]["evaluateOnExit"]

    assert again == {"onStatusReason": "Host EC2*", "action": "RETRY"}
    assert otherwise == {"onReason": "*", "action": "EXIT"}
    assert BATCH["retryStrategy"]["attempts"] > 1
    assert BATCH["timeout"]["attemptDurationSeconds"] >= 3600
    assert BATCH["platformCapabilities"] == ["EC2"]
    assert CONTAINER["user"].split(":")[0] == user_of_image()


# Memory and time


def nbytes(text: str) -> int:
    number, unit_name = re.fullmatch(r"(\d+)(gb|Gi)", text).groups()
    return int(number) * {"gb": GIB, "Gi": GIB}[unit_name]


def shared_memory() -> dict[str, int]:
    """Bytes of /dev/shm, by place."""
    (shm,) = [each["emptyDir"] for each in POD["volumes"] if each["name"] == "shm"]
    return {
        "compose": nbytes(COMPOSE["services"]["worker"]["shm_size"]),
        "kubernetes": nbytes(shm["sizeLimit"]),
        "aws-batch": CONTAINER["linuxParameters"]["sharedMemorySize"] * 2**20,
    }


@pytest.mark.parametrize("place", ["compose", "kubernetes", "aws-batch"])
def test_shared_memory_is_enough_for_all_processes(place):
    assert shared_memory()[place] >= worker_of(place)["processes"] * MEMORY_OF_A_PROCESS


def test_containers_have_memory_beyond_the_shared():
    (of_batch,) = [each["value"] for each in CONTAINER["resourceRequirements"] if each["type"] == "MEMORY"]

    assert nbytes(POD["containers"][0]["resources"]["limits"]["memory"]) > shared_memory()["kubernetes"]
    assert int(of_batch) * 2**20 > shared_memory()["aws-batch"]


def seconds_to_stop() -> dict[str, int]:
    return {
        "compose": int(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s")),
        "kubernetes": POD["terminationGracePeriodSeconds"],
        "slurm": int(re.search(r"^#SBATCH --signal=B:TERM@(\d+)$", read("slurm.sh"), re.MULTILINE)[1]),
        "systemd": int(unit()["TimeoutStopSec"]),
        "aws-batch": BATCH_STOP_SECONDS,
    }


@pytest.mark.parametrize("place", ["compose", "kubernetes", "slurm", "systemd", "aws-batch"])
def test_whoever_stops_a_worker_waits_longer_than_its_grace(place):
    assert seconds_to_stop()[place] >= worker_of(place)["grace"] + 10


@pytest.mark.parametrize(
    ("place", "title"),
    [
        ("compose", "compose"),
        ("kubernetes", "Kubernetes"),
        ("slurm", "Slurm"),
        ("systemd", "systemd"),
        ("aws-batch", "AWS Batch"),
    ],
)
def test_the_readme_says_the_same_times(place, title):
    (row,) = re.findall(rf"^\| {title} \| (.*\d+ s) \| (\d+) \|$", read("README.md"), re.MULTILINE)

    assert row[0].endswith(f"{seconds_to_stop()[place]} s")
    assert int(row[1]) == worker_of(place)["grace"]


# The image


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", read("Dockerfile"), flags=re.MULTILINE)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def user_of_image() -> str:
    return [argument for name, argument in instructions() if name == "USER"][-1].split(":")[0]


def test_the_image_does_not_run_as_root():
    # A number, without which Kubernetes can't tell that it is not root's.
    assert int(user_of_image()) > 0


def test_the_image_runs_cvbatch():
    entry = dict(instructions())

    assert json.loads(entry["ENTRYPOINT"]) == ["cvbatch"]
    assert [json.loads(entry["CMD"])[0]] == ["work"]
    with pytest.raises(click.UsageError, match=r"url|QUEUE"):  # Which the user has to name.
        parse(json.loads(entry["CMD"]))


def test_the_image_has_only_what_was_built():
    names = [name for name, _ in instructions()]
    last = instructions()[len(names) - names[::-1].index("FROM") :]

    assert names.count("FROM") == 2
    assert [argument.split()[0] for name, argument in last if name == "COPY"] == ["--from=build"]
    assert "compileall" in read("Dockerfile")


def test_what_the_image_is_built_from_is_sent():
    sent = set(re.findall(r"^!(\S+)$", read("Dockerfile.dockerignore"), re.MULTILINE))
    copied = [argument.split()[:-1] for name, argument in instructions() if name == "COPY" and "--from" not in argument]

    assert sent == {name for names in copied for name in names}
    assert all((WORKERS.parent / name).exists() for name in sent)


def images() -> list[str]:
    return [
        *[argument.split()[0] for name, argument in instructions() if name == "FROM"],
        *[service["image"] for service in COMPOSE["services"].values()],
        *[container["image"] for container in POD["containers"]],
        CONTAINER["image"],
    ]


@pytest.mark.parametrize("image", sorted(set(images())))
def test_images_are_of_a_version(image):
    tag = image.rpartition("/")[2].partition(":")[2]

    assert tag
    assert tag != "latest"


# What AWS's keys look like, and private keys, and an assignment of something long.
SECRET = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}|BEGIN [A-Z ]*PRIVATE KEY|(?i:secret|password|token)\w*[=:]\s*\"?[\w/+]{20,}"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_secret(path):
    assert not SECRET.search(path.read_text())


@pytest.mark.parametrize("text", ["AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCY"])
def test_a_secret_would_be_noticed(text):
    assert SECRET.search(text)


# Compose


def test_compose_has_all_that_a_cluster_needs():
    services = COMPOSE["services"]

    assert {"sqs", "s3", "worker", "client"} <= set(services)
    assert services["sqs"]["image"].startswith("softwaremill/elasticmq-native:")
    assert services["worker"]["depends_on"]["make-queue"] == {"condition": "service_completed_successfully"}
    assert services["client"]["profiles"] == ["client"]
    assert not any("ports" in service for service in services.values())
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        named = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
        assert named <= set(COMPOSE["volumes"])


def test_compose_builds_the_image_that_is_here():
    build = COMPOSE["services"]["worker"]["build"]

    assert (WORKERS / build["context"] / build["dockerfile"]).resolve() == (WORKERS / "Dockerfile").resolve()


def test_the_job_of_compose_is_one_and_has_its_queue_and_bucket():
    config = load_config(WORKERS / "compose-job.yaml")
    job = documents("compose-job.yaml")[0]
    worker = worker_of("compose")

    assert config is not None
    assert job["queue"] == {"url": worker["url"], "endpoint": worker["endpoint"]}
    bucket = COMPOSE["services"]["make-bucket"]["entrypoint"][-1].rpartition("/")[2]
    assert job["destination"]["path"].startswith(f"s3://http://s3:9000/{bucket}/")


# Scripts and units


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".sh"], ids=lambda path: path.name)
def test_scripts_are_bash(path):
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(path, os.X_OK)


FAKE_WORKER = """#!/usr/bin/env bash
trap 'sleep 0.3; echo told; exit {status}' TERM
echo "$*" > began
for _ in {1..200}; do sleep 0.05; done
"""


@pytest.mark.parametrize("status", [0, 3])
def test_slurm_passes_its_signal_on_and_waits(tmp_path, status):
    fake = tmp_path / "cvbatch"
    fake.write_text(FAKE_WORKER.replace("{status}", str(status)))
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_CPUS_PER_TASK": "7"}

    script = subprocess.Popen(
        ["bash", WORKERS / "slurm.sh", "fq:///q"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(tmp_path / "began")
        script.send_signal(signal.SIGTERM)  # To the script alone, as B: says.
        output, _ = script.communicate(timeout=5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)
        script.wait()
        script.stdout.close()

    assert output == "told\n"
    assert script.returncode == status
    assert "work fq:///q --processes 7" in (tmp_path / "began").read_text()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def test_slurm_goes_on_after_its_time_limit():
    options = set(re.findall(r"^#SBATCH (.*)$", read("slurm.sh"), re.MULTILINE))

    assert "--requeue" in options
    assert any(re.fullmatch(r"--array=1-\d+%\d+", option) for option in options)


def verify(text: str, folder: Path) -> str:
    """What systemd says against a unit."""
    path = folder / "cvbatch-worker.service"
    path.write_text(text.replace("/opt/cvbatch/bin/cvbatch", sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", "--generators=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "\n".join(line for line in done.stderr.splitlines() if path.name in line)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_the_unit_is_what_systemd_takes(tmp_path):
    text = read("cvbatch-worker.service")

    assert verify(text, tmp_path) == ""
    assert "KillMod" in verify(text.replace("KillMode=", "KillMod="), tmp_path)


def test_the_unit_tells_only_the_worker_and_leaves_it_its_shared_memory():
    settings = unit()

    assert (settings["KillSignal"], settings["KillMode"]) == ("SIGTERM", "mixed")
    assert settings["User"] not in {"", "root"}
    # Neither of these takes /dev/shm away; what would is not there.
    assert (settings["ProtectSystem"], settings["PrivateDevices"]) == ("strict", "yes")
    assert not {"InaccessiblePaths", "ReadOnlyPaths", "TemporaryFileSystem", "PrivateIPC", "DynamicUser"} & set(
        settings
    )


# The README


def test_the_readme_names_every_file():
    told = read("README.md") + read("compose.yaml")
    names = {str(path.relative_to(WORKERS)) for path in FILES} - {"README.md", "Dockerfile.dockerignore"}

    assert [name for name in sorted(names) if name not in told] == []


def test_links_of_the_readme_lead_somewhere():
    text = read("README.md")
    anchors = {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in re.findall(r"^## (.*)$", text, re.M)}

    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        if not path:
            assert anchor in anchors
        elif not link.startswith("https://"):
            assert (WORKERS / path).exists()
