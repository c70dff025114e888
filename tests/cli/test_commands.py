"""The commands as a user runs them: output, exit status, signals."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from volumes import noise, write_volume

from cvbatch.memory import SharedBlock, list_segments

CONFIGS = Path(__file__).parents[2] / "configs"


def cvbatch(*arguments: str, cwd: Path, **keys) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cvbatch", *arguments]
    return subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True, timeout=100, **keys)


@pytest.fixture
def folder(tmp_path):
    """A volume ``a`` of 64 chunks, and a configuration ``job.yaml`` that rechunks it."""
    write_volume(f"file://{tmp_path}/a", noise((128, 128, 64)), chunk_size=(32, 32, 16))
    (tmp_path / "job.yaml").write_text(
        "job: transfer\nsource: file://a\ndestination: {path: file://b, chunk_size: [16, 16, 8]}\n"
        "downsample: {mips: 1}\nworkers: {processes: 2}\n"
    )
    return tmp_path


def test_the_configurations_of_the_repository_do_what_they_say(tmp_path):
    shutil.copytree(CONFIGS, tmp_path / "configs")
    made = cvbatch("sample", "data/sample", "--size", "192", "160", "24", cwd=tmp_path)
    assert made.returncode == 0
    for name in ("transfer", "reencode", "downsample"):
        for _ in range(2):
            ran = cvbatch(
                "run",
                f"configs/{name}.yaml",
                "--set",
                "downsample.mips=1" if name != "reencode" else "background=0",
                cwd=tmp_path,
            )
            assert (ran.returncode, ran.stderr.count("Traceback")) == (0, 0), ran.stderr
        assert "done already" in ran.stdout
    assert (tmp_path / "data/out/seg/8_8_40/0-64_0-64_0-24.gz").exists()


def test_a_sample_is_the_same_every_time_and_never_overwrites_others(tmp_path):
    for name in ("one", "two"):
        assert cvbatch("sample", name, "--size", "64", "64", "8", cwd=tmp_path).returncode == 0
    found = {
        name: {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    }
    assert found["one"] == found["two"]
    again = cvbatch("sample", "one", "--size", "64", "64", "16", cwd=tmp_path)
    assert again.returncode == 2
    assert "another volume is at" in again.stderr


def test_run_status_resume_and_json(folder):
    assert cvbatch("resume", "job.yaml", cwd=folder).returncode == 2
    before = json.loads(cvbatch("status", "job.yaml", "--json", cwd=folder).stdout)
    assert (before["started"], before["tasks"]["done"]) == (False, 0)
    ran = cvbatch("run", "job.yaml", "--json", cwd=folder)
    report = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert report["tasks"]["done"] == report["tasks"]["total"] == before["tasks"]["total"]
    assert report["chunks"]["filled"] == 0
    after = json.loads(cvbatch("status", "job.yaml", "--json", cwd=folder).stdout)
    assert after["tasks"] == {
        "total": report["tasks"]["total"],
        "done": report["tasks"]["total"],
        "running": 0,
        "failed": 0,
        "remaining": 0,
    }
    again = cvbatch("resume", "job.yaml", cwd=folder)
    assert again.returncode == 0
    assert "done already" in again.stdout


def test_plan_shows_and_writes_nothing(folder):
    shown = cvbatch("plan", "job.yaml", cwd=folder)
    assert shown.returncode == 0
    for said in ("image, uint8, 1 channel", "8 × 8 × 40", "raw + gzip", "GET", "PUT", "bytes     about", "workers"):
        assert said in shown.stdout
    document = json.loads(cvbatch("plan", "job.yaml", "--json", cwd=folder).stdout)
    assert sum(each["tasks"] for each in document["passes"]) == document["tasks"]
    assert not (folder / "b").exists()


def test_info_shows_what_a_volume_is(folder):
    shown = cvbatch("info", "a", cwd=folder)
    assert "image, uint8, 1 channel" in shown.stdout
    assert "128 × 128 × 64" in shown.stdout
    assert json.loads(cvbatch("info", f"file://{folder}/a", "--json", cwd=folder).stdout)["scales"][0]["chunks"] == 64
    missing = cvbatch("info", "nothing", cwd=folder)
    assert missing.returncode == 2
    assert "no volume at" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothing.yaml"], "nothing.yaml: cannot be read"),
        (["run", "job.yaml", "--set", "destination.chunk_size=[0,1,1]"], "--set: destination.chunk_size.0"),
        (["run", "job.yaml", "--set", "sauce=3"], "unknown key; did you mean source?"),
        (["run"], "Missing argument 'CONFIG'"),
        (["fly"], "No such command 'fly'"),
        (["run", "job.yaml", "--fast"], "No such option"),
        (["run", "job.yaml", "--set", "workers.memory=1MB"], "Give at least that"),
    ],
)
def test_bad_usage_ends_with_2_and_changes_nothing(folder, arguments, said):
    ran = cvbatch(*arguments, cwd=folder)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (folder / "b").exists()


def test_errors_are_json_where_that_was_asked_for(folder):
    ran = cvbatch("run", "job.yaml", "--json", "--set", "sauce=3", cwd=folder)
    (problem,) = json.loads(ran.stdout)["error"]["problems"]
    assert problem["key"] == "sauce"


def test_verbose_shows_the_traceback(folder):
    assert "Traceback" in cvbatch("run", "nothing.yaml", "--verbose", cwd=folder).stderr


def test_failed_tasks_end_with_1_and_are_named(folder):
    (folder / "a/4_4_40/0-32_0-32_0-16.gz").unlink()
    ran = cvbatch("run", "job.yaml", cwd=folder)
    assert ran.returncode == 1
    assert "0-32_0-32_0-16 is missing" in ran.stdout
    status = json.loads(cvbatch("status", "job.yaml", "--json", cwd=folder).stdout)
    assert status["tasks"]["failed"] == 1


def test_quiet_tells_of_failures(folder):
    (folder / "a/4_4_40/0-32_0-32_0-16.gz").unlink()
    ran = cvbatch("run", "job.yaml", "--quiet", cwd=folder)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "0-32_0-32_0-16 is missing" in ran.stderr


def test_quiet_is_quiet(folder):
    ran = cvbatch("run", "job.yaml", "--quiet", cwd=folder)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_signal_ends_with_130_and_can_be_resumed(folder, number):
    # given a run in a process group of its own, as a terminal makes them
    command = [sys.executable, "-m", "cvbatch", "run", "job.yaml", "--set", "destination.chunk_size=[4,4,4]"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert "tasks to do" in process.stderr.readline()
    # when the whole group gets the signal of Ctrl-C
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=60)
    # then what had begun is finished, nothing is left behind, and the rest is done later
    assert process.returncode == 130, said
    assert "run the same again to go on with the rest" in said
    assert not [segment for segment in list_segments() if not segment.owned]
    again = cvbatch("resume", "job.yaml", "--set", "destination.chunk_size=[4,4,4]", cwd=folder)
    assert again.returncode == 0, again.stderr


def test_ctrl_c_while_workers_begin_leaves_no_process_and_no_traceback(folder):
    # given a run whose workers have begun, and have not come far
    command = [sys.executable, "-m", "cvbatch", "run", "job.yaml"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (begun := psutil.Process(process.pid).children()):
        assert process.poll() is None
    # when the whole group gets the signal of Ctrl-C
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # then all of them end, and say so in a line
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(begun, timeout=20)[1] == []


def test_two_interrupts_end_at_once(folder):
    command = [sys.executable, "-m", "cvbatch", "run", "job.yaml", "--set", "destination.chunk_size=[4,4,4]"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert "tasks to do" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again ends at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert cvbatch("run", "job.yaml", "--set", "destination.chunk_size=[4,4,4]", cwd=folder).returncode == 0


def test_a_terminal_gets_a_bar(folder):
    mine, its = pty.openpty()
    command = [sys.executable, "-m", "cvbatch", "run", "job.yaml"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140"}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=its, env=environment) as process:
        os.close(its)
        shown = b""
        try:
            while data := os.read(mine, 4096):
                shown += data
        except OSError:  # The other end was closed: the run is over.
            pass
        os.close(mine)
        assert process.wait() == 0
    assert b"tasks" in shown
    assert b"Mvoxel/s" in shown


def test_orphaned_segments_are_listed_and_swept(tmp_path):
    # given the segment of a process that was killed, and one of a process that lives
    script = (
        "import os, signal\nfrom cvbatch.memory import SharedBlock\nfrom cvbatch.memory.segment import segment_name\n"
    )
    script += "SharedBlock(segment_name('orphaned', 0), 4096)\nos.kill(os.getpid(), signal.SIGKILL)"
    dead = subprocess.Popen([sys.executable, "-c", script])
    dead.wait()
    with SharedBlock(f"cvb-alive000-{os.getpid()}-0", 4096):
        listed = json.loads(cvbatch("shm", "list", "--json", cwd=tmp_path).stdout)["segments"]
        assert {s["owner"]: s["owned"] for s in listed if s["owner"] in (dead.pid, os.getpid())} == {
            dead.pid: False,
            os.getpid(): True,
        }
        freed = json.loads(cvbatch("shm", "sweep", "--json", cwd=tmp_path).stdout)["freed"]
        owners = [segment["owner"] for segment in freed]
        assert dead.pid in owners
        assert os.getpid() not in owners
    assert dead.pid not in [segment.owner for segment in list_segments()]


@pytest.mark.parametrize("command", ["run", "plan", "resume", "status", "info", "sample"])
def test_every_command_explains_itself_with_an_example(command, tmp_path):
    shown = cvbatch(command, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert f"cvbatch {command}" in shown.stdout.split("Example")[1]


def test_starting_up_loads_no_heavy_library(tmp_path):
    script = (
        "import sys, cvbatch.cli.main; print([m for m in ('numpy', 'pydantic', 'rich', 'yaml') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_workers_begin_before_anything_heavy_is_loaded(folder):
    script = (
        "import sys\n"
        "from cvbatch.process import nursery\n"
        "def begin(self, count):\n"
        "    print(count, 'numpy' in sys.modules)\n"
        "    if count == 2: sys.exit()\n"
        "nursery.Nursery.begin = begin\n"
        "sys.argv = ['cvbatch', 'run', 'job.yaml']\n"
        "from cvbatch.cli.main import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=folder)
    assert ran.stdout == "1 False\n2 False\n"


@pytest.mark.parametrize("arguments", [["info", "a"], ["plan", "job.yaml"]])
def test_a_reader_who_has_had_enough_is_no_error(folder, arguments):
    line = f"{sys.executable} -m cvbatch {' '.join(arguments)} --json | true"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_what_nobody_thought_of_is_told_in_a_paragraph(folder):
    # given a defect, put there by a module that stands in for one of cvbatch's
    code = (
        "import sys, cvbatch.inspect, cvbatch.cli.main as main\n"
        "def broken(location): return {}['oops']\n"
        "cvbatch.inspect.describe_volume = broken\n"
        "main.main()\n"
    )
    for more, traceback in ([], False), (["--verbose"], True):
        line = [sys.executable, "-c", code, "info", "a", *more]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "KeyError: 'oops'" in done.stderr
        assert "please report it" in done.stderr
        assert ("Traceback" in done.stderr) == traceback
