import json
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volumes import make_scale

from cvbatch.errors import AlignmentError, MemoryBudgetError
from cvbatch.geometry import Bbox, Vec, coarser_bounds, coarser_resolution
from cvbatch.metadata import ByteEncoding, Downsampling, Job, Level, PassSpec, PlanSpec, Source, Task, VoxelType
from cvbatch.metadata.job import job_document, read_job_document
from cvbatch.planner import Crew, Plan, Route, aligned_region, check_plan, cut, route
from cvbatch.storage import StoreOptions, parse_location

ROOMY = Crew(processes=2, memory=1 << 40, threads=1)


def make_job(size=(512, 512, 64), chunk=(128, 128, 64), mips=3, factor=(2, 2, 1), **changes) -> Job:
    """A transfer of a whole volume; ``changes`` replace members of the job or of the source's scale."""
    offset = Vec(*changes.pop("offset", (0, 0, 0)))
    translate = Vec(*changes.pop("translate", (0, 0, 0)))
    source = make_scale(size, voxel_offset=offset, chunk_size=changes.pop("source_chunk", (64, 64, 64)))
    scale = make_scale(size, voxel_offset=offset + translate, chunk_size=chunk, **changes.pop("target", {}))
    levels = [Level(scale, Vec.ones())]
    for _ in range(mips):
        bounds = coarser_bounds(levels[-1].scale.bounds, Vec(*factor))
        resolution = coarser_resolution(levels[-1].scale.resolution, Vec(*factor))
        coarser = make_scale(bounds.size(), voxel_offset=bounds.minpt, resolution=resolution, chunk_size=chunk)
        levels.append(Level(coarser, Vec(*factor)))
    members = {
        "kind": "transfer",
        "source": Source(parse_location("mem://a"), source),
        "destination": parse_location("mem://b"),
        "voxel": VoxelType("image", "uint8", 1),
        "levels": tuple(levels),
        "region": source.bounds + translate,
        "translate": translate,
        "downsampling": Downsampling("average"),
        "compress": ByteEncoding("gzip"),
    }
    return Job(**{**members, **changes})


def test_known_plan_of_a_sample():
    # given 512 × 512 × 64 voxels in chunks of 128 × 128 × 64 with three mips, and two processes
    plan = Plan(make_job(), cut(make_job(), ROOMY))
    # then the first pass makes as many levels as leave work for both, and the second the rest
    assert [(p.first, p.stop, p.task_shape) for p in plan.spec.passes] == [
        (0, 2, Vec(256, 256, 64)),
        (2, 4, Vec(512, 512, 64)),
    ]
    assert len(plan) == 4 + 1
    assert plan[0] == Task(plan.job.id, 0, 0)
    assert plan[4] == Task(plan.job.id, 1, 0)
    assert plan.box(plan[1]) == Bbox((256, 0, 0), (512, 256, 64))


def test_plan_ends_where_it_ends():
    plan = Plan(make_job(), cut(make_job(), ROOMY))
    for i in (len(plan), -1):
        with pytest.raises(IndexError):
            plan[i]


sizes = st.tuples(*[st.integers(1, 90)] * 3)
chunks = st.tuples(*[st.integers(1, 20)] * 3)
offsets = st.tuples(*[st.integers(-50, 50)] * 3)


@settings(max_examples=150, deadline=None)
@given(
    size=sizes,
    chunk=chunks,
    source_chunk=chunks,
    offset=offsets,
    translate=offsets,
    mips=st.integers(0, 3),
    factor=st.tuples(*[st.integers(1, 3)] * 3).filter(lambda f: f != (1, 1, 1)),
    memory=st.integers(52 << 20, 54 << 20),
    processes=st.integers(1, 9),
)
def test_every_plan_keeps_its_promises(size, chunk, source_chunk, offset, translate, mips, factor, memory, processes):
    job = make_job(size, chunk, mips, factor, offset=offset, translate=translate, source_chunk=source_chunk)
    plan = Plan(job, cut(job, Crew(processes, memory, 1)))
    check_plan(plan)


@settings(max_examples=60, deadline=None)
@given(size=sizes, chunk=chunks, mips=st.integers(0, 2), data=st.data())
def test_plans_of_regions_keep_their_promises(size, chunk, mips, data):
    # given any box inside of the volume, brought onto the grid
    low = [data.draw(st.integers(0, n - 1)) for n in size]
    high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, size, strict=True)]
    job = make_job(size, chunk, mips)
    wanted = Bbox(low, high)
    region = aligned_region(make_job(size, chunk, mips, region=wanted), "expand")
    # then it contains what was asked for, and its plan is sound
    assert region.contains_bbox(wanted)
    assert job.levels[0].scale.bounds.contains_bbox(region)
    check_plan_of(make_job(size, chunk, mips, region=region))


def check_plan_of(job: Job) -> None:
    check_plan(Plan(job, cut(job, ROOMY)))


def test_checker_sees_tasks_that_share_a_chunk():
    job = make_job(mips=0)
    torn = PlanSpec((PassSpec(0, 1, Vec(192, 128, 64), Vec(192, 128, 64)),), 1, 1 << 40, 1)
    with pytest.raises(AssertionError, match="whole write cells"):
        check_plan(Plan(job, torn))


def test_checker_sees_too_little_memory():
    spec = cut(make_job(), ROOMY)
    with pytest.raises(AssertionError, match="needs"):
        check_plan(Plan(make_job(), PlanSpec(spec.passes, 1, 1 << 20, 1)))


def test_levels_that_do_not_fit_become_another_pass():
    # given a volume whose three mips need tasks of 1024 × 1024 × 64
    job = make_job((4096, 4096, 64))
    # when memory holds a quarter of that
    plan = Plan(job, cut(job, Crew(1, 80 << 20, 1)))
    # then the last level is made from what the first pass wrote
    assert [(p.first, p.stop) for p in plan.spec.passes] == [(0, 3), (3, 4)]
    check_plan(plan)


def test_budget_below_one_write_cell_names_the_least():
    with pytest.raises(MemoryBudgetError) as caught:
        cut(make_job(), Crew(2, 1 << 20, 1))
    least = int(str(caught.value).split("needs ")[1].split(".")[0].replace(",", ""))
    check_plan(Plan(make_job(), cut(make_job(), Crew(2, least, 1))))
    with pytest.raises(MemoryBudgetError):
        cut(make_job(), Crew(2, least - 1, 1))


def test_a_billion_tasks_are_never_stored():
    # given a petavoxel
    job = make_job((200_000, 200_000, 25_600), chunk=(128, 128, 64), mips=1)
    spec = PlanSpec((PassSpec(0, 2, Vec(256, 256, 64), Vec(256, 256, 64)),), 10, 1 << 40, 1)
    tracemalloc.start()
    plan = Plan(job, spec)
    assert len(plan) == 782 * 782 * 400
    boxes = [plan.box(plan[random.Random(i).randrange(len(plan))]) for i in range(1000)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(job.region.contains_bbox(box) for box in boxes)
    assert peak < 20 << 20


def test_unaligned_region_names_the_nearest_boxes():
    job = make_job((64, 64, 64), chunk=(16, 16, 16), mips=1, region=Bbox((10, 0, 0), (64, 50, 64)))
    with pytest.raises(AlignmentError) as caught:
        aligned_region(job, "error")
    assert "(32, 0, 0)–(64, 32, 64)" in str(caught.value)
    assert "(0, 0, 0)–(64, 64, 64)" in str(caught.value)
    assert aligned_region(job, "shrink") == Bbox((32, 0, 0), (64, 32, 64))
    assert aligned_region(job, "expand") == Bbox((0, 0, 0), (64, 64, 64))


def test_regions_may_end_where_the_volume_ends():
    job = make_job((50, 50, 50), chunk=(16, 16, 16), mips=1, region=Bbox((32, 0, 0), (50, 50, 50)))
    assert aligned_region(job, "error") == job.region


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chunk": (64, 64, 64), "mips": 0}, Route.COPY),
        ({"chunk": (64, 64, 64), "mips": 2}, Route.COPY),
        ({"chunk": (64, 64, 64), "mips": 0, "translate": (7, 0, 0)}, Route.COPY),
        ({"chunk": (64, 64, 64), "mips": 0, "target": {"encoding": "png"}}, Route.RECODE),
        ({"chunk": (64, 64, 64), "mips": 1, "target": {"encoding": "png"}}, Route.BUILD),
        ({"chunk": (64, 64, 64), "mips": 0, "delete_background": True}, Route.RECODE),
        ({"chunk": (64, 64, 32), "mips": 0}, Route.BUILD),
        ({"chunk": (64, 64, 64), "mips": 0, "target": {"encoding": "jpeg", "other": {}}}, Route.RECODE),
    ],
)
def test_the_cheapest_way_is_taken(changes, expected):
    job = make_job(**changes)
    assert route(job, Plan(job, cut(job, ROOMY)).passes[0]) is expected


def test_the_id_of_a_job_is_of_what_decides_its_bytes():
    assert make_job().id == make_job().id
    assert make_job().id != make_job(chunk=(64, 64, 64)).id
    assert make_job().id != make_job(compress=ByteEncoding("gzip", 6, True)).id
    # and how the places are reached does not
    there = parse_location("s3://bucket/b")
    reached = parse_location("s3://bucket/b", StoreOptions(region_name="eu-west-1", secrets="hush"))
    job, other = make_job(destination=there), make_job(destination=reached)
    assert job.id == other.id
    # and both come back from its document, but for secrets
    document = job_document(other, cut(other, ROOMY))
    assert "hush" not in json.dumps(document)
    back, _ = read_job_document(document)
    assert back == other
    assert back.destination.options == StoreOptions(region_name="eu-west-1")
