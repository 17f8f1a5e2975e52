"""Every kind of store behaves alike: no object is visible before it is finished."""

import hashlib
from pathlib import Path

import pytest

from exporter.errors import FileTooLarge, ObjectStoreRefused
from exporter.package.objects import MAX_OBJECT_SIZE, ObjectStore, open_store
from tests.unit.stream.stores import list_keys, read_object


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store("memory:///" if request.param == "memory" else f"file://{tmp_path}/a%20store/deep")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 20_000_000])
async def test_P6_a_streamed_object_appears_when_it_is_finished(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    writer = store.open_writer("runs/1/file")
    for start in range(0, size, 300_001):
        await writer.write(data[start : start + 300_001])
    assert await list_keys(store) == []
    written = await writer.finish()
    assert (written.size, written.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert await read_object(store, "runs/1/file") == data


@pytest.mark.parametrize("size", [0, 100, 2_000_000, 20_000_000])
async def test_P6_an_aborted_object_leaves_nothing(store: ObjectStore, tmp_path: Path, size: int) -> None:
    writer = store.open_writer("runs/1/file")
    await writer.write(bytes(size))
    await writer.abort()
    await writer.abort()
    assert await list_keys(store) == []
    assert files_in(tmp_path) == []


async def test_P6_abort_after_finish_changes_nothing(store: ObjectStore) -> None:
    writer = store.open_writer("runs/1/file")
    await writer.write(b"content")
    await writer.finish()
    await writer.abort()
    assert await read_object(store, "runs/1/file") == b"content"


async def test_P6_an_object_too_large_for_a_cloud_is_refused_with_advice() -> None:
    writer = open_store("memory:///").open_writer("runs/1/file")
    writer._size = MAX_OBJECT_SIZE  # as after that many bytes
    with pytest.raises(FileTooLarge, match="Set a split size"):
        await writer.write(bytes(2**20))


async def test_P6_small_objects_are_put_listed_and_deleted(store: ObjectStore) -> None:
    written = await store.put("runs/1/manifest.json", b"0123456789")
    assert (written.size, written.sha256) == (10, hashlib.sha256(b"0123456789").hexdigest())
    await store.put("runs/10/other", b"")
    assert await list_keys(store, "runs/1") == ["runs/1/manifest.json"], "a prefix is a folder"
    assert await read_object(store, "runs/1/manifest.json") == b"0123456789"
    assert await read_object(store, "runs/10/other") == b""
    assert await list_keys(store) == ["runs/1/manifest.json", "runs/10/other"]
    assert await store.delete(["runs/1/manifest.json", "runs/1/manifest.json"]) == {}
    assert await list_keys(store) == ["runs/10/other"]


async def test_P6_a_missing_object_is_neither_listed_nor_an_error_to_delete(store: ObjectStore) -> None:
    assert await store.delete(["runs/none"]) == {}
    assert await list_keys(store, "nowhere") == []


@pytest.mark.parametrize("url", ["file://secret/folder", "secret", "ftp://me:secret@host/x", "s3://", "file:"])
def test_P6_an_invalid_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ObjectStoreRefused) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


async def test_R2_unfinished_objects_of_a_killed_writer_are_found_and_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    writer = store.open_writer("runs/r/a/part")
    await writer.write(b"x" * 20 * 1024 * 1024)
    (unfinished,) = await store.list_unfinished("runs/r")
    assert unfinished.startswith("runs/r/a/part#")
    assert await store.delete_unfinished([unfinished, unfinished]) == {}
    assert not await store.list_unfinished("runs/r")
    assert not await store.list_unfinished("runs/none")
