"""A binary COPY is cut correctly wherever its chunks end."""

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CopyFormatError
from exporter.source.copy_reader import RowCopyReader, TextCopyReader

Row = tuple[bytes | None, ...]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

texts = st.lists(st.binary(max_size=40), max_size=12)
rows = st.lists(
    st.tuples(st.binary(max_size=20), st.none() | st.binary(max_size=20), st.binary(max_size=9)), max_size=8
)


def make_copy(rows: list[Row]) -> bytes:
    """Return rows as PostgreSQL sends them."""
    columns = [pack(">h", len(row)) + b"".join(map(make_field, row)) for row in rows]
    return HEADER + b"".join(columns) + TRAILER


def make_field(value: bytes | None) -> bytes:
    return pack(">i", -1) if value is None else pack(">i", len(value)) + value


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def read_texts(pieces: list[bytes]) -> list[bytes]:
    reader = TextCopyReader()
    records = [bytes(record) for piece in pieces for record in reader.feed(piece)]
    reader.finish()
    return records


@given(texts=texts, cuts=st.lists(st.integers(0, 700), max_size=10))
def test_E7_texts_are_read_whole_wherever_chunks_end(texts: list[bytes], cuts: list[int]) -> None:
    assert read_texts(split_at(make_copy([(text,) for text in texts]), cuts)) == texts


def test_E1_line_separators_are_escaped_wherever_chunks_end() -> None:
    records = [b'{"a":"plain"}', '{"a":"\u2028\u2029 \u0085 \u2027é"}'.encode(), b'{"a":"' + b"x" * 300 + b'"}']
    stream = make_copy([(record,) for record in records])
    expected = [records[0], '{"a":"\\u2028\\u2029 \\u0085 \u2027é"}'.encode(), records[2]]
    for cut in range(len(stream) + 1):
        assert read_texts(split_at(stream, [cut])) == expected
    assert all(len(each.decode().splitlines()) == 1 for each in expected)


def test_E7_every_split_in_two_and_every_single_byte() -> None:
    texts = [b"", b"\xff\xff", b"one", b"\0\x01\0\0", b"x" * 300]
    stream = make_copy([(text,) for text in texts])
    for cut in range(len(stream) + 1):
        assert read_texts(split_at(stream, [cut])) == texts
    assert read_texts([stream[i : i + 1] for i in range(len(stream))]) == texts


@given(rows=rows, cuts=st.lists(st.integers(0, 500), max_size=10))
def test_E7_rows_of_several_columns_are_read_whole(rows: list[Row], cuts: list[int]) -> None:
    reader = RowCopyReader(3)
    found = [
        tuple(None if value is None else bytes(value) for value in row)
        for piece in split_at(make_copy(rows), cuts)
        for row in reader.feed(piece)
    ]
    reader.finish()
    assert found == rows


def test_E7_a_record_of_many_split_at() -> None:
    text = bytes(range(256)) * 40_000
    stream = make_copy([(b"before",), (text,), (b"after",)])
    assert read_texts([stream[i : i + 65_536] for i in range(0, len(stream), 65_536)]) == [b"before", text, b"after"]


@given(cut=st.integers(0, 60))
def test_E7_a_truncated_copy_is_detected(cut: int) -> None:
    stream = make_copy([(b"first",), (b"second",)])
    with pytest.raises(CopyFormatError, match="ended before its trailer"):
        read_texts([stream[: min(cut, len(stream) - 1)]])


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"PGCOPX\n\xff\r\n\0" + bytes(8) + TRAILER, "not a binary COPY"),
        (HEADER[:15] + b"\0\0\0\4" + b"more" + TRAILER, "header extension"),
        (make_copy([(b"a", b"b")]), "not a single text"),
        (make_copy([(None,)]), "not a single text"),
        (make_copy([]) + b"x", "after the end"),
    ],
)
def test_E7_another_format_is_rejected(stream: bytes, message: str) -> None:
    with pytest.raises(CopyFormatError, match=message):
        read_texts([stream])


def test_E7_a_row_with_other_columns_is_rejected() -> None:
    with pytest.raises(CopyFormatError, match="2 columns, not 3"):
        RowCopyReader(3).feed(make_copy([(b"a", b"b" * 30)]))


def test_E7_data_after_the_trailer_is_rejected_in_a_chunk_of_its_own_too() -> None:
    reader = TextCopyReader()
    reader.feed(make_copy([]))
    assert reader.feed(b"") == []
    with pytest.raises(CopyFormatError, match="after the end"):
        reader.feed(b"x")
