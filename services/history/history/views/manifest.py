"""The manifest of a run: `manifest.json`, as the exporter writes it (rule P5)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from history.views.run_details import RunWindow
from shared.events import FilterCondition
from shared.events.values import Cipher, FileKind, RecordType


class ManifestFile(BaseModel):
    """A file of a run."""

    name: str
    kind: FileKind
    member: str | None = Field(
        None,
        description="the file in the zip, the first of several; of large runs it names slice and part of the slice",
    )
    part: int | None = Field(description="number in a set; null for a single file")
    rows: int
    bytes_raw: int = Field(description="uncompressed bytes")
    bytes_packed: int = Field(description="bytes of the packed and encrypted file")
    sha256: str = Field(description="of the packed and encrypted file, in hex")
    snapshot: str | None = Field(description="the snapshot of the source that it was read from")


class Manifest(BaseModel):
    """The files of a run that succeeded, and what they contain."""

    manifest_version: int = Field(description="2 since it has `encoding`, and `member` of each file")
    schema_version: int = Field(description="version of the JSON Schemas that the records validate against")
    run: UUID
    job: UUID
    tenant: UUID
    title: str
    type: RecordType
    slot: datetime
    window: RunWindow
    data_complete_through: datetime | None
    data_complete_note: str | None = Field(None, description="why that instant is not certain; null where it is")
    snapshot_rows: dict[FileKind, int] = Field(description="records of each kind in the snapshot")
    snapshots: list[str | None] = Field(description="more than one where the run was taken over")
    filter: list[FilterCondition] = Field([], description="the conditions that every record meets; empty: all records")
    recipients: list[str] = Field(description="SHA-256 fingerprints of the recipients' certificates")
    cipher: Cipher
    encoding: Literal["ber"] = Field(
        "ber",
        description="of the files' CMS structure: BER with indefinite lengths; `sluice decrypt --to-der` rewrites a "
        "file for programs that read DER only",
    )
    files: list[ManifestFile]
