"""One behaviour for every kind of store: nothing is visible before it is finished."""

import hashlib
from pathlib import Path

import pytest

from exporter.errors import FileTooLarge, ObjectNotFound, StoreRefused
from exporter.package.objects import LARGEST, ObjectStore, open_store


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store("memory:///" if request.param == "memory" else f"file://{tmp_path}/a%20store/deep")


async def keys(store: ObjectStore, prefix: str = "runs") -> list[str]:
    return sorted([found.key async for found in store.list(prefix)])


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def content(store: ObjectStore, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.get(key, start=start, end=end)])


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 20_000_000])
async def test_P6_a_streamed_object_appears_when_it_is_finished(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    writer = store.open_writer("runs/1/file")
    for start in range(0, size, 300_001):
        await writer.write(data[start : start + 300_001])
    assert await keys(store) == []
    written = await writer.finish()
    assert (written.size, written.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert await content(store, "runs/1/file") == data
    assert await store.size("runs/1/file") == size


@pytest.mark.parametrize("size", [0, 100, 2_000_000, 20_000_000])
async def test_P6_an_aborted_object_leaves_nothing(store: ObjectStore, tmp_path: Path, size: int) -> None:
    writer = store.open_writer("runs/1/file")
    await writer.write(bytes(size))
    await writer.abort()
    await writer.abort()
    assert await keys(store) == []
    assert files_in(tmp_path) == []


async def test_P6_abort_after_finish_changes_nothing(store: ObjectStore) -> None:
    writer = store.open_writer("runs/1/file")
    await writer.write(b"content")
    await writer.finish()
    await writer.abort()
    assert await content(store, "runs/1/file") == b"content"


async def test_P6_an_object_too_large_for_a_cloud_is_refused_in_words() -> None:
    writer = open_store("memory:///").open_writer("runs/1/file")
    writer._size = LARGEST  # as after as many bytes
    with pytest.raises(FileTooLarge, match="Set a split size"):
        await writer.write(bytes(2**20))


async def test_P6_small_objects_are_put_read_moved_and_deleted(store: ObjectStore) -> None:
    written = await store.put("runs/1/manifest.json", b"0123456789")
    assert (written.size, written.sha256) == (10, hashlib.sha256(b"0123456789").hexdigest())
    await store.put("runs/10/other", b"")
    assert await keys(store, "runs/1") == ["runs/1/manifest.json"], "a prefix is a folder"
    assert await content(store, "runs/1/manifest.json", start=3, end=5) == b"34"
    assert await content(store, "runs/1/manifest.json", start=7) == b"789"
    assert await content(store, "runs/1/manifest.json", start=4, end=4) == b""
    assert await content(store, "runs/10/other") == b""
    await store.move("runs/1/manifest.json", "runs/2/manifest.json")
    assert await keys(store) == ["runs/10/other", "runs/2/manifest.json"]
    await store.delete("runs/2/manifest.json")
    await store.delete("runs/2/manifest.json")
    assert await keys(store) == ["runs/10/other"]


async def test_P6_what_is_not_there_is_named(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound, match="runs/none"):
        await content(store, "runs/none")
    with pytest.raises(ObjectNotFound, match="runs/none"):
        await store.size("runs/none")
    assert await keys(store, "nowhere") == []


@pytest.mark.parametrize("url", ["file://secret/folder", "secret", "ftp://me:secret@host/x", "s3://", "file:"])
def test_P6_a_url_that_makes_no_sense_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreRefused) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


async def test_R2_what_a_killed_writer_left_in_a_folder_is_found_and_removed(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    writer = store.open_writer("runs/r/a/part")
    await writer.write(b"x" * 20 * 1024 * 1024)
    (left,) = await store.unfinished("runs/r")
    assert left.startswith("runs/r/a/part#")
    await store.drop_unfinished(left)
    await store.drop_unfinished(left)
    assert not await store.unfinished("runs/r")
    assert not await store.unfinished("runs/none")
