"""The object store on a real S3 server: what is written, which errors are raised, and what remains."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from exporter.errors import ExportError, ObjectStoreRefused, ObjectStoreUnavailable
from exporter.package.objects import ObjectStore, open_store
from tests.support.faulty_proxy import open_faulty_proxy
from tests.support.s3 import S3, MakeS3
from tests.support.wait import eventually
from tests.unit.stream.stores import list_keys, read_object

SHORT = timedelta(seconds=2)
MIB = 1024 * 1024


@pytest.fixture
def bucket(s3: S3) -> str:
    return s3.create_bucket()


@pytest.fixture
def store(s3: S3, bucket: str) -> ObjectStore:
    return open_store(f"s3://{bucket}/some/prefix", s3.options())


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 8 * MIB, 40 * MIB + 7])
async def test_P6_a_streamed_object_appears_when_it_is_finished(
    s3: S3, bucket: str, store: ObjectStore, size: int
) -> None:
    data = bytes(range(251)) * (size // 251) + bytes(size % 251)
    writer = store.open_writer("runs/1/file")
    for start in range(0, size, 300_001):
        await writer.write(data[start : start + 300_001])
    if size > 16 * MIB:
        assert s3.list_uploads(bucket) == ["some/prefix/runs/1/file"], "a large object is uploaded in pieces"
    assert await list_keys(store) == []
    written = await writer.finish()
    assert (written.size, written.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert await read_object(store, "runs/1/file") == data
    assert s3.list_uploads(bucket) == []


async def test_P6_objects_are_put_listed_and_deleted(s3: S3, bucket: str) -> None:
    store = open_store(f"s3://{bucket}", s3.options())
    await store.put("runs/1/manifest.json", b"0123456789")
    await store.put("runs/10/other", b"")
    assert await list_keys(store, "runs/1") == ["runs/1/manifest.json"], "a prefix is a folder"
    assert await read_object(store, "runs/1/manifest.json") == b"0123456789"
    assert await read_object(store, "runs/10/other") == b""
    assert await list_keys(store) == ["runs/1/manifest.json", "runs/10/other"]
    assert await store.delete(["runs/1/manifest.json", "runs/none"]) == {}
    assert await store.delete(["runs/1/manifest.json"]) == {}
    assert await list_keys(store) == ["runs/10/other"]


async def test_P6_a_listing_of_many_objects_is_complete(store: ObjectStore) -> None:
    names = [f"runs/1/{number:04d}" for number in range(1_100)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(store.put(name, b"x"))
    assert await list_keys(store) == names


async def test_P6_an_aborted_upload_leaves_nothing(s3: S3, bucket: str, store: ObjectStore) -> None:
    writer = store.open_writer("runs/1/file")
    for _ in range(30):
        await writer.write(bytes(MIB))
    assert s3.list_uploads(bucket) == ["some/prefix/runs/1/file"]
    await writer.abort()
    await writer.abort()
    await eventually(lambda: s3.list_uploads(bucket) == [])
    assert await list_keys(store) == []


async def try_everything(store: ObjectStore) -> list[ExportError]:
    """Try every operation of a store that does not work, and return the errors."""
    errors: list[ExportError] = []

    async def write(size: int) -> None:
        writer = store.open_writer("runs/1/file")
        try:
            for _ in range(size):
                await writer.write(bytes(MIB))
            await writer.finish()
        finally:
            await writer.abort()

    for attempt in (store.put("runs/1/x", b"x"), write(1), write(20), list_keys(store)):
        with pytest.raises(ExportError) as failed:
            await attempt
        errors.append(failed.value)
    return errors


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"secret_access_key": "not-the-secret"}, "the secret key is wrong"),
        ({"access_key_id": "nobody"}, "the access key is unknown"),
    ],
)
async def test_R5_wrong_keys_fail_at_once_with_the_reason(
    s3: S3, bucket: str, wrong: dict[str, str], message: str
) -> None:
    for error in await try_everything(open_store(f"s3://{bucket}/prefix", s3.options(**wrong))):
        assert isinstance(error, ObjectStoreRefused)
        assert not error.transient
        assert message in str(error)
        assert "not-the-secret" not in str(error)


async def test_R5_a_missing_bucket_fails_at_once_with_the_reason(s3: S3) -> None:
    for error in await try_everything(open_store("s3://no-such-bucket", s3.options())):
        assert isinstance(error, ObjectStoreRefused)
        assert "the bucket does not exist" in str(error)


async def test_R5_read_only_keys_fail_at_once_with_the_reason(s3: S3, bucket: str) -> None:
    options = s3.options(access_key_id=s3.reader_key, secret_access_key=s3.reader_secret)
    read_only = open_store(f"s3://{bucket}", options)
    assert await list_keys(read_only) == []
    with pytest.raises(ObjectStoreRefused, match="the credentials lack permission"):
        await read_only.put("runs/1/file", b"x")


async def test_R5_a_full_store_is_a_transient_error_until_it_has_room(s3: S3, bucket: str) -> None:
    store = open_store(f"s3://{bucket}", s3.options(), patience=SHORT)
    await store.put("runs/1/file", bytes(3 * MIB))

    async def try_put() -> ExportError | None:
        # The server updates its sizes with a delay, so the limit is set until it takes effect.
        s3.set_quota(bucket, 1)
        try:
            await store.put("runs/1/more", b"x")
        except ExportError as error:
            return error
        return None

    error = await eventually(try_put)
    assert isinstance(error, ObjectStoreUnavailable)
    assert error.transient
    assert "HTTP 500, InternalError" in str(error)
    assert await store.delete(["runs/1/more"]) == {}
    writer = store.open_writer("runs/1/large")
    with pytest.raises(ObjectStoreUnavailable):
        await writer.write(bytes(20 * MIB))
    await writer.abort()
    assert await list_keys(store) == ["runs/1/file"]
    s3.set_quota(bucket, None)
    await store.put("runs/1/more", b"x")


async def test_R5_a_server_outage_is_a_transient_error(make_s3: MakeS3) -> None:
    server = make_s3()
    server.start()
    bucket = server.create_bucket()
    store = open_store(f"s3://{bucket}", server.options(), patience=SHORT)
    await store.put("runs/1/before", b"x")
    writer = store.open_writer("runs/1/file")
    await writer.write(bytes(20 * MIB))
    server.kill()
    with pytest.raises(ObjectStoreUnavailable, match="it cannot be reached") as failed:
        await writer.write(bytes(40 * MIB))
    assert failed.value.transient
    await writer.abort()
    for error in await try_everything(store):
        assert isinstance(error, ObjectStoreUnavailable)
        assert error.transient
    server.start()
    assert await list_keys(store) == ["runs/1/before"], "nothing of the unfinished object is visible"
    await store.put("runs/1/after", b"x")
    assert await read_object(store, "runs/1/before") == b"x"


async def test_R5_a_server_that_vanishes_is_a_transient_error(s3: S3) -> None:
    bucket = s3.create_bucket()
    with open_faulty_proxy(s3.endpoint) as proxy:
        options = s3.options(endpoint=proxy.redirect(s3.endpoint), read_timeout="1 s")
        store = open_store(f"s3://{bucket}", options, patience=SHORT)
        await store.put("runs/1/before", b"x")
        writer = store.open_writer("runs/1/file")
        await writer.write(bytes(20 * MIB))
        proxy.stall()
        with pytest.raises(ObjectStoreUnavailable) as failed:
            await asyncio.wait_for(writer.write(bytes(40 * MIB)), 60)
        assert failed.value.transient
        for error in await asyncio.wait_for(try_everything(store), 120):
            assert isinstance(error, ObjectStoreUnavailable)
        proxy.cut()
        proxy.resume()
        await writer.abort()
        assert await list_keys(store) == ["runs/1/before"]


async def test_R5_a_short_outage_is_waited_out(make_s3: MakeS3) -> None:
    server = make_s3()
    server.start()
    store = open_store(f"s3://{server.create_bucket()}", server.options(), patience=timedelta(minutes=1))
    writer = store.open_writer("runs/1/file")
    await writer.write(bytes(20 * MIB))
    server.kill()
    writing = asyncio.create_task(writer.write(bytes(20 * MIB)))
    await asyncio.to_thread(server.start)
    await writing
    written = await writer.finish()
    assert written.size == 40 * MIB == len(await read_object(store, "runs/1/file"))
