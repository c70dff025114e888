"""Shards: what the bits mean, the bytes of a file, and what is wrong with damaged ones."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volumes import make_scale

from cvbatch.errors import DecodingError, InputError, UnsupportedFormatError
from cvbatch.formats.precomputed.sharding import ShardedChunks, ShardingSpec, choose_sharding
from cvbatch.formats.precomputed.sharding.morton import MortonCode
from cvbatch.formats.precomputed.sharding.murmur import murmurhash3
from cvbatch.formats.precomputed.sharding.shard import decode_shard, encode_shard
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.storage import Blob, open_store

TYPE = "neuroglancer_uint64_sharded_v1"
serial = itertools.count()


def member(preshift=1, minishard=1, shard=2, **others):
    bits = {"preshift_bits": preshift, "minishard_bits": minishard, "shard_bits": shard}
    return {"@type": TYPE, "hash": "identity", **bits, **others}


def sharded(size=(64, 48, 40), chunk=(16, 16, 8), **spec):
    """A sharded scale, and its chunks in memory."""
    from dataclasses import replace

    scale = replace(make_scale(size, chunk_size=chunk, voxel_offset=(5, -7, 3)), sharding=member(**spec))
    return scale, ShardedChunks(open_store(f"mem://sharding/{next(serial)}"), scale)


def fill(chunks, box=None):
    """Write each chunk of a box with bytes of its own."""
    box = box or chunks.grid.bounds
    cell = chunks.cell(box)
    for index in chunks.grid.indices(box):
        cell.write(index, Blob(repr(index).encode()))
    cell.finish()


# The specification's own words as a slow program.
def interleaved(position, shape):
    code, place = 0, 0
    for bit in range(64):
        for axis in range(3):
            if 2**bit < shape[axis]:
                code |= (position[axis] >> bit & 1) << place
                place += 1
    return code


@given(st.tuples(*[st.integers(1, 10)] * 3))
@settings(deadline=None)
def test_morton_codes(shape):
    code = MortonCode(Vec(*shape))
    codes = {}
    for index in itertools.product(*map(range, shape)):
        codes[index] = code.encode(Vec(*index))
        assert codes[index] == interleaved(index, shape)
        assert code.decode(codes[index]) == index
    assert len(set(codes.values())) == len(codes)


def test_grids_that_the_format_cannot_number():
    MortonCode(Vec(2**21, 2**21, 2**22)).encode(Vec(0, 0, 0))
    with pytest.raises(UnsupportedFormatError, match="65 bits"):
        MortonCode(Vec(2**22, 2**22, 2**21)).encode(Vec(0, 0, 0))


# From MurmurHash3_x86_128 of 8 little-endian bytes, low 8 bytes of the answer.
@pytest.mark.parametrize(
    ("value", "hashed"),
    [(0, 0x4772B084E028AE41), (1, 0xE8BD67D616D4CE9A), (5, 0xABDD7BC328613F9F), (2**64 - 1, 0x574F66BD212B5D1A)],
)
def test_murmur(value, hashed):
    assert murmurhash3(value) == hashed


def test_places_and_names():
    spec = ShardingSpec.from_json(member(preshift=1, minishard=2, shard=5))
    assert spec.place(0b10110_11_1) == (0b10110, 0b11)
    assert [spec.filename(shard) for shard in (0, 0b10110)] == ["00.shard", "16.shard"]
    assert ShardingSpec.from_json(member(shard=0)).filename(0) == "0.shard"
    assert ShardingSpec.from_json(member(shard=9)).filename(0x1FF) == "1ff.shard"
    assert ShardingSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"@type": "other"}, "@type is 'other'"),
        ({"preshift_bits": -1}, "preshift_bits is -1"),
        ({"shard_bits": 2.5}, "shard_bits is 2.5"),
        ({"minishard_bits": 30}, "gigabytes"),
        ({"shard_bits": 64}, "more than 64 together"),
        ({"hash": "md5"}, "hash is 'md5'"),
        ({"data_encoding": "br"}, "data_encoding is 'br'"),
    ],
)
def test_specifications_that_are_refused(change, text):
    with pytest.raises(UnsupportedFormatError, match=text):
        ShardingSpec.from_json({**member(), **change})


@given(
    st.dictionaries(st.integers(0, 2**64 - 1), st.binary(max_size=20), max_size=30),
    st.sampled_from(["identity", "murmurhash3_x86_128"]),
    st.sampled_from(["raw", "gzip"]),
)
def test_what_is_in_a_shard(chunks, hashed, encoding):
    spec = ShardingSpec.from_json(
        member(preshift=2, minishard=3, shard=0, hash=hashed, minishard_index_encoding=encoding)
    )
    data = encode_shard(spec, chunks)
    assert decode_shard(spec, data) == chunks
    assert encode_shard(spec, dict(reversed(chunks.items()))) == data


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_write_cell_is_a_shard(data):
    # given any grid and any bits
    shape = Vec(*[data.draw(st.integers(1, 9)) for _ in range(3)])
    bits = [data.draw(st.integers(0, 4)) for _ in range(3)]
    scale, chunks = sharded(shape * 8 - 3, (8, 8, 8), preshift=bits[0], minishard=bits[1], shard=bits[2])
    # when the scale is cut into cells
    cells = ChunkGrid(scale.bounds, ShardedChunks.write_cell(scale))
    # then no shard has chunks of two of them
    owners = {}
    for index in chunks.grid.indices(scale.bounds):
        cell = next(cells.indices(chunks.grid.box(index)))
        assert owners.setdefault(chunks.place(index)[1], cell) == cell


def test_a_shard_is_stored_when_its_last_chunk_has_come():
    scale, chunks = sharded()
    store = chunks._store
    cell = chunks.cell(scale.bounds)
    indices = list(chunks.grid.indices(scale.bounds))
    by_shard = {}
    for index in indices:
        by_shard.setdefault(chunks.place(index)[1], []).append(index)
    for count, group in enumerate(by_shard.values()):
        assert len(list(store.list())) == count
        for index in group:
            cell.write(index, Blob(b"x"))
    cell.finish()
    assert len(list(store.list())) == len(by_shard)


def test_what_was_not_written_is_told():
    scale, chunks = sharded()
    cell = chunks.cell(scale.bounds)
    cell.write(Vec(0, 0, 0), Blob(b"x"))
    with pytest.raises(InputError, match=r"chunks of .* shards were not written"):
        cell.finish()


def test_reading_and_removing():
    scale, chunks = sharded()
    assert chunks.read(Vec(0, 0, 0)) is None
    assert not chunks.any()
    fill(chunks)
    assert chunks.any()
    for index in chunks.grid.indices(scale.bounds):
        assert chunks.read(index).data == repr(index).encode()
        assert chunks.exists(index)
    cell = chunks.cell(scale.bounds)
    for index in chunks.grid.indices(scale.bounds):
        cell.delete([index])
    cell.finish()
    assert list(chunks._store.list()) == []
    assert not chunks.exists(Vec(0, 0, 0))


def test_a_part_of_a_shard_keeps_the_rest():
    scale, chunks = sharded()
    fill(chunks)
    part = chunks.grid.box(Vec(1, 1, 1))
    cell = chunks.cell(part)
    cell.write(Vec(1, 1, 1), Blob(b"new"))
    cell.finish()
    for index in chunks.grid.indices(scale.bounds):
        assert chunks.read(index).data == (b"new" if index == (1, 1, 1) else repr(index).encode())


def test_chunks_get_the_compression_of_the_specification():
    import gzip

    _, chunks = sharded(data_encoding="gzip")
    fill(chunks)
    blob = chunks.read(Vec(1, 0, 0))
    assert blob.encoding == "gzip"
    assert gzip.decompress(blob.data) == b"Vec(1, 0, 0)"


class Counting:
    """A store that counts requests."""

    def __init__(self, store):
        self._store = store
        self.url, self.requests = store.url, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get_range(self, *arguments):
        self.requests += 1
        return self._store.get_range(*arguments)


def test_three_requests_for_a_cold_chunk_and_one_for_its_neighbour():
    scale, chunks = sharded(preshift=2, minishard=0, shard=6)
    fill(chunks)
    store = Counting(chunks._store)
    cold = ShardedChunks(store, scale)
    cold.read(Vec(0, 0, 0))
    assert store.requests == 3
    cold.read(Vec(1, 0, 0))
    assert store.requests == 4


def test_neighbours_are_read_in_one_go():
    scale, chunks = sharded(preshift=2, minishard=1, shard=6)
    fill(chunks)
    store = Counting(chunks._store)
    cold = ShardedChunks(store, scale)
    groups = cold.groups(cold.grid.indices(Bbox((5, -7, 3), (37, 25, 11))))
    assert [len(group) for group in groups] == [4]
    found = cold.read_group(groups[0])
    assert [blob.data for blob in found] == [repr(index).encode() for index in groups[0]]
    assert store.requests == 3


def test_groups_have_all_chunks_of_one_minishard_and_are_not_too_large():
    _, chunks = sharded((512, 512, 128), (128, 128, 64), preshift=5, minishard=1, shard=3)
    indices = list(chunks.grid.indices(chunks.grid.bounds))
    groups = chunks.groups(indices)
    assert sorted(index for group in groups for index in map(tuple, group)) == sorted(map(tuple, indices))
    assert {len(group) for group in groups} == {4}


def damaged(change):
    """A scale of one shard whose file was changed, and an index in it."""
    scale, chunks = sharded(preshift=0, minishard=2, shard=0)
    fill(chunks)
    [key] = chunks._store.list()
    data = bytearray(chunks._store.get(key).data)
    chunks._store.put(key, Blob(bytes(change(data))))
    return ShardedChunks(chunks._store, scale)


def with_entry(data, minishard, start, stop):
    data[16 * minishard : 16 * minishard + 16] = start.to_bytes(8, "little") + stop.to_bytes(8, "little")
    return data


def with_index(data, rows):
    """The shard with other numbers in the index of minishard 0."""
    index = np.array(rows, "<u8").tobytes()
    start = len(data) - 64
    return with_entry(data + index, 0, start, start + len(index))


DAMAGE = {
    "cut short in its index": (lambda data: data[:20], "cut short"),
    "cut short in the indices of minishards": (lambda data: data[: len(data) // 2], "cut short"),
    "an index beyond the file": (lambda data: with_entry(data, 0, 10**6, 10**6 + 24), "cut short"),
    "an index that ends before it begins": (lambda data: with_entry(data, 0, 48, 24), "at bytes 48 to 24"),
    "an index of exabytes": (lambda data: with_entry(data, 0, 0, 2**60), "at bytes 0 to 1152921504606846976"),
    "an index of odd length": (lambda data: with_entry(data, 0, 0, 25), "no multiple of 24"),
    "chunks twice": (lambda data: with_index(data, [[0, 0], [0, 0], [3, 3]]), "twice, or not in order"),
    "chunks beyond the file": (lambda data: with_index(data, [[0], [10**6], [3]]), "cut short"),
    "chunks beyond any file": (lambda data: with_index(data, [[0], [2**63], [3]]), "outside of any file"),
    "sums that wrap around": (lambda data: with_index(data, [[0, 4], [2**63, 2**63], [3, 3]]), "outside of any file"),
    "chunks where the index is": (
        lambda data: with_index(data, [[0], [len(data) - 64], [24]]),
        "where the indices are",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_names_the_shard_and_the_chunk(case):
    change, text = DAMAGE[case]
    chunks = damaged(change)
    with pytest.raises(DecodingError, match=rf"4_4_40/0\.shard, chunk 5-21_-7-9_3-11, is damaged: .*{text}"):
        chunks.read(Vec(0, 0, 0))


def test_a_shard_that_vanishes_while_it_is_read():
    _, chunks = sharded(preshift=0, minishard=0, shard=0)
    fill(chunks)
    assert chunks.read(Vec(0, 0, 0)) is not None
    [key] = chunks._store.list()
    chunks._store.delete(key)
    with pytest.raises(DecodingError, match="removed while it was read"):
        chunks.read(Vec(1, 0, 0))


def test_chunks_that_overlap_are_refused():
    spec = ShardingSpec.from_json(member(preshift=0, minishard=1, shard=0, minishard_index_encoding="raw"))
    data = bytearray(encode_shard(spec, {0: b"abcd", 1: b"efgh"}))
    # given two minishards of one chunk each, the second of which is said to begin one byte early
    place = len(data) - 24 + 8
    assert int.from_bytes(data[place : place + 8], "little") == 4
    data[place : place + 8] = (3).to_bytes(8, "little")
    with pytest.raises(DecodingError, match="overlap"):
        decode_shard(spec, data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_noise_is_an_error_or_nothing(data):
    spec = ShardingSpec.from_json(member(preshift=0, minishard=1, shard=0, minishard_index_encoding="raw"))
    raw = bytearray(encode_shard(spec, {1: b"abc", 4: b"defgh", 6: b"i"}))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        found = decode_shard(spec, bytes(raw))
    except DecodingError:
        return
    assert sum(map(len, found.values())) <= len(raw) * len(found)


def test_specifications_that_are_chosen():
    # given 100 teravoxels in chunks of 128 × 128 × 64
    scale = make_scale((50_000, 40_000, 50_000), chunk_size=(128, 128, 64))
    spec = choose_sharding(scale, 1, "raw")
    chunks = 1 << (spec.preshift_bits + spec.minishard_bits)
    assert chunks * 128 * 128 * 64 == 256 << 20
    assert spec.index_bytes + 24 * (1 << spec.preshift_bits) < 32 << 10
    bits = len(MortonCode(ChunkGrid(scale.bounds, scale.chunk_size).shape).bits)
    assert spec.preshift_bits + spec.minishard_bits + spec.shard_bits == bits


@pytest.mark.parametrize(("size", "shards"), [((64, 64, 64), 1), ((512, 512, 256), 8), ((2048, 2048, 1024), 128)])
def test_small_volumes_get_enough_shards_for_all_processes(size, shards):
    scale = make_scale(size, chunk_size=(64, 64, 64))
    spec = choose_sharding(scale, 8, "gzip")
    assert 1 << spec.shard_bits == shards


def test_the_shard_of_a_box():
    scale, _ = sharded((64, 64, 64), (16, 16, 16), preshift=1, minishard=2, shard=3)
    assert ShardedChunks.write_cell(scale) == Vec(32, 32, 32)
    assert Bbox((0, 0, 0), (32, 32, 32)).volume() == 8 * 16**3
    scale, _ = sharded((64, 64, 64), (16, 16, 16), hash="murmurhash3_x86_128")
    assert ShardedChunks.write_cell(scale) == Vec(64, 64, 64)
