"""`sluice decrypt`: complete files or nothing."""

import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner, Result

from exporter.package.cms import EnvelopeEncoder
from shared.events.values import Cipher
from sluice.main import app
from tests.unit.stream.officers import officer

NAME = "Contact-job-20261124T100000Z"
RECORDS = b'{"id":"1"}\n' * 5000


def make_archive(members: dict[str, bytes]) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return target.getvalue()


def encrypt(content: bytes, cipher: Cipher = "aes-256-cbc") -> bytes:
    encoder = EnvelopeEncoder([officer("a").recipient], cipher)
    return encoder.start() + encoder.update(content) + encoder.finish()


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / f"{NAME}.zip.p7m"
    path.write_bytes(encrypt(make_archive({f"{NAME}.jsonl": RECORDS})))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def decrypt(*files: Path, out: Path, options: tuple[str, ...] = (), name: str = "a") -> Result:
    key, certificate = officer(name).write_to(files[0].parent / name)
    call = ["decrypt", *map(str, files), "--key", str(key), "--output", str(out), *options]
    return CliRunner().invoke(app, [*call, "--cert", str(certificate)])


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files in the folder, including hidden ones."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_P2_a_file_is_decrypted_and_unpacked(artifact: Path, out: Path) -> None:
    result = decrypt(artifact, out=out)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out / f"{NAME}.jsonl")
    assert contents(out) == {f"{NAME}.jsonl": RECORDS}


def test_P7_several_members_are_unpacked_as_several_files(tmp_path: Path, out: Path) -> None:
    members = {f"{NAME}.jsonl": RECORDS, f"{NAME}_0002.jsonl": b"second\n"}
    artifact = tmp_path / f"{NAME}.zip.p7m"
    artifact.write_bytes(encrypt(make_archive(members), "aes-256-gcm"))
    assert decrypt(artifact, out=out).exit_code == 0
    assert contents(out) == members


def test_P2_the_archive_is_kept_on_request(artifact: Path, out: Path) -> None:
    assert decrypt(artifact, out=out, options=("--keep-zip",)).exit_code == 0
    assert sorted(contents(out)) == [f"{NAME}.jsonl", f"{NAME}.zip"]
    with zipfile.ZipFile(out / f"{NAME}.zip") as kept:
        assert kept.read(f"{NAME}.jsonl") == RECORDS


@pytest.mark.parametrize("options", [(), ("--keep-zip",)])
def test_P2_nothing_is_overwritten_unless_forced(artifact: Path, out: Path, options: tuple[str, ...]) -> None:
    out.mkdir()
    (out / f"{NAME}.jsonl").write_bytes(b"mine")
    result = decrypt(artifact, out=out, options=options)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert contents(out) == {f"{NAME}.jsonl": b"mine"}
    assert decrypt(artifact, out=out, options=(*options, "--force")).exit_code == 0
    assert contents(out)[f"{NAME}.jsonl"] == RECORDS


def test_P2_a_wrong_key_is_rejected(artifact: Path, out: Path) -> None:
    result = decrypt(artifact, out=out, name="stranger")
    assert result.exit_code == 1
    assert "encrypted for other certificates" in result.stderr
    assert contents(out) == {}


@pytest.mark.parametrize("cipher", get_args(Cipher))
@pytest.mark.parametrize("cut", [1, 16, 100, 300])
def test_P2_a_truncated_file_leaves_nothing(artifact: Path, out: Path, cut: int, cipher: Cipher) -> None:
    artifact.write_bytes(encrypt(make_archive({"x.jsonl": RECORDS}), cipher)[:-cut])
    assert decrypt(artifact, out=out).exit_code == 1
    assert contents(out) == {}


def test_P2_a_damaged_archive_leaves_nothing(artifact: Path, out: Path) -> None:
    # Stored without compression, so that only the checksum can detect the change.
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as stored:
        stored.writestr("good.jsonl", RECORDS)
        stored.writestr("bad.jsonl", b"the original words")
    artifact.write_bytes(encrypt(packed.getvalue().replace(b"original", b"tampered")))
    result = decrypt(artifact, out=out)
    assert result.exit_code == 1
    assert "not a complete zip archive" in result.stderr
    assert contents(out) == {}


@pytest.mark.parametrize("name", ["../evil.jsonl", "/etc/evil", "folder/evil.jsonl", "..", "a\\b"])
def test_P2_a_member_cannot_choose_another_folder(artifact: Path, out: Path, name: str) -> None:
    artifact.write_bytes(encrypt(make_archive({"good.jsonl": RECORDS, name: b"evil"})))
    result = decrypt(artifact, out=out)
    assert result.exit_code == 1
    assert "unsafe" in result.stderr
    assert contents(out) == {}


def test_P2_content_that_is_not_an_archive_is_reported(artifact: Path, out: Path) -> None:
    artifact.write_bytes(encrypt(b"just text"))
    result = decrypt(artifact, out=out)
    assert result.exit_code == 1
    assert "not a complete zip archive" in result.stderr


def test_P2_one_bad_file_does_not_stop_the_others(artifact: Path, tmp_path: Path, out: Path) -> None:
    bad = tmp_path / "bad.zip.p7m"
    bad.write_bytes(b"noise")
    result = decrypt(bad, artifact, out=out)
    assert result.exit_code == 1
    assert "bad.zip.p7m" in result.stderr
    assert contents(out) == {f"{NAME}.jsonl": RECORDS}


def test_P2_a_passphrase_is_read_from_a_file(artifact: Path, tmp_path: Path, out: Path) -> None:
    key, passphrase = tmp_path / "locked.pem", tmp_path / "passphrase"
    key.write_bytes(officer("a").key_pem(b"open sesame"))
    passphrase.write_text("open sesame\n")
    call = ["decrypt", str(artifact), "--key", str(key), "--output", str(out)]
    locked = CliRunner().invoke(app, call)
    assert locked.exit_code == 1
    assert "pass its passphrase" in locked.stderr
    assert CliRunner().invoke(app, [*call, "--passphrase-file", str(passphrase)]).exit_code == 0
    assert contents(out) == {f"{NAME}.jsonl": RECORDS}


def test_P2_a_password_protected_archive_is_named(artifact: Path, out: Path) -> None:
    archive = artifact.with_name("locked.zip")
    records = artifact.with_name("records.jsonl")
    records.write_bytes(RECORDS)
    # Neither zip nor Python can be counted on to write one; 7z is installed for the tests.
    subprocess.run(["7z", "a", "-psecret", archive, records], check=True, capture_output=True)
    artifact.write_bytes(encrypt(archive.read_bytes()))
    result = decrypt(artifact, out=out)
    assert result.exit_code == 1
    assert "protected with a password; keep it with --keep-zip" in result.stderr
    assert contents(out) == {}
    result = decrypt(artifact, out=out, options=("--keep-zip",))
    assert result.exit_code == 1
    assert "It was kept as" in result.stderr
    assert contents(out) == {f"{NAME}.zip": archive.read_bytes()}


@pytest.mark.parametrize("flags", [b"\0\x08", b"\xff\xff", b"\x20\0", b"\1\0"])
@pytest.mark.parametrize("name", [b"\xff\xfe.jsonl", b"a\0b.jsonl\0", b"\x1b[31mx.jsn", b"x" * 10])
def test_P2_damaged_names_and_flags_leave_nothing(artifact: Path, out: Path, name: bytes, flags: bytes) -> None:
    packed = make_archive({"x" * len(name): RECORDS}).replace(b"x" * len(name), name)
    for offset in (packed.index(b"PK\3\4") + 6, packed.index(b"PK\1\2") + 8):
        packed = packed[:offset] + flags + packed[offset + 2 :]
    artifact.write_bytes(encrypt(packed))
    result = decrypt(artifact, out=out)
    assert result.exit_code == (0 if (name, flags) == (b"x" * 10, b"\0\x08") else 1)
    assert isinstance(result.exception, SystemExit | None)
    assert len(contents(out)) == (result.exit_code == 0)


def open_closed_pipe() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.parametrize("command", ["decrypt", "decrypt --to-der", "--help"])
def test_P2_full_and_closed_output_end_in_a_sentence(artifact: Path, out: Path, command: str) -> None:
    key, _ = officer("a").write_to(artifact.parent)
    arguments: list[str | Path] = [] if command == "--help" else [artifact, "--key", key, "--output", out]
    call: list[str | Path] = [Path(sys.executable).with_name("sluice"), *command.split(), *arguments]
    outputs = [os.open("/dev/full", os.O_WRONLY), *([open_closed_pipe()] if arguments else [])]
    for output in outputs:
        done = subprocess.run(call, stdout=output, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
        os.close(output)
        assert done.returncode == 1
        assert done.stderr.startswith("sluice: Standard output cannot be written: ")
        assert done.stderr.count("\n") == 1
        for written in out.glob("*"):
            written.unlink()


def test_P2_an_output_folder_that_cannot_be_written_is_a_sentence(artifact: Path) -> None:
    result = decrypt(artifact, out=Path("/proc/none"))
    assert result.exit_code == 1
    assert result.stderr == "sluice: /proc/none: No such file or directory.\n"


def test_P8_an_archive_is_unpacked_without_being_written(artifact: Path, out: Path) -> None:
    # Larger than the limit on a file's size, under which only the records are written.
    records = os.urandom(200_000)
    artifact.write_bytes(encrypt(make_archive({"a.jsonl": records, "b.jsonl": records})))
    key, _ = officer("a").write_to(artifact.parent)
    sluice = Path(sys.executable).with_name("sluice")
    script = f"ulimit -f 300; {sluice} decrypt {artifact} --key {key} --output {out}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert contents(out) == {"a.jsonl": records, "b.jsonl": records}


def test_P2_moving_into_place_is_all_or_nothing(artifact: Path, out: Path) -> None:
    artifact.write_bytes(encrypt(make_archive({"a.jsonl": RECORDS, "b.jsonl": RECORDS})))
    (out / "b.jsonl").mkdir(parents=True)
    result = decrypt(artifact, out=out, options=("--force",))
    assert result.exit_code == 1
    assert "b.jsonl: Is a directory." in result.stderr
    assert contents(out) == {}
