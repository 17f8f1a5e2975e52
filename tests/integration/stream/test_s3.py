"""The object store over a real S3 server: what is written, what is refused and in which words, what stays behind."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from exporter.errors import ExportError, ObjectNotFound, StoreRefused, StoreUnavailable
from exporter.package.objects import ObjectStore, open_store
from tests.support.s3 import S3, MakeS3
from tests.support.wait import eventually

SHORT = timedelta(seconds=2)
MIB = 1024 * 1024


@pytest.fixture
def bucket(s3: S3) -> str:
    return s3.make_bucket()


@pytest.fixture
def store(s3: S3, bucket: str) -> ObjectStore:
    return open_store(f"s3://{bucket}/some/prefix", s3.options())


async def keys(store: ObjectStore, prefix: str = "runs") -> list[str]:
    return sorted([found.key async for found in store.list(prefix)])


async def content(store: ObjectStore, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.get(key, start=start, end=end)])


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 8 * MIB, 40 * MIB + 7])
async def test_P6_a_streamed_object_appears_when_it_is_finished(
    s3: S3, bucket: str, store: ObjectStore, size: int
) -> None:
    data = bytes(range(251)) * (size // 251) + bytes(size % 251)
    writer = store.open_writer("runs/1/file")
    for start in range(0, size, 300_001):
        await writer.write(data[start : start + 300_001])
    if size > 16 * MIB:
        assert s3.uploads(bucket) == ["some/prefix/runs/1/file"], "a large object goes up in pieces"
    assert await keys(store) == []
    written = await writer.finish()
    assert (written.size, written.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert await content(store, "runs/1/file") == data
    assert await store.size("runs/1/file") == size
    assert s3.uploads(bucket) == []


async def test_P6_objects_are_put_read_by_ranges_listed_moved_and_deleted(s3: S3, bucket: str) -> None:
    store = open_store(f"s3://{bucket}", s3.options())
    await store.put("runs/1/manifest.json", b"0123456789")
    await store.put("runs/10/other", b"")
    assert await keys(store, "runs/1") == ["runs/1/manifest.json"], "a prefix is a folder"
    assert await content(store, "runs/1/manifest.json", start=3, end=5) == b"34"
    assert await content(store, "runs/1/manifest.json", start=7) == b"789"
    assert await content(store, "runs/10/other") == b""
    await store.move("runs/1/manifest.json", "runs/2/manifest.json")
    assert await keys(store) == ["runs/10/other", "runs/2/manifest.json"]
    await store.delete("runs/2/manifest.json")
    await store.delete("runs/2/manifest.json")
    assert await keys(store) == ["runs/10/other"]
    with pytest.raises(ObjectNotFound, match="runs/none"):
        await content(store, "runs/none")
    with pytest.raises(ObjectNotFound, match="runs/none"):
        await store.size("runs/none")


async def test_P6_a_listing_has_every_object_of_many(store: ObjectStore) -> None:
    names = [f"runs/1/{number:04d}" for number in range(1_100)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(store.put(name, b"x"))
    assert await keys(store) == names


async def test_P6_an_aborted_upload_leaves_nothing(s3: S3, bucket: str, store: ObjectStore) -> None:
    writer = store.open_writer("runs/1/file")
    for _ in range(30):
        await writer.write(bytes(MIB))
    assert s3.uploads(bucket) == ["some/prefix/runs/1/file"]
    await writer.abort()
    await writer.abort()
    await eventually(lambda: s3.uploads(bucket) == [])
    assert await keys(store) == []


async def attempts(store: ObjectStore) -> list[ExportError]:
    """Do everything with a store that does not work, and return what it says."""
    said: list[ExportError] = []

    async def write(size: int) -> None:
        writer = store.open_writer("runs/1/file")
        try:
            for _ in range(size):
                await writer.write(bytes(MIB))
            await writer.finish()
        finally:
            await writer.abort()

    for attempt in (store.put("runs/1/x", b"x"), write(1), write(20), store.move("runs/1/x", "runs/2/x"), keys(store)):
        with pytest.raises(ExportError) as failed:
            await attempt
        said.append(failed.value)
    return said


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"secret_access_key": "not-the-secret"}, "the secret key is wrong"),
        ({"access_key_id": "nobody"}, "the access key is unknown"),
    ],
)
async def test_R5_wrong_keys_are_refused_for_good_in_words(
    s3: S3, bucket: str, wrong: dict[str, str], words: str
) -> None:
    for error in await attempts(open_store(f"s3://{bucket}/prefix", s3.options(**wrong))):
        assert isinstance(error, StoreRefused)
        assert not error.transient
        assert words in str(error)
        assert "not-the-secret" not in str(error)


async def test_R5_a_missing_bucket_is_refused_for_good_in_words(s3: S3) -> None:
    errors = await attempts(open_store("s3://no-such-bucket", s3.options()))
    move = errors.pop(3)  # this first asks for the object, which is not there
    assert isinstance(move, StoreRefused | ObjectNotFound)
    for error in errors:
        assert isinstance(error, StoreRefused)
        assert "the bucket does not exist" in str(error)


async def test_R5_keys_that_may_only_read_are_refused_for_good_in_words(s3: S3, bucket: str) -> None:
    options = s3.options(access_key_id=s3.reader_key, secret_access_key=s3.reader_secret)
    reading = open_store(f"s3://{bucket}", options)
    assert await keys(reading) == []
    with pytest.raises(StoreRefused, match="the credentials lack permission"):
        await reading.put("runs/1/file", b"x")


async def test_R5_a_full_store_is_a_transient_error_and_works_again_with_more_room(s3: S3, bucket: str) -> None:
    store = open_store(f"s3://{bucket}", s3.options(), patience=SHORT)
    await store.put("runs/1/file", bytes(3 * MIB))

    async def refusal() -> ExportError | None:
        # The server learns sizes a moment late, so the limit is applied until it holds.
        s3.set_quota(bucket, 1)
        try:
            await store.put("runs/1/more", b"x")
        except ExportError as error:
            return error
        return None

    said = await eventually(refusal)
    assert isinstance(said, StoreUnavailable)
    assert said.transient
    assert "HTTP 500, InternalError" in str(said)
    await store.delete("runs/1/more")
    writer = store.open_writer("runs/1/large")
    with pytest.raises(StoreUnavailable):
        await writer.write(bytes(20 * MIB))
    await writer.abort()
    assert await keys(store) == ["runs/1/file"]
    s3.set_quota(bucket, None)
    await store.put("runs/1/more", b"x")


async def test_R5_a_server_that_goes_and_comes_back_is_a_transient_error(make_s3: MakeS3) -> None:
    server = make_s3()
    server.start()
    bucket = server.make_bucket()
    store = open_store(f"s3://{bucket}", server.options(), patience=SHORT)
    await store.put("runs/1/before", b"x")
    writer = store.open_writer("runs/1/file")
    await writer.write(bytes(20 * MIB))
    server.kill()
    with pytest.raises(StoreUnavailable, match="it cannot be reached") as failed:
        await writer.write(bytes(40 * MIB))
    assert failed.value.transient
    await writer.abort()
    for error in await attempts(store):
        assert isinstance(error, StoreUnavailable)
        assert error.transient
    server.start()
    assert await keys(store) == ["runs/1/before"], "nothing of the unfinished object is visible"
    await store.put("runs/1/after", b"x")
    assert await content(store, "runs/1/before") == b"x"


async def test_R5_a_short_absence_is_waited_out(make_s3: MakeS3) -> None:
    server = make_s3()
    server.start()
    store = open_store(f"s3://{server.make_bucket()}", server.options(), patience=timedelta(minutes=1))
    writer = store.open_writer("runs/1/file")
    await writer.write(bytes(20 * MIB))
    server.kill()
    going_on = asyncio.create_task(writer.write(bytes(20 * MIB)))
    await asyncio.to_thread(server.start)
    await going_on
    written = await writer.finish()
    assert written.size == 40 * MIB == await store.size("runs/1/file")
