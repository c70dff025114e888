"""The examples about images in CloudVolume's README, with the import and the paths changed, and nothing else."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from volumes import labels, noise

from cvbatch import Bbox, CloudVolume, dask
from cvbatch.errors import UnsupportedFormatError
from cvbatch.volume import server

SIZE = (256, 128, 64)


@pytest.fixture
def rawdata():
    return noise(SIZE, "uint8")


@pytest.fixture
def bucket(tmp_path, rawdata):
    """A path with an image that has mips, and a segmentation."""
    path = f"file://{tmp_path}/mybucket"
    for layer, voxels, encoding in (("image", rawdata, "raw"), ("cells", labels(SIZE, "uint64"), "raw")):
        info = CloudVolume.create_new_info(
            num_channels=1,
            layer_type="image" if layer == "image" else "segmentation",
            data_type=str(voxels.dtype),
            encoding=encoding,
            resolution=[4, 4, 40],
            voxel_offset=[0, 0, 0],
            chunk_size=[64, 64, 64],
            volume_size=SIZE,
            max_mip=3,
        )
        vol = CloudVolume(f"{path}/retina/{layer}", info=info)
        vol.commit_info()
        for mip in range(4):
            vol.mip = mip
            vol[:, :, :] = voxels[:: 2**mip, :: 2**mip]
    return path


def test_first_lines(bucket, rawdata):
    vol = CloudVolume(f"{bucket}/retina/image", parallel=True, progress=True)
    image = vol[:, :, :]  # Download a whole image stack into a numpy array from the cloud
    vol[:, :, :] = image  # Upload an entire image stack from a numpy array to the cloud
    np.testing.assert_array_equal(vol[:][..., 0], rawdata)


def test_new_dataset(tmp_path):
    cfg = SimpleNamespace(path=f"file://{tmp_path}/new", x=512, y=1024, z=32, length=512)
    rawdata = np.random.default_rng(0).integers(0, 9, (512, 512, 512)).astype(np.uint64)[:, :, :16]
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",  # Channel images might be 'uint8'
        # raw, png, jpeg, compressed_segmentation, fpzip, kempressed, zfpc, compresso, crackle
        encoding="raw",
        resolution=[4, 4, 40],  # Voxel scaling, units are in nanometers
        voxel_offset=[0, 0, 0],  # x,y,z offset in voxels from the origin
        mesh="mesh",
        # Pick a convenient size for your underlying chunk representation
        # Powers of two are recommended, doesn't need to cover image exactly
        chunk_size=[512, 512, 16],  # units are voxels
        volume_size=[250000, 250000, 25000],  # e.g. a cubic millimeter dataset
    )
    vol = CloudVolume(cfg.path, info=info)
    vol.commit_info()
    vol[cfg.x : cfg.x + cfg.length, cfg.y : cfg.y + cfg.length, cfg.z : cfg.z + 16] = rawdata[:, :, :]
    again = CloudVolume(cfg.path)
    np.testing.assert_array_equal(again[512:1024, 1024:1536, 32:48][..., 0], rawdata)


def test_basic_examples(bucket, rawdata, tmp_path):
    vol = CloudVolume(f"{bucket}/retina/image")
    vol = CloudVolume(f"{bucket}/retina/image", secrets={"token": "x"})
    vol = CloudVolume(f"{bucket}/retina/image", mip=0, bounded=True, fill_missing=False)
    assert CloudVolume(f"{bucket}/retina/image", mip=[8, 8, 40], bounded=True, fill_missing=False).mip == 1
    vol = CloudVolume(f"{bucket}/retina/image", info=vol.info)  # New info file from scratch
    image = vol[:, :, :]  # Download the entire image stack into a numpy array
    np.testing.assert_array_equal(image[..., 0], rawdata)
    bbox = Bbox((0, 0, 0), (64, 64, 64))
    seg = CloudVolume(f"{bucket}/retina/cells")
    image, _ = seg.download(Bbox((0, 0, 0), (64, 32, 64)), mip=2, renumber=True)  # download w/ smaller dtype
    assert image.dtype == np.uint8
    uniq = seg.unique(bbox, mip=0)  # efficient extraction of unique labels
    assert uniq == set(np.unique(seg[bbox]).tolist())
    listing = vol.exists(np.s_[0:64, 0:128, 0:64])  # get a report on which chunks actually exist
    assert len(listing) == 2
    exists = vol.image.has_data(mip=0)  # boolean check to see if any data is there
    assert exists
    vol.delete(np.s_[0:64, 0:128, 0:64])  # delete this region (bbox must be chunk aligned)
    assert not any(vol.exists(np.s_[0:64, 0:128, 0:64]).values())
    vol[64:128, 64:128, 0:64] = rawdata[:64, :64, :64]  # Write a 64^3 image to the volume
    img = vol.download_point((128, 64, 32), size=8, mip=3)  # download region around (mip 0) x,y,z at mip 3
    assert img.bounds == Bbox((12, 4, 28), (20, 12, 36))
    pts = seg.scattered_points([(1, 2, 3), (4, 5, 6)])  # download voxel labels located at indicated points
    assert pts == {(1, 2, 3): seg[1, 2, 3].item(), (4, 5, 6): seg[4, 5, 6].item()}
    # download image files without decompressing or rendering them. Good for caching!
    files = seg.download_files(bbox, 0, decompress=False)
    assert files["4_4_40/0-64_0-64_0-64"] == (tmp_path / "mybucket/retina/cells/4_4_40/0-64_0-64_0-64.gz").read_bytes()


def test_server(bucket, monkeypatch):
    started = threading.Event()
    monkeypatch.setattr(server.VolumeServer, "serve_forever", lambda self: started.set())
    CloudVolume(f"{bucket}/retina/image").viewer(port=0)  # launches neuroglancer compatible web server
    assert started.is_set()


def test_microviewer_comes_later(bucket):
    img = CloudVolume(f"{bucket}/retina/image")[64:128, 64:128, 0:64]
    with pytest.raises(UnsupportedFormatError):
        img.viewer()


def test_parallel_operation(bucket, rawdata):
    vol = CloudVolume(f"{bucket}/retina/image", parallel=True)  # Use all cores
    vol.parallel = 4  # e.g. any number > 1, use this many cores
    data = vol[:]  # uses shared memory to coordinate processes under the hood
    np.testing.assert_array_equal(data[..., 0], rawdata)


def test_shared_memory(bucket, rawdata):
    vol = CloudVolume(f"{bucket}/retina/image")
    # data backed by a shared memory buffer
    # location is optional (defaults to vol.shared_memory_id)
    vol.shared_memory_id = vol.generate_shared_memory_location()
    data = vol.download_to_shared_memory(np.s_[:])
    np.testing.assert_array_equal(data[..., 0], rawdata)
    data[:] = 5
    vol.upload_from_shared_memory(
        vol.shared_memory_id,  # do not prefix with /dev/shm
        bbox=vol.bounds,
    )
    assert vol.unlink_shared_memory()  # delete the shared memory associated with this cloudvolume
    assert (vol[:] == 5).all()


def test_files(bucket, tmp_path):
    vol = CloudVolume(f"{bucket}/retina/image")
    box = Bbox((0, 0, 0), (64, 64, 64))
    vol.download_to_file(f"{tmp_path}/file", bbox=box, mip=0)  # bbox is the download region
    vol.upload_from_file(f"{tmp_path}/file", bbox=box, mip=0)  # bbox is the region it represents


def test_transfer(bucket, tmp_path, rawdata):
    vol = CloudVolume(f"{bucket}/retina/image")
    # single core, send all of vol to destination, no painting memory
    vol.transfer_to(f"file://{tmp_path}/dataset/layer", vol.bounds)
    np.testing.assert_array_equal(CloudVolume(f"file://{tmp_path}/dataset/layer")[:][..., 0], rawdata)


def test_caching(bucket, tmp_path):
    vol = CloudVolume(f"{bucket}/retina/image", cache=f"{tmp_path}/cache")  # Basic Example
    image = vol[0:10, 0:10, 0:10]  # Download partial image and cache
    vol.non_aligned_writes = True
    vol[0:10, 0:10, 0:10] = image  # Upload partial image and cache
    num_bytes = 10**6
    vol = CloudVolume(f"{bucket}/retina/image", lru_bytes=num_bytes)  # >= 0, 0 means disabled
    vol.image.lru.resize(num_bytes)  # same
    assert len(vol.image.lru) == 0  # number of items in lru
    assert vol.image.lru.nbytes == 0  # size in bytes (not counting LRU structures, nor recursive)
    assert list(vol.image.lru.items()) == []  # etc, also functions as a dict
    vol.cache.enabled = f"{tmp_path}/cache"
    assert vol.cache.list() == ["0-64_0-64_0-64.gz"]  # list files in cache at this mip level
    assert vol.cache.list(mip=1) == []  # list files in cache at mip 1
    assert vol.cache.num_files() == 1  # number of files at this mip level
    assert len(vol.cache.num_bytes(all_mips=True)) == 4  # Return num files for each mip level in a list
    assert vol.cache.num_bytes() > 0  # number of bytes taken up by files, size on disk can be bigger
    vol.cache.enabled = True  # Turn the cache on/off
    vol.cache.enabled = False
    vol.cache.path = f"{tmp_path}/cache/elsewhere"  # set the cache location
    vol.cache.compress = None  # None: Link to cloud setting, Boolean: Force cache to compressed or uncompressed
    vol.cache.flush()  # Delete local cache for this layer at this mip level
    vol.cache.flush(preserve=Bbox((0, 0, 0), (64, 64, 64)))  # Same, but preserve cache in a region of space
    # Delete the cached files in this region at these mip levels (default all mips)
    vol.cache.flush_region(region=Bbox((0, 0, 0), (64, 64, 64)), mips=[0, 1])


def test_green_threads(bucket, rawdata):
    cv = CloudVolume(f"{bucket}/retina/image", green_threads=True)
    np.testing.assert_array_equal(cv[...][..., 0], rawdata)


def test_dask_interface(bucket, tmp_path, rawdata):
    cv = CloudVolume(f"{bucket}/retina/image")
    arr = cv.to_dask()
    arr = dask.from_cloudvolume(f"{bucket}/retina/image")  # same as to_dask
    res = dask.to_cloudvolume(arr, f"file://{tmp_path}/res", compute=True, return_stored=False)
    assert res is None
    np.testing.assert_array_equal(CloudVolume(f"file://{tmp_path}/res")[:][..., 0], rawdata)
