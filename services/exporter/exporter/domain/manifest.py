"""The manifest: the content of `manifest.json`, the commit point of a run's files (rule P5)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from exporter.domain.parts import FinishedPart
from shared.events import ExportedFile, JobSettings, Window
from shared.events.values import FileKind

MANIFEST_VERSION = 2
"""Rises with new keys: 2 has `encoding`, and the `member` of each file."""

FILE_ENCODING = "ber"
"""How the files' CMS structure is encoded: with indefinite lengths, which readers of DER alone refuse (rule P2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestHeader:
    """A manifest's content apart from its files.

    `schema_version` is that of the records' JSON Schemas (E4), `snapshot_rows` the rows that the snapshots contained,
    `recipients` the SHA-256 fingerprints (hex) of the recipients' certificates.
    """

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime
    window: Window
    schema_version: int
    snapshot_rows: Mapping[FileKind, int]
    recipients: Sequence[str]
    data_complete_through: datetime | None
    data_complete_note: str | None = None


def build_manifest(
    header: ManifestHeader, files: Sequence[ExportedFile], parts: Sequence[FinishedPart], *, settings: JobSettings
) -> dict[str, Any]:
    """Return the content of `manifest.json`, ready for JSON.

    `parts` are those that became `files`, in the same order. More than one snapshot means that the run was taken over.
    Raises ValueError when there are not as many parts as files.
    """
    return {
        "manifest_version": MANIFEST_VERSION,
        "schema_version": header.schema_version,
        "run": str(header.run_id),
        "job": str(header.job_id),
        "tenant": str(header.tenant_id),
        "title": settings.title,
        "type": settings.type,
        "slot": _format_instant(header.slot),
        "window": {"start": _format_instant(header.window.start), "end": _format_instant(header.window.end)},
        "data_complete_through": _format_instant(header.data_complete_through),
        "data_complete_note": header.data_complete_note,
        "snapshot_rows": dict(header.snapshot_rows),
        "snapshots": list(dict.fromkeys(part.snapshot for part in parts)),
        "filter": [asdict(condition) for condition in settings.filter or ()],
        "recipients": list(header.recipients),
        "cipher": settings.cipher,
        "encoding": FILE_ENCODING,
        "files": [
            {
                "name": file.name,
                "kind": file.kind,
                "member": _name_member(part),
                "part": file.part,
                "rows": file.rows,
                "bytes_raw": file.bytes_raw,
                "bytes_packed": file.bytes_packed,
                "sha256": file.sha256,
                "snapshot": part.snapshot,
            }
            for file, part in zip(files, parts, strict=True)
        ],
    }


def _name_member(part: FinishedPart) -> str:
    """Return the name of the first zip member, which was packed under the name that the object has."""
    return f"{part.object.rpartition('/')[2].removesuffix('.zip.p7m')}.jsonl"


def _format_instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
