"""The native transcoder gives PostgreSQL's own bytes for any row, wherever chunks end, and trusts no input.

PostgreSQL's own output is compared in tests/integration/stream/test_both_transcoders.py.
"""

import ctypes
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CopyFormatError
from exporter.source.native import SOURCE, NativeMissing, compute_source_checksum, load
from exporter.source.native.build import NotBuilt, build, find_compiler
from exporter.source.transcoder import LargeRecord, RecordLines, Transcoder
from tests.support.native import compile_variant, load_native
from tests.support.properties import many_examples
from tests.unit.stream.copies import COLUMNS, HEADER, TRAILER, Row, make_copy, make_line, rows, split_at

FUZZER = Path(__file__).with_name("fuzz_transcode.c")
MIN_OUTPUT = 512
# The vector loop, and the loop for machines without vectors.
VARIANTS: Mapping[str, tuple[str, ...]] = {"vectors": (), "portable": ("-DSLUICE_PORTABLE",)}


def transcode(
    pieces: Iterable[bytes],
    *,
    output_size: int = MIN_OUTPUT,
    library: ctypes.CDLL | None = None,
    columns: Mapping[str, str] = COLUMNS,
) -> list[bytes]:
    """Return the transcoder's records."""
    transcoder = Transcoder(library or load_native(), columns, output_size=output_size)
    found: list[bytes] = []
    for piece in pieces:
        for each in transcoder.feed(piece):
            found.extend(read(each))
    for each in transcoder.end():
        found.extend(read(each))
    return found


def read(records: RecordLines | LargeRecord) -> Iterator[bytes]:
    if isinstance(records, LargeRecord):
        whole = b"".join(records.pieces)
        assert len(whole) == records.size
        yield whole
        return
    assert records.ends[-1] == len(records.text)
    start = 0
    for end in records.ends:
        yield bytes(records.text[start:end])
        start = end


@many_examples(3)
@given(rows=rows, cuts=st.lists(st.integers(0, 3000), max_size=6), output_size=st.integers(MIN_OUTPUT, 5000))
def test_E7_any_row_is_written_like_the_reference(rows: list[Row], cuts: list[int], output_size: int) -> None:
    stream, expected = split_at(make_copy(rows), cuts), [make_line(row) for row in rows]
    for name, options in VARIANTS.items():
        library = compile_variant(*options) if options else load_native()
        assert transcode(stream, output_size=output_size, library=library) == expected, name


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_E7_every_byte_at_every_place_of_a_vector(options: tuple[str, ...]) -> None:
    columns = {"id": "text"}
    texts = [
        ["a" * before + chr(code) + "b" * after]
        for code in (*range(1, 0x88), 0xE9, *range(0x2026, 0x202C), 0x2128, 0x1F600)
        for before, after in ((0, 0), (3, 5), (15, 0), (16, 0), (7, 30), (31, 17))
    ]
    texts += [["\\" * length] for length in range(40)] + [["ü" * length + "\n"] for length in range(40)]
    library = compile_variant(*options) if options else load_native()
    assert transcode([make_copy(texts, columns)], columns=columns, library=library) == [
        make_line(text, columns) for text in texts
    ]
    attributes = {"id": "jsonb"}
    objects = [[json.dumps(text, ensure_ascii=False)] for text in texts]
    assert transcode([make_copy(objects, attributes)], columns=attributes, library=library) == [
        make_line(each, attributes) for each in objects
    ]


def test_E1_a_record_has_no_character_at_which_readers_split_lines_and_the_same_value() -> None:
    text = "".join(map(chr, (*range(1, 0xD800), *range(0xE000, 0x11000))))
    columns = {"text": "text", "attributes": "jsonb"}
    row = [text, json.dumps({text: [text]}, ensure_ascii=False)]
    [line] = transcode([make_copy([row], columns)], columns=columns)
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {"text": text, "attributes": {text: [text]}}


@pytest.mark.parametrize("size", [60, 100, 512, 4096, 300_000])
@pytest.mark.parametrize("repeated", ["y", "\u0085", "\u2028z", "zz\u2029", "\U0001f600\u2028"])
def test_E7_long_values_are_written_in_pieces(size: int, repeated: str) -> None:
    columns = {"id": "text", "attributes": "jsonb", "text": "text", "number": "int"}
    row = [f'{repeated}"' * size, json.dumps([repeated * size], ensure_ascii=False), "\1" * size, 7]
    found = transcode([make_copy([row, ["a", None, "", None], row], columns)], columns=columns)
    assert found == [make_line(each, columns) for each in (row, ["a", None, "", None], row)]


def test_E7_every_split_in_two_and_every_single_byte() -> None:
    some_rows: list[Row] = [
        ("a\n", -1, 2**63 - 1, True, '{"a": 1}', datetime(2026, 11, 24, 10, 0, 0, 120_000, tzinfo=UTC)),
        ("", None, None, False, "[]", None),
    ]
    stream, expected = make_copy(some_rows), [make_line(row) for row in some_rows]
    for cut in range(len(stream) + 1):
        assert transcode(split_at(stream, [cut])) == expected
    assert transcode(stream[i : i + 1] for i in range(len(stream))) == expected


INSTANTS = {
    "infinity": 2**63 - 1,
    "-infinity": -(2**63),
    "2000-01-01T00:00:00+00:00": 0,
    "1999-12-31T23:59:59.999999+00:00": -1,
    "2000-02-29T00:00:00.1+00:00": 59 * 86_400_000_000 + 100_000,
    "4714-11-24T00:00:00+00:00 BC": -211_813_488_000_000_000,
    "294276-12-31T23:59:59.999999+00:00": 9_223_371_331_199_999_999,
}


@pytest.mark.parametrize("text", INSTANTS)
def test_E1_instants_at_the_ends_of_the_calendar(text: str) -> None:
    stream = HEADER + pack(">hiq", 1, 8, INSTANTS[text]) + TRAILER
    assert transcode([stream], columns={"at": "timestamptz"}) == [f'{{"at":"{text}"}}\n'.encode()]


def make_single(kind: str, length: int, value: bytes, *, columns: int = 1) -> tuple[str, bytes]:
    return kind, HEADER + pack(">hi", columns, length) + value + TRAILER


HOSTILE = {
    "two columns": make_single("text", 1, b"a", columns=2),
    "no columns": make_single("text", 1, b"a", columns=0),
    "minus two columns": make_single("text", 1, b"a", columns=-2),
    "length of minus two": make_single("text", -2, b""),
    "the smallest length": make_single("text", -(2**31), b""),
    "an int of two bytes": make_single("int", 2, b"ab"),
    "a bigint of four": make_single("bigint", 4, b"abcd"),
    "a bool of none": make_single("bool", 0, b""),
    "json without its version": make_single("jsonb", 0, b""),
    "json of another version": make_single("jsonb", 3, b"\2{}"),
    "an instant of four bytes": make_single("timestamptz", 4, b"abcd"),
    "an instant before the calendar": make_single("timestamptz", 8, pack(">q", -211_813_488_000_000_001)),
    "an instant after the calendar": make_single("timestamptz", 8, pack(">q", 9_223_371_331_200_000_000)),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_E7_impossible_input_is_rejected(case: str) -> None:
    kind, stream = HOSTILE[case]
    with pytest.raises(CopyFormatError, match=r"columns|length or form"):
        transcode([stream], columns={"id": kind})


@pytest.mark.parametrize("length", [1, 1000, 2**31 - 1])
def test_E7_a_value_that_never_arrives_is_reported(length: int) -> None:
    with pytest.raises(CopyFormatError, match="ended before its trailer"):
        transcode([HEADER + pack(">hi", 1, length)], columns={"id": "text"})


@given(rows=rows, cut=st.integers(0, 3000))
def test_E7_a_truncated_copy_is_detected(rows: list[Row], cut: int) -> None:
    stream = make_copy(rows)
    with pytest.raises(CopyFormatError, match="ended before its trailer"):
        transcode([stream[: min(cut, len(stream) - 1)]])


def test_a_library_from_another_source_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(NativeMissing, match="was not built"):
        load(tmp_path / "nothing.so")
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(NativeMissing, match="cannot be loaded"):
        load(tmp_path / "text.so")
    if find_compiler() is not None:
        library = build(tmp_path / "other.so")
        library.write_bytes(library.read_bytes().replace(compute_source_checksum().encode(), b"0" * 64))
        with pytest.raises(NativeMissing, match="another version"):
            load(library)


def test_a_missing_compiler_is_reported_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotBuilt, match="no C compiler"):
        build(tmp_path / "transcode.so")
    assert list(tmp_path.iterdir()) == []


def test_E7_no_input_causes_an_access_outside_its_memory(tmp_path: Path) -> None:
    """A hundred thousand corrupted copies, under the compiler's sanitizers (address and undefined behaviour)."""
    program = find_compiler()
    if program is None:
        pytest.skip("there is no C compiler")
    seed = make_copy(
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
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1", "-std=c11"]
    for options in VARIANTS.values():
        argv = [program, *sanitizers, *options, f"-I{SOURCE.parent}", "-o", str(tmp_path / "fuzz"), str(FUZZER)]
        compiled = subprocess.run(argv, capture_output=True, text=True, check=False)
        if "asan" in compiled.stderr:
            pytest.skip("the compiler comes without its sanitizers")
        assert compiled.returncode == 0, compiled.stderr
        ran = subprocess.run(
            [tmp_path / "fuzz", tmp_path / "seed", "60000"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        complete, rejected = map(int, ran.stdout.split())
        assert complete > 1_000
        assert rejected > 1_000
