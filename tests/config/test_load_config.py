import pytest

from cvbatch import load_config
from cvbatch.errors import ConfigError

GOOD = """\
job: transfer
source: {path: file://a, mip: 0, missing: fill}
destination:
  path: file://b
  chunk_size: [128, 128, 64]
  encoding: {name: jpeg, quality: 85}
  compress: gzip
  compress_level: 2
  sharding: none
region: {min: [0, 0, 0], max: [10, 10, 10], mip: 1}
translate: [1, -2, 3]
downsample: {mips: 3, factor: [2, 2, 1], method: auto, sparse: false}
delete_background: false
background: 0
queue: local
workers: {processes: auto, threads: 2, memory: 4GiB}
state: auto
"""


def problems(text: str, tmp_path, overrides=()) -> list[str]:
    """What is wrong with a YAML text, a line each, without the folder."""
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_all_keys_are_understood(tmp_path):
    (tmp_path / "job.yaml").write_text(GOOD)
    config = load_config(tmp_path / "job.yaml").config
    assert config.source.missing == "fill"
    assert config.destination.encoding.name == "jpeg"
    assert config.destination.encoding.parameters == {"quality": 85}
    assert config.workers.processes is None
    assert config.workers.memory == 4 << 30
    assert config.region.mip == 1


def test_a_url_is_short_for_a_path():
    config = load_config({"job": "transfer", "source": "mem://a", "destination": "mem://b"}).config
    assert (config.source.path, config.destination.path) == ("mem://a", "mem://b")


def test_all_problems_are_told_with_line_and_key(tmp_path):
    text = "job: transfer\nsorce: mem://a\ndestination:\n  path: mem://b\n  chunk_sizes: [1, 1, 1]\n  compress: zip\n"
    assert sorted(problems(text, tmp_path)) == [
        "job.yaml: source: is missing",
        "job.yaml:2: sorce: unknown key; did you mean source?",
        "job.yaml:5: destination.chunk_sizes: unknown key; did you mean chunk_size?",
        "job.yaml:6: destination.compress: input should be 'gzip', 'br', 'zstd', 'xz', 'bz2' or 'none', not 'zip'",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("region: {min: [5, 0, 0], max: [5, 9, 9]}", "job.yaml:4: region: min [5, 0, 0] is not below max [5, 9, 9]"),
        ("region: somewhere", "job.yaml:4: region"),
        ("translate: [1, 2]", "job.yaml:4: translate"),
        ("translate: [1, 2, x]", "job.yaml:4: translate.2: input should be a valid integer, not 'x'"),
        ("translate: [1, 2, 0.5]", "job.yaml:4: translate.2"),
        ("background: true", "job.yaml:4: background"),
        ("downsample: {factor: [2, 2, 1]}", "job.yaml:4: downsample.mips: is missing"),
        ("downsample: {mips: 1, factor: [5, 1, 1]}", "job.yaml:4: downsample.factor.0"),
        ("downsample: {mips: 1, factor: [1, 1, 1]}", "makes nothing coarser"),
        ("downsample: {mips: 1, method: max, sparse: true}", "method max does neither"),
        ("queue: amqp://x", "no queue 'amqp://x'"),
        ("workers: {processes: 0}", "job.yaml:4: workers.processes"),
        ("workers: {memory: lots}", "job.yaml:4: workers.memory"),
        ("workers: {xyz: 3}", "unknown key; there are memory, processes, threads"),
    ],
)
def test_wrong_values_are_told_at_their_line(line, said, tmp_path):
    text = f"job: transfer\nsource: mem://a\ndestination: mem://b\n{line}\n"
    assert any(said in problem for problem in problems(text, tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "should be a mapping"),
        ("- a\n- b\n", "should be a mapping"),
        ("job: [", "job.yaml:1: not YAML"),
        ("job: transfer\njob: downsample\n", "job.yaml:2: job: given before, at line 1"),
        ("job: !!python/object/apply:os.system [ls]\n", "not YAML"),
    ],
)
def test_what_is_no_configuration_is_refused(text, said, tmp_path):
    assert said in problems(text, tmp_path)[0]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "nothing.yaml")


def test_overrides_replace_keys(tmp_path):
    (tmp_path / "job.yaml").write_text(GOOD)
    loaded = load_config(
        tmp_path / "job.yaml",
        ["destination.compress=br", "translate=[0, 0, 0]", "queue.max_attempts=5", "source.mip=2"],
    )
    assert loaded.config.destination.compress == "br"
    assert loaded.config.translate == (0, 0, 0)
    assert (loaded.config.queue.url, loaded.config.queue.max_attempts) == ("local", 5)
    assert loaded.config.source.mip == 2


def test_problems_of_overrides_say_so(tmp_path):
    assert problems(GOOD, tmp_path, ["destination.compress=zip"])[0].startswith("--set: destination.compress")
    assert "is not key=value" in problems(GOOD, tmp_path, ["destination"])[0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"workers": {"memory": "lots"}}, "should be bytes, such as 2GiB, not 'lots'"),
        ({"destination": {"path": "mem://b", "sharding": "foo"}}, "'none' or 'auto', or input should be a valid dict"),
    ],
)
def test_a_problem_is_told_once_and_in_words(keys, message):
    with pytest.raises(ConfigError) as caught:
        load_config({"job": "transfer", "source": "mem://a", "destination": "mem://b", **keys})
    (problem,) = caught.value.problems
    assert message in problem.message
    assert "[" not in problem.key
