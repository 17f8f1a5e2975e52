"""Every command that documents and pages print opens the file for each of its recipients (rules P2 and P3).

`make openssl-newest` runs these tests with a newer OpenSSL than the system's.
"""

import re
import subprocess
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest

from exporter.package.cms import EnvelopeEncoder
from shared.events.values import Cipher
from tests.unit.stream.officers import officer

ROOT = Path(__file__).parents[3]
FOLDERS = ("docs", "shared", "services", "client", "deploy")
KINDS = {".md", ".html", ".py", ".json"}
PRINTED = re.compile(r"openssl (?:cms|smime) -decrypt [^`|\n]*")
RECORDS = b'{"id":"1"}\n' * 1000
FILE = "Interaction-....zip.p7m"


def find_printed_commands() -> Iterator[tuple[str, str]]:
    """Yield each command that decrypts, with the path of the file that prints it."""
    paths = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    for path in paths:
        if path.suffix in KINDS and ".venv" not in path.parts:
            for found in PRINTED.findall(path.read_text(encoding="utf-8")):
                if " -in" in found:
                    yield path.relative_to(ROOT).as_posix(), found


def read_readme_commands() -> list[str]:
    """Return the commands of the README's section about opening an export."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Opening an export")[2]
    return [line for line in section.split("```")[1].splitlines() if line.startswith("openssl")]


def test_P3_every_printed_command_names_the_recipient() -> None:
    printed = list(find_printed_commands())
    assert len({path for path, _ in printed}) >= 2
    assert [each for each in printed if "-recip" not in each[1]] == []


@pytest.mark.parametrize("cipher", get_args(Cipher))
@pytest.mark.parametrize("names", [("a", "b", "c"), ("P-256", "P-384"), ("a", "P-521", "b")])
def test_P3_the_commands_of_the_readme_open_the_file_for_each_recipient(
    tmp_path: Path, cipher: Cipher, names: tuple[str, ...]
) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Interaction.jsonl", RECORDS)
    encoder = EnvelopeEncoder([officer(name).recipient for name in names], cipher)
    (tmp_path / FILE).write_bytes(encoder.start() + encoder.update(packed.getvalue()) + encoder.finish())
    [command] = read_readme_commands()
    for name in names:
        (tmp_path / "officer.key.pem").write_bytes(officer(name).key_pem())
        (tmp_path / "officer.cert.pem").write_bytes(officer(name).pem)
        subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
        with zipfile.ZipFile(tmp_path / "records.zip") as opened:
            assert opened.read("Interaction.jsonl") == RECORDS
