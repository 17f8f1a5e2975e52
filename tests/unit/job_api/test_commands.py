"""The commands that pages print work as printed (rules C1, P2 and P3)."""

import subprocess
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from exporter.package.cms import EnvelopeEncoder
from job_api.pages.kit.commands import PrintedCommand, certificate_commands, opening_commands
from shared.certificates import accept_certificate
from tests.unit.stream.officers import officer

RECORDS = b'{"id":"1"}\n' * 1000
FILE = "Contact-job-20261124T100000Z.zip.p7m"
PASSPHRASE = "correct horse\n"


def find(commands: tuple[PrintedCommand, ...], platform: str) -> PrintedCommand:
    return next(each for each in commands if each.platform == platform)


def run(command: PrintedCommand, folder: Path, answers: str) -> None:
    """Run a command as printed, without a terminal, so that it reads passphrases from standard input."""
    call = ["setsid", "--wait", "sh", "-ec", command.text]
    done = subprocess.run(call, cwd=folder, input=answers, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the key and the certificate that the printed command makes."""
    made = tmp_path_factory.mktemp("officer")
    run(find(certificate_commands(), "Linux"), made, PASSPHRASE * 2)
    return made


def test_C1_the_printed_command_makes_an_accepted_certificate_and_a_private_key_file(folder: Path) -> None:
    certificate = accept_certificate((folder / "officer.cert.pem").read_bytes(), at=datetime.now(UTC))
    assert certificate.note is None
    assert certificate.public_key.key_size == 3072
    key = folder / "officer.key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in key.read_bytes()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_P3_the_printed_command_opens_a_file_of_three_recipients(folder: Path, tmp_path: Path, position: int) -> None:
    ours = accept_certificate((folder / "officer.cert.pem").read_bytes(), at=datetime.now(UTC))
    recipients = [officer("a").recipient, officer("b").recipient]
    recipients.insert(position, ours)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Contact.jsonl", RECORDS)
    encoder = EnvelopeEncoder(recipients, "aes-256-cbc")
    (tmp_path / FILE).write_bytes(encoder.start() + encoder.update(packed.getvalue()) + encoder.finish())
    for name in ("officer.key.pem", "officer.cert.pem"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    run(find(opening_commands(FILE), "Linux"), tmp_path, PASSPHRASE)
    assert (tmp_path / "Contact.jsonl").read_bytes() == RECORDS
