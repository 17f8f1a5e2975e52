"""Artifacts: files that can be downloaded, or could before they were removed."""

from datetime import datetime, timedelta
from math import ceil
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.events.values import FileKind
from shared.postgres import Record

ArtifactState = Literal["available", "expired", "deleted"]
_COPIED_OF_SET = ("kind", "files", "available", "rows", "bytes_raw")
_COPIED = (
    *("run_id", "job_id", "title", "type", "name", "kind", "part", "rows", "bytes_raw", "sha256"),
    *("created_at", "removed_at", "removal_fault", "downloads", "downloaded_at"),
)


class FileSet(BaseModel):
    """The files of one kind of a run: a numbered set, or a single file."""

    kind: FileKind
    files: int = Field(description="number of files", examples=[12])
    available: int = Field(description="how many of them can be downloaded", examples=[12])
    rows: int
    bytes_raw: int = Field(description="uncompressed bytes")
    size: int = Field(description="bytes of the packed and encrypted files together")


class Artifact(BaseModel):
    """A file that can be downloaded, or could."""

    id: UUID
    run_id: UUID
    job_id: UUID
    title: str = Field(description="the job's title when the run was triggered")
    type: str
    name: str = Field(examples=["Interaction-0192f0c1-7b1e-7000-8000-000000000002-20261124T100000Z.zip.p7m"])
    kind: FileKind
    part: int | None = Field(description="number in a set; null for a single file")
    rows: int
    bytes_raw: int = Field(description="uncompressed bytes")
    size: int = Field(description="bytes of the packed and encrypted file")
    sha256: str = Field(description="of the packed and encrypted file, in hex")
    created_at: datetime
    expires_at: datetime
    days_remaining: int = Field(description="days until it is removed, rounded up", examples=[30])
    state: ArtifactState
    set_files: int = Field(description="number of files of this kind of the run", examples=[12])
    set_available: int = Field(description="how many of them can be downloaded", examples=[12])
    removed_at: datetime | None
    removal_fault: str | None = Field(
        description="why the object store has not deleted the file, which is tried again; null: it has not refused to"
    )
    downloads: int = Field(description="number of downloads begun")
    downloaded_at: datetime | None


class ArtifactPage(BaseModel):
    """A page of artifacts."""

    items: list[Artifact]
    next: str | None = Field(description="the cursor of the next page; null on the last")


class ArtifactCounts(BaseModel):
    """The number of artifacts by each value of what a list can be filtered by."""

    state: dict[str, int] = Field(examples=[{"available": 240, "expired": 12}])
    type: dict[str, int] = Field(examples=[{"interaction": 252}])


class Link(BaseModel):
    """A link that works without a login."""

    path: str = Field(
        description="path at the address of this API", examples=["/api/v1/artifacts/links/q1w2.../Contact-....zip.p7m"]
    )
    expires_at: datetime


def to_file_set(row: Record) -> FileSet:
    """Return the counts of one kind of file of a run."""
    return FileSet(size=row["bytes_packed"], **{name: row[name] for name in _COPIED_OF_SET})


def to_artifact(row: Record, file_set: FileSet, *, now: datetime, kept: timedelta) -> Artifact:
    """Return an artifact of a tenant that keeps files for `kept`.

    It is `expired` from the instant at which it expires, although its removal may take a moment.
    """
    expires_at = row["created_at"] + kept
    if row["delivered_until"] is not None:
        expires_at = min(expires_at, row["delivered_until"])
    expired = row["state"] == "available" and expires_at <= now
    available = row["state"] == "available" and not expired
    return Artifact(
        id=row["artifact_id"],
        size=row["bytes_packed"],
        expires_at=expires_at,
        days_remaining=max(0, ceil((expires_at - now) / timedelta(days=1))) if available else 0,
        state="expired" if expired else row["state"],
        set_files=file_set.files,
        set_available=file_set.available,
        **{name: row[name] for name in _COPIED},
    )
