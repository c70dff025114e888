"""The library on buckets, and what CloudVolume makes of the same objects."""

import contextlib
import itertools
import json
import pickle

import boto3
import cloudfiles
import cloudvolume
import numpy as np
import pytest
from servers import Server, make_bucket, save_s3_keys, user, with_users

from cvbatch import CloudVolume, run
from cvbatch.errors import ReadOnlyException, StorageError

serial = itertools.count()
SIZE = (96, 64, 32)


@pytest.fixture
def bucket(moto):
    make_bucket(moto, name := f"library-{next(serial)}")
    return name


@pytest.fixture
def secrets(moto) -> dict:
    return {"AWS_ACCESS_KEY_ID": moto.key, "AWS_SECRET_ACCESS_KEY": moto.secret}


@pytest.fixture
def alias(moto) -> str:
    """A name for the server, without which CloudVolume does not take its path."""
    cloudfiles.paths.add_alias("moto", f"s3://{moto.url}/")
    yield "moto"
    cloudfiles.paths.remove_alias("moto")


def voxels(dtype="uint8") -> np.ndarray:
    return np.random.default_rng(3).integers(0, 200, SIZE).astype(dtype)


def new_volume(path, secrets, encoding="raw", dtype="uint8", **options) -> CloudVolume:
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation" if dtype == "uint64" else "image",
        data_type=dtype,
        encoding=encoding,
        resolution=(4, 4, 40),
        voxel_offset=(0, 0, 0),
        volume_size=SIZE,
        chunk_size=(32, 32, 32),
    )
    vol = CloudVolume(path, info=info, secrets=secrets, **options)
    vol.commit_info()
    return vol


@pytest.mark.parametrize(
    ("encoding", "dtype", "compress"),
    [("raw", "uint8", "gzip"), ("raw", "uint8", "br"), ("raw", "uint64", None), ("png", "uint8", False)],
)
def test_cloudvolume_reads_what_is_written(moto, bucket, secrets, alias, encoding, dtype, compress):
    path, expected = f"s3://{moto.url}/{bucket}/em", voxels(dtype)
    vol = new_volume(path, secrets, encoding, dtype, compress=compress)
    vol[:, :, :] = expected
    theirs = cloudvolume.CloudVolume(f"{alias}://{bucket}/em", secrets=secrets, progress=False)
    np.testing.assert_array_equal(np.asarray(theirs[:, :, :])[..., 0], expected)


@pytest.mark.parametrize("compress", ["gzip", "br", None])
def test_what_cloudvolume_writes_is_read(moto, bucket, secrets, alias, compress):
    path, expected = f"{alias}://{bucket}/em", voxels()
    info = new_volume(f"s3://{moto.url}/{bucket}/other", secrets).info
    theirs = cloudvolume.CloudVolume(path, info=info, secrets=secrets, compress=compress, progress=False)
    theirs.commit_info()
    theirs[:, :, :] = expected
    for same in (path, f"s3://{moto.url}/{bucket}/em"):
        np.testing.assert_array_equal(CloudVolume(same, secrets=secrets)[:, :, :][..., 0], expected)


def test_credentials_go_along_to_other_processes(moto, bucket, secrets, tmp_path):
    # given credentials that no file and no variable has
    path, expected = f"s3://{moto.url}/{bucket}/em", voxels()
    vol = new_volume(path, json.dumps(secrets), parallel=2)
    # then processes of the pool use them, for writing, reading and transfers
    vol[:, :, :] = expected
    np.testing.assert_array_equal(vol[:, :, :][..., 0], expected)
    vol.transfer_to(f"s3://{moto.url}/{bucket}/copy", vol.bounds)
    vol.transfer_to(f"file://{tmp_path}/copy", vol.bounds)
    np.testing.assert_array_equal(CloudVolume(f"file://{tmp_path}/copy")[:, :, :][..., 0], expected)
    copy = CloudVolume(f"s3://{moto.url}/{bucket}/copy", secrets=secrets)
    np.testing.assert_array_equal(copy[:, :, :][..., 0], expected)
    # and so does a volume that was pickled
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(vol))[:, :, :][..., 0], expected)
    # and nobody sees them
    assert moto.secret not in repr(vol) + repr(vol.meta.location) + str(vol.info)


def test_constructor_options(moto, bucket, secrets):
    path, expected = f"s3://{bucket}/em", voxels()
    vol = new_volume(path, secrets, endpoint=moto.url, region_name="us-east-1", request_payer="requester")
    assert vol.cloudpath == f"s3://{moto.url}/{bucket}/em"
    vol[:, :, :] = expected
    # the same objects by HTTP can only be read, by anybody if they are public
    session = boto3.session.Session(moto.key, moto.secret, region_name="us-east-1")
    with contextlib.closing(session.client("s3", endpoint_url=moto.url)) as s3:
        for key in ["info", *vol.image.exists(vol.bounds)]:
            s3.put_object_acl(Bucket=bucket, Key=f"em/{key}", ACL="public-read")
    public = CloudVolume(path, endpoint=moto.url, use_https=True)
    assert public.cloudpath == f"{moto.url}/{bucket}/em"
    np.testing.assert_array_equal(public[:, :, :][..., 0], expected)
    with pytest.raises(ReadOnlyException):
        public[:, :, :] = expected
    anonymous = CloudVolume(path, endpoint=moto.url, anonymous=True)
    np.testing.assert_array_equal(anonymous[:, :, :][..., 0], expected)


def test_missing_and_forbidden_are_two_things(moto, bucket, secrets):
    # given a volume with a missing chunk, and somebody who may not read
    vol = new_volume(f"s3://{moto.url}/{bucket}/em", secrets, fill_missing=True)
    vol[0:32, 0:32, 0:32] = voxels()[0:32, 0:32, 0:32]
    assert not vol[32:64, 0:32, 0:32].any()
    with with_users(moto) as admin:
        key, secret = user(admin, ["s3:GetObject"])
        blind = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        # then nothing is filled for who may not look
        theirs = CloudVolume(vol.cloudpath, info=vol.info, secrets=blind, fill_missing=True)
        for parallel in (1, 2):
            theirs.parallel = parallel
            with pytest.raises(StorageError, match="It needs s3:GetObject"):
                theirs[0:64, 0:32, 0:32]


def test_each_end_of_a_job_has_its_own_credentials(moto, secrets_folder, secrets):
    # given two buckets, and for each a user who may do everything there and nothing elsewhere
    names = [f"ends-{next(serial)}" for _ in range(2)]
    for name in names:
        make_bucket(moto, name)
    expected = voxels()
    new_volume(f"s3://{moto.url}/{names[0]}/em", secrets)[:, :, :] = expected
    with with_users(moto) as admin:
        save_s3_keys(secrets_folder, Server(moto.url, *user(admin, ["s3:PutObject", "s3:DeleteObject"])), names[0])
        save_s3_keys(secrets_folder, Server(moto.url, *user(admin)), names[1])
        # when a job goes from one to the other
        job = {
            "job": "transfer",
            "source": f"s3://{moto.url}/{names[0]}/em",
            "destination": {"path": f"s3://{moto.url}/{names[1]}/em", "chunk_size": [48, 64, 32]},
            "workers": {"processes": 2},
        }
        report = run(job)
        # then each is used at its end
        assert report.failures == ()
        np.testing.assert_array_equal(CloudVolume(job["destination"]["path"])[:, :, :][..., 0], expected)


def test_the_cache_spares_the_bucket(moto, bucket, secrets, tmp_path):
    vol = new_volume(f"s3://{moto.url}/{bucket}/em", secrets)
    vol[:, :, :] = voxels()
    cached = CloudVolume(vol.cloudpath, secrets=secrets, cache=str(tmp_path))
    first = cached[:, :, :]
    assert cached.cache.path == f"{tmp_path}/s3/{bucket}/em"
    assert cached.cache.num_files() == 6
    np.testing.assert_array_equal(cached[:, :, :], first)


def test_chunks_are_deleted(moto, bucket, secrets):
    vol = new_volume(f"s3://{moto.url}/{bucket}/em", secrets)
    vol[:, :, :] = voxels()
    vol.delete(vol.bounds)
    assert not any(vol.image.exists(vol.bounds).values())


def test_credentials_that_are_set_after_the_pool_has_begun(moto, monkeypatch, tmp_path):
    # given processes that have begun without any
    voxels = np.random.default_rng(3).integers(0, 255, (64, 64, 32), np.uint8)
    CloudVolume.from_numpy(voxels, f"file://{tmp_path}/em", chunk_size=(32, 32, 32))
    np.testing.assert_array_equal(CloudVolume(f"file://{tmp_path}/em", parallel=2)[:, :, :][..., 0], voxels)
    # when the program says where they are
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret)
    make_bucket(moto, "set-later")
    place = f"s3://{moto.url}/set-later/em"
    CloudVolume.from_numpy(voxels, place, chunk_size=(32, 32, 32))
    # then the processes know it too
    np.testing.assert_array_equal(CloudVolume(place, parallel=2)[:, :, :][..., 0], voxels)
