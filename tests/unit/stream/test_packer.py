"""Records become files: names, splitting, totals, and nothing left of an unfinished file."""

import hashlib
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.package.objects import ObjectStore, open_store
from exporter.package.packer import FileNames, PackedPart, Packer, PackingOptions, parse_record_id
from shared.events.values import Compression
from sluice.cms import decrypt_chunks
from tests.unit.stream.officers import officer
from tests.unit.stream.stores import list_keys, read_object

Batches = list[list[bytes]]

SLOT = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)
FOLDER = "runs/r1/7"
UNSPLIT = PackingOptions(recipients=[officer().recipient])
SPLIT = PackingOptions(recipients=[officer().recipient], split_size=100)


def make_names(*, numbered: bool = False) -> FileNames:
    return FileNames(kind="interaction", job_id="job-1", slot=SLOT, numbered=numbered)


async def unpack(store: ObjectStore, part: PackedPart) -> list[bytes]:
    """Return the members of a part's archive, and check the part's sizes, rows and checksum."""
    packed = await read_object(store, part.key)
    assert part.bytes_packed == len(packed)
    assert part.sha256 == hashlib.sha256(packed).hexdigest()
    with zipfile.ZipFile(BytesIO(b"".join(decrypt_chunks(BytesIO(packed), officer().recipient_key)))) as archive:
        members = [archive.read(name) for name in archive.namelist()]
    content = b"".join(members)
    assert part.bytes_raw == len(content)
    assert part.rows == content.count(b"\n")
    return members


async def pack(
    store: ObjectStore, batches: Batches, options: PackingOptions, *, numbered: bool = False
) -> list[PackedPart]:
    async with Packer(store, FOLDER, make_names(numbered=numbered), options=options) as packer:
        for batch in batches:
            await packer.write(batch, sum(map(len, batch)) + len(batch))
        parts = await packer.finish()
    assert packer.rows == sum(part.rows for part in parts)
    assert packer.bytes_raw == sum(part.bytes_raw for part in parts)
    assert packer.bytes_packed == sum(part.bytes_packed for part in parts)
    return parts


async def test_P1_by_default_one_file_holds_all_records() -> None:
    store = open_store("memory:///")
    batches = [[b'{"id":"%d","batch":%d}' % (number, batch) for number in range(5000)] for batch in range(5)]
    [part] = await pack(store, batches, UNSPLIT)
    assert part.name == "Interaction-job-1-20261124T100000Z.zip.p7m"
    assert part.key == f"{FOLDER}/{part.name}"
    assert (part.kind, part.number, part.rows) == ("interaction", 1, 25_000)
    assert await unpack(store, part) == [b"".join(line + b"\n" for batch in batches for line in batch)]


lines = st.binary(min_size=1, max_size=120).map(lambda line: line.replace(b"\n", b" "))


@given(batches=st.lists(st.lists(lines, max_size=6), max_size=6), split_size=st.integers(1, 200))
async def test_P1_no_record_is_cut_and_no_part_is_larger_than_the_split_size(batches: Batches, split_size: int) -> None:
    store = open_store("memory:///")
    parts = await pack(
        store, batches, PackingOptions(recipients=[officer().recipient], split_size=split_size), numbered=True
    )
    contents = [b"".join(await unpack(store, part)) for part in parts]
    assert b"".join(contents) == b"".join(line + b"\n" for batch in batches for line in batch)
    for part, content in zip(parts, contents, strict=True):
        assert not content or content.endswith(b"\n")
        assert part.bytes_raw <= split_size or part.rows == 1
        assert part.rows or len(parts) == 1
    for content, following in pairwise(contents):
        assert len(content) + len(following.split(b"\n")[0]) + 1 > split_size, "a part ended too early"


async def test_P2_parts_are_numbered_from_one_and_reported_as_they_end() -> None:
    reported: list[PackedPart] = []

    async def on_part(part: PackedPart) -> None:
        reported.append(part)

    store = open_store("memory:///")
    async with Packer(store, FOLDER, make_names(numbered=True), options=SPLIT, on_part=on_part) as packer:
        await packer.write([b"x" * 60, b"y" * 60], 122)
        assert [part.number for part in reported] == [1]
        parts = await packer.finish()
    assert reported == parts
    assert [part.name for part in parts] == [f"Interaction-job-1-20261124T100000Z-part-000{n}.zip.p7m" for n in (1, 2)]


async def test_P4_each_part_opens_alone_and_names_its_member_after_itself() -> None:
    store = open_store("memory:///")
    parts = await pack(store, [[b"x" * 60, b"y" * 60]], SPLIT, numbered=True)
    for part in parts:
        content = b"".join(decrypt_chunks(BytesIO(await read_object(store, part.key)), officer().recipient_key))
        with zipfile.ZipFile(BytesIO(content)) as archive:
            assert archive.namelist() == [part.name.replace(".zip.p7m", ".jsonl")]


async def test_E7_an_empty_result_is_an_empty_file() -> None:
    store = open_store("memory:///")
    [part] = await pack(store, [], SPLIT)
    assert (part.rows, part.bytes_raw) == (0, 0)
    assert await unpack(store, part) == [b""]


@given(batches=st.lists(st.lists(lines, max_size=6), max_size=6), limit=st.integers(400, 900))
async def test_P7_a_larger_file_holds_several_members_in_order(batches: Batches, limit: int) -> None:
    store = open_store("memory:///")
    large = b"z" * 1000
    options = PackingOptions(recipients=[officer().recipient], member_limit=limit)
    async with Packer(store, FOLDER, make_names(), options=options) as packer:
        for batch in batches:
            await packer.write(batch, sum(map(len, batch)) + len(batch))
            await packer.write_large(pieces(large, b"\n"), 1001)
        [part] = await packer.finish()
    members = await unpack(store, part)
    assert b"".join(members) == b"".join(b"".join(line + b"\n" for line in [*batch, large]) for batch in batches)
    assert all(member.endswith(b"\n") for member in members if member)
    assert len(members) >= len(batches)


def test_P7_members_names_sort_in_their_order() -> None:
    in_order = [make_names().get_member(1, index) for index in range(1, 30)]
    assert in_order[:2] == ["Interaction-job-1-20261124T100000Z.jsonl", "Interaction-job-1-20261124T100000Z_0002.jsonl"]
    assert in_order == sorted(in_order)


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def test_P1_a_record_in_pieces_is_split_off_like_any_other() -> None:
    store = open_store("memory:///")
    async with Packer(store, FOLDER, make_names(numbered=True), options=SPLIT) as packer:
        await packer.write([b"small"], 6)
        await packer.write_large(pieces(b"x" * 150, b"y" * 149, b"\n"), 300)
        await packer.write([b"small"], 6)
        parts = await packer.finish()
    assert [(part.rows, part.bytes_raw) for part in parts] == [(1, 6), (1, 300), (1, 6)]
    assert await unpack(store, parts[1]) == [b"x" * 150 + b"y" * 149 + b"\n"]


async def test_P1_a_record_in_pieces_must_have_its_announced_size() -> None:
    async with Packer(open_store("memory:///"), FOLDER, make_names(), options=UNSPLIT) as packer:
        with pytest.raises(ValueError, match="does not have the announced size"):
            await packer.write_large(pieces(b"x", b"\n"), 3)


async def test_P6_an_exception_leaves_finished_parts_only() -> None:
    async def lose(packer: Packer) -> None:
        async with packer:
            await packer.write([b"x" * 60, b"y" * 60], 122)
            raise RuntimeError("lost")

    store = open_store("memory:///")
    finished: list[PackedPart] = []

    async def on_part(part: PackedPart) -> None:
        finished.append(part)

    packer = Packer(store, FOLDER, make_names(numbered=True), options=SPLIT, on_part=on_part)
    with pytest.raises(RuntimeError, match="lost"):
        await lose(packer)
    assert await list_keys(store) == [part.key for part in finished]
    assert len(finished) == 1


async def test_P6_leaving_without_finish_leaves_nothing() -> None:
    store = open_store("memory:///")
    async with Packer(store, FOLDER, make_names(), options=UNSPLIT) as packer:
        await packer.write([b"x" * 60], 61)
    assert await list_keys(store) == []


@pytest.mark.parametrize("compression", get_args(Compression))
async def test_P7_both_compressions_open_and_small_is_smaller(compression: Compression) -> None:
    store = open_store("memory:///")
    batch = [b'{"id":"%d","text":"%s"}' % (number, b"good morning " * (number % 13)) for number in range(20_000)]
    [part] = await pack(store, [batch], PackingOptions(recipients=[officer().recipient], compression=compression))
    assert await unpack(store, part) == [b"".join(line + b"\n" for line in batch)]
    assert part.bytes_packed < part.bytes_raw / 10


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (b'{"id":"a-1","text":null}', "a-1"),
        (b'{"id":"\\u00e9\\"x","text":null}', 'é"x'),
        (memoryview('{"id":"ключ","text":"%s"}'.replace("%s", "я" * 3000).encode()), "ключ"),
        (('{"id":"' + "k" * 5000 + '"}').encode(), "k" * 5000),
        (b'{"text":"a"}', None),
        (b'{"id":"cut', None),
    ],
)
def test_R3_a_part_s_last_key_is_read_from_its_last_record(record: bytes | memoryview, key: str | None) -> None:
    assert parse_record_id(record) == key
