"""The native transcoder makes PostgreSQL's own bytes of any row, wherever chunks end, and trusts nothing it is sent.

What PostgreSQL itself writes is compared in tests/integration/stream/test_both_ways.py.
"""

import ctypes
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.source.copy_reader import CopyFormatError
from exporter.source.native import SOURCE, NativeMissing, load, source_checksum
from exporter.source.native.build import NotBuilt, build, compiler
from exporter.source.transcoder import LargeRecord, Lines, Transcoder
from tests.support.native import native, variant
from tests.unit.stream.copies import COLUMNS, HEADER, TRAILER, Row, chunks, copy, line, rows

FUZZER = Path(__file__).with_name("fuzz_transcode.c")
LEAST_ROOM = 512
# What the compiler makes of the vector loop, and the loop for machines without one.
VARIANTS: Mapping[str, tuple[str, ...]] = {"vectors": (), "portable": ("-DSLUICE_PORTABLE",)}


def made(
    pieces: Iterable[bytes],
    *,
    room: int = LEAST_ROOM,
    library: ctypes.CDLL | None = None,
    columns: Mapping[str, str] = COLUMNS,
) -> list[bytes]:
    """Return the records that the transcoder makes."""
    transcoder = Transcoder(library or native(), columns, room=room)
    found: list[bytes] = []
    for piece in pieces:
        for each in transcoder.feed(piece):
            found.extend(taken(each))
    for each in transcoder.end():
        found.extend(taken(each))
    return found


def taken(made: Lines | LargeRecord) -> Iterator[bytes]:
    if isinstance(made, LargeRecord):
        whole = b"".join(made.pieces)
        assert len(whole) == made.size
        yield whole
        return
    assert made.ends[-1] == len(made.text)
    begin = 0
    for end in made.ends:
        yield bytes(made.text[begin:end])
        begin = end


@settings(deadline=None, max_examples=200)
@given(rows=rows, cuts=st.lists(st.integers(0, 3000), max_size=6), room=st.integers(LEAST_ROOM, 5000))
def test_E7_any_row_comes_out_as_the_reference_writes_it(rows: list[Row], cuts: list[int], room: int) -> None:
    stream, expected = chunks(copy(rows), cuts), [line(row) for row in rows]
    for name, options in VARIANTS.items():
        library = variant(*options) if options else native()
        assert made(stream, room=room, library=library) == expected, name


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_E7_every_byte_at_every_place_of_a_vector(options: tuple[str, ...]) -> None:
    columns = {"id": "text"}
    texts = [
        ["a" * before + chr(code) + "b" * after]
        for code in (*range(1, 0x81), 0xE9, 0x2028, 0x1F600)
        for before, after in ((0, 0), (3, 5), (15, 0), (16, 0), (7, 30), (31, 17))
    ]
    texts += [["\\" * length] for length in range(40)] + [["ü" * length + "\n"] for length in range(40)]
    library = variant(*options) if options else native()
    assert made([copy(texts, columns)], columns=columns, library=library) == [line(text, columns) for text in texts]


@pytest.mark.parametrize("size", [60, 100, 512, 4096, 300_000])
def test_E7_long_values_come_out_by_pieces(size: int) -> None:
    columns = {"id": "text", "attributes": "jsonb", "text": "text", "number": "int"}
    row = ['x"' * size, json.dumps(["y" * size]), "\1" * size, 7]
    found = made([copy([row, ["a", None, "", None], row], columns)], columns=columns)
    assert found == [line(each, columns) for each in (row, ["a", None, "", None], row)]


def test_E7_every_split_in_two_and_every_single_byte() -> None:
    some: list[Row] = [
        ("a\n", -1, 2**63 - 1, True, '{"a": 1}', datetime(2026, 11, 24, 10, 0, 0, 120_000, tzinfo=UTC)),
        ("", None, None, False, "[]", None),
    ]
    stream, wanted = copy(some), [line(row) for row in some]
    for cut in range(len(stream) + 1):
        assert made(chunks(stream, [cut])) == wanted
    assert made(stream[i : i + 1] for i in range(len(stream))) == wanted


INSTANTS = {
    "infinity": 2**63 - 1,
    "-infinity": -(2**63),
    "2000-01-01T00:00:00+00:00": 0,
    "1999-12-31T23:59:59.999999+00:00": -1,
    "2000-02-29T00:00:00.1+00:00": 59 * 86_400_000_000 + 100_000,
    "4714-11-24T00:00:00+00:00 BC": -211_813_488_000_000_000,
    "294276-12-31T23:59:59.999999+00:00": 9_223_371_331_199_999_999,
}


@pytest.mark.parametrize("words", INSTANTS)
def test_E1_instants_at_the_ends_of_the_calendar(words: str) -> None:
    stream = HEADER + pack(">hiq", 1, 8, INSTANTS[words]) + TRAILER
    assert made([stream], columns={"at": "timestamptz"}) == [f'{{"at":"{words}"}}\n'.encode()]


def one(kind: str, length: int, value: bytes, *, columns: int = 1) -> tuple[str, bytes]:
    return kind, HEADER + pack(">hi", columns, length) + value + TRAILER


HOSTILE = {
    "two columns": one("text", 1, b"a", columns=2),
    "no columns": one("text", 1, b"a", columns=0),
    "minus two columns": one("text", 1, b"a", columns=-2),
    "length of minus two": one("text", -2, b""),
    "the least length": one("text", -(2**31), b""),
    "an int of two bytes": one("int", 2, b"ab"),
    "a bigint of four": one("bigint", 4, b"abcd"),
    "a bool of none": one("bool", 0, b""),
    "json without its version": one("jsonb", 0, b""),
    "json of another version": one("jsonb", 3, b"\2{}"),
    "an instant of four bytes": one("timestamptz", 4, b"abcd"),
    "an instant before the calendar": one("timestamptz", 8, pack(">q", -211_813_488_000_000_001)),
    "an instant after the calendar": one("timestamptz", 8, pack(">q", 9_223_371_331_200_000_000)),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_E7_what_no_server_should_send_is_refused(case: str) -> None:
    kind, stream = HOSTILE[case]
    with pytest.raises(CopyFormatError, match=r"columns|length or form"):
        made([stream], columns={"id": kind})


@pytest.mark.parametrize("length", [1, 1000, 2**31 - 1])
def test_E7_a_value_that_never_comes_is_not_waited_for_in_silence(length: int) -> None:
    with pytest.raises(CopyFormatError, match="ended before its trailer"):
        made([HEADER + pack(">hi", 1, length)], columns={"id": "text"})


@given(rows=rows, cut=st.integers(0, 3000))
def test_E7_a_copy_that_was_cut_short_is_never_taken_for_whole(rows: list[Row], cut: int) -> None:
    stream = copy(rows)
    with pytest.raises(CopyFormatError, match="ended before its trailer"):
        made([stream[: min(cut, len(stream) - 1)]])


def test_a_library_of_another_source_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(NativeMissing, match="was not built"):
        load(tmp_path / "nothing.so")
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(NativeMissing, match="cannot be loaded"):
        load(tmp_path / "text.so")
    if compiler() is not None:
        library = build(tmp_path / "other.so")
        library.write_bytes(library.read_bytes().replace(source_checksum().encode(), b"0" * 64))
        with pytest.raises(NativeMissing, match="another version"):
            load(library)


def test_without_a_compiler_it_is_said_and_nothing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotBuilt, match="no C compiler"):
        build(tmp_path / "transcode.so")
    assert list(tmp_path.iterdir()) == []


def test_E7_no_input_makes_it_touch_memory_that_is_not_its_own(tmp_path: Path) -> None:
    """Broken copies by the hundred thousand, under the compiler's own watch (address and undefined behaviour)."""
    program = compiler()
    if program is None:
        pytest.skip("there is no C compiler")
    seed = copy(
        [
            (
                'id "1"\n' + "x" * 90,
                12,
                -34,
                True,
                '{"a": [1, 2]}',
                datetime(2026, 11, 24, 10, 0, 0, 120_000, tzinfo=UTC),
            ),
            ("", None, 2**63 - 1, False, None, None),
            (None, -(2**31), None, None, "[]", datetime(1, 1, 1, tzinfo=UTC)),
        ]
    )
    (tmp_path / "seed").write_bytes(seed.removeprefix(HEADER))
    watched = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1", "-std=c11"]
    for options in VARIANTS.values():
        argv = [program, *watched, *options, f"-I{SOURCE.parent}", "-o", str(tmp_path / "fuzz"), str(FUZZER)]
        compiled = subprocess.run(argv, capture_output=True, text=True, check=False)
        if "asan" in compiled.stderr:
            pytest.skip("the compiler comes without its sanitizers")
        assert compiled.returncode == 0, compiled.stderr
        ran = subprocess.run(
            [tmp_path / "fuzz", tmp_path / "seed", "60000"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        whole, broken = map(int, ran.stdout.split())
        assert whole > 1_000
        assert broken > 1_000
