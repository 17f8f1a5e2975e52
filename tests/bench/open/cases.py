"""What is opened: files as the exporter writes them, and the keys of their recipients."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exporter.package.cms import EnvelopeEncoder
from exporter.package.zip_stream import ZipStream
from shared.events.values import Cipher, Compression
from tests.unit.stream.officers import officer

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
RECORDS = b"".join(json.dumps({"id": f"{number:06}", "text": "Grüße“"}).encode() + b"\n" for number in range(5_000))


@dataclass(frozen=True, slots=True)
class EnvelopeCase:
    """Encrypted files, and the names of the officers of whom each opens every one of them."""

    name: str
    recipients: Sequence[str]
    cipher: Cipher = "aes-256-cbc"
    parts: int = 1


@dataclass(frozen=True, slots=True)
class ArchiveCase:
    """A zip archive of this many members, each with the records or nothing."""

    name: str
    members: int = 1
    compression: Compression = "fast"
    is_empty: bool = False


ENVELOPES = (
    EnvelopeCase("RSA, one", ["a"]),
    EnvelopeCase("RSA, several", ["a", "b", "c"]),
    EnvelopeCase("EC", ["P-256", "P-384", "P-521"]),
    EnvelopeCase("mixed", ["a", "P-256", "b", "P-384"]),
    EnvelopeCase("GCM, RSA", ["a", "b"], "aes-256-gcm"),
    EnvelopeCase("GCM, EC", ["P-256", "a"], "aes-256-gcm"),
    EnvelopeCase("split", ["a", "b"], parts=2),
)
ARCHIVES = (
    ArchiveCase("one member"),
    ArchiveCase("several members", members=3),
    ArchiveCase("small", compression="small"),
    ArchiveCase("empty", is_empty=True),
)


def write_envelopes(case: EnvelopeCase, folder: Path) -> list[tuple[Path, bytes]]:
    """Write the files of a case, and return each with its content."""
    files = []
    for number in range(1, case.parts + 1):
        content = build_archive(ArchiveCase("", members=number))
        encoder = EnvelopeEncoder([officer(name).recipient for name in case.recipients], case.cipher)
        path = folder / f"{number}" / "records.zip.p7m"
        path.parent.mkdir()
        path.write_bytes(encoder.start() + encoder.update(content) + encoder.finish())
        files.append((path, content))
    return files


def build_archive(case: ArchiveCase) -> bytes:
    """Return a zip archive as the exporter writes it."""
    stream = ZipStream(AT, case.compression)
    written = []
    for number in range(1, case.members + 1):
        written.append(stream.begin(f"Interaction_{number:04}.jsonl"))
        written.append(stream.write(b"" if case.is_empty else RECORDS))
    return b"".join((*written, stream.finish()))


def expect_content(case: ArchiveCase) -> bytes:
    """Return what the members of an archive contain together."""
    return b"" if case.is_empty else RECORDS * case.members
