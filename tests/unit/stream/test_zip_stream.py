"""Streamed zip archives, opened by every program that has to."""

import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from os import environ
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.package.zip_stream import ZipStream
from shared.events.values import Compression

AT = datetime(2026, 11, 24, 10, 0, 30, tzinfo=UTC)
NAMES = ["Contact-ä-1.jsonl", "Contact-ä-1_0002.jsonl", "Contact-ä-1_0003.jsonl"]
JAVA_READER = """
import java.io.*;
import java.nio.file.*;
import java.util.zip.*;
class Reader {
    public static void main(String[] args) throws Exception {
        try (var zip = new ZipInputStream(new FileInputStream(args[0]))) {
            for (var entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry())
                Files.copy(zip, Path.of(args[1], entry.getName()));
        }
    }
}
"""

UTF8_LOCALE = {**environ, "LC_ALL": "C.UTF-8"}

jdk = shutil.which("javac")
# A short-lived Java spends most of its time on compilers and collectors that pay off later only.
JAVA_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dsun.jnu.encoding=UTF-8"]


def make_archive(members: list[list[bytes]], compression: Compression = "fast") -> bytes:
    stream = ZipStream(AT, compression)
    packed = []
    for index, pieces in enumerate(members):
        packed.append(stream.begin(NAMES[index]))
        packed.extend(map(stream.write, pieces))
    return b"".join((*packed, stream.finish()))


@pytest.fixture(params=get_args(Compression))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "file.zip"
    path.write_bytes(make_archive([[CONTENT], [], [b"small"]], request.param))
    return path


@pytest.fixture(scope="module")
def java_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the compiled reader."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "Reader.java").write_text(JAVA_READER)
    options = [f"-J{option}" for option in JAVA_OPTIONS]
    subprocess.run(["javac", *options, folder / "Reader.java"], check=True, capture_output=True)
    return folder


CONTENT = b"".join(b'{"id":"%d","text":"the same words again and again"}\n' % number for number in range(40_000))


def check_members(folder: Path) -> None:
    assert [(folder / name).read_bytes() for name in NAMES] == [CONTENT, b"", b"small"]


def test_P7_python_opens_it(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == NAMES
        assert {member.date_time for member in opened.infolist()} == {(2026, 11, 24, 10, 0, 30)}
        opened.extractall(tmp_path)
    check_members(tmp_path)


def test_P7_unzip_opens_it(file: Path, tmp_path: Path) -> None:
    tested = subprocess.run(["unzip", "-t", file], check=True, capture_output=True, text=True)
    assert "No errors detected" in tested.stdout
    # Without a UTF-8 locale unzip writes names with umlauts in its own way.
    subprocess.run(["unzip", "-q", file, "-d", tmp_path], check=True, env=UTF8_LOCALE)
    check_members(tmp_path)


@pytest.mark.skipif(shutil.which("7z") is None, reason="7z is not installed")
def test_P7_7z_opens_it(file: Path, tmp_path: Path) -> None:
    subprocess.run(["7z", "x", f"-o{tmp_path}", file], check=True, capture_output=True)
    check_members(tmp_path)


@pytest.mark.skipif(jdk is None, reason="needs a Java compiler (JDK)")
def test_P7_javas_stream_reader_opens_it(file: Path, tmp_path: Path, java_reader: Path) -> None:
    call: list[str | Path] = ["java", *JAVA_OPTIONS, "-cp", java_reader, "Reader", file, tmp_path]
    subprocess.run(call, check=True, capture_output=True, env=UTF8_LOCALE)
    check_members(tmp_path)


@given(members=st.lists(st.lists(st.binary(max_size=300), max_size=5), min_size=1, max_size=3))
def test_P7_any_content_in_any_pieces_is_restored(members: list[list[bytes]]) -> None:
    with zipfile.ZipFile(BytesIO(make_archive(members))) as opened:
        assert [opened.read(name) for name in opened.namelist()] == [b"".join(pieces) for pieces in members]


def test_P7_members_are_plain_zip_with_data_descriptors() -> None:
    packed = make_archive([[CONTENT], [b"small"]])
    with zipfile.ZipFile(BytesIO(packed)) as opened:
        for member in opened.infolist():
            assert member.flag_bits & 0x0808 == 0x0808
            assert member.extract_version == 20
            assert member.extra == b""
            local = packed[member.header_offset :]
            assert local[:4] == b"PK\x03\x04"
            assert int.from_bytes(local[28:30], "little") == 0  # no extra field, so no zip64
    assert b"PK\x06\x06" not in packed


def test_E1_the_same_data_gives_the_same_bytes() -> None:
    assert make_archive([[CONTENT]]) == make_archive([[CONTENT]])


@pytest.mark.parametrize("program", ["python", "unzip"])
def test_P7_members_beyond_4_gib_need_zip64_in_the_directory_only(tmp_path: Path, program: str) -> None:
    stream = ZipStream(AT)
    before = 4_400_000_000
    stream._offset = before  # as after that many bytes of earlier members
    packed = (
        stream.begin(NAMES[0])
        + stream.write(CONTENT)
        + stream.begin(NAMES[1])
        + stream.write(b"small")
        + stream.finish()
    )
    assert b"PK\x06\x06" in packed
    path = tmp_path / "file.zip"
    with path.open("wb") as file:
        file.seek(before)  # a hole, which uses no disk space
        file.write(packed)
    if program == "unzip":
        subprocess.run(["unzip", "-t", path], check=True, capture_output=True)
        return
    with zipfile.ZipFile(path) as opened:
        assert opened.read(NAMES[0]) == CONTENT
        assert opened.read(NAMES[1]) == b"small"
        assert {member.extract_version for member in opened.infolist()} == {45}


def test_P7_room_is_checked_before_a_member_would_exceed_its_limit() -> None:
    stream = ZipStream(AT, member_limit=10_000)
    stream.begin(NAMES[0])
    assert stream.has_room(50_000), "an empty member accepts any record: no other has more room"
    stream.write(bytes(6_000))
    assert stream.has_room(3_000)
    assert not stream.has_room(4_001)


def test_P7_content_needs_a_member() -> None:
    with pytest.raises(ValueError, match="no member"):
        ZipStream(AT).write(b"x")
