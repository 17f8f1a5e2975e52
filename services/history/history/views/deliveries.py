"""Deliveries: the transfer of a run's files to a destination, as lists and details show them (rule D11)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from shared.events.values import DeliveryState, DestinationKind
from shared.postgres import Record

_COPIED = (
    *("run_id", "job_id", "destination_id", "title", "slot", "state", "created_at", "started_at", "ended_at"),
    *("attempt", "retry_at", "give_up_at", "code", "message", "files", "files_done", "bytes", "bytes_sent", "manifest"),
)


class RunDelivery(BaseModel):
    """A delivery of a run's files, as the run shows it."""

    id: UUID
    destination_id: UUID
    destination: str = Field(description="the destination's name; empty if it was not known")
    kind: DestinationKind | None
    state: DeliveryState
    message: str | None = Field(description="why it failed, or why it is being retried")


class Delivery(BaseModel):
    """The transfer of one run's files to one destination."""

    id: UUID
    run_id: UUID
    job_id: UUID
    destination_id: UUID
    destination: str = Field(description="the destination's name when the run succeeded")
    kind: DestinationKind | None = Field(description="what kind of storage it is")
    title: str = Field(description="the job's title when the run was triggered")
    slot: datetime | None = Field(description="the instant at which the run was due")
    state: DeliveryState
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempt: int = Field(description="number of the latest attempt; 0 before the first")
    retry_at: datetime | None = Field(description="when the next attempt may start, after one that failed")
    give_up_at: datetime | None = Field(description="when it fails if it has not been possible")
    code: str | None = Field(description="why it failed, is being retried or was cancelled, as a stable word")
    message: str | None = Field(description="the same as a sentence")
    files: int | None = Field(description="number of files, the manifest not counted")
    files_done: int = Field(description="files that are complete at the destination, the manifest included")
    bytes: int | None = Field(description="size of the files")
    bytes_sent: int | None = Field(description="bytes that were sent in all attempts; null until it is delivered")
    manifest: str | None = Field(description="the manifest's name at the destination; null until it is delivered")


class DeliveryPage(BaseModel):
    """A page of deliveries."""

    items: list[Delivery]
    next: str | None = Field(description="the cursor of the next page; null on the last")


class DeliveredFile(BaseModel):
    """A file that is complete at the destination: its size and SHA-256 were verified there."""

    name: str
    object: str = Field(description="its name at the destination, below the prefix or folder")
    bytes: int
    sha256: str
    sent: bool = Field(description="false when it was already there with this content")
    delivered_at: datetime


class DeliveryTimelineEntry(BaseModel):
    """Something that happened to a delivery."""

    occurred_at: datetime
    kind: str
    details: dict[str, Any]


class DeliveryDetails(Delivery):
    """A delivery with its timeline and its files."""

    deliverer: str | None = Field(description="name of the deliverer that worked on it last")
    events: list[DeliveryTimelineEntry]
    delivered: list[DeliveredFile] = Field(description="the latest 1,000 files that are complete at the destination")


def to_delivery(row: Record) -> Delivery:
    """Return the delivery of a row."""
    return Delivery(**_to_fields(row))


def to_delivery_details(row: Record, entries: list[dict[str, Any]], files: list[dict[str, Any]]) -> DeliveryDetails:
    """Return a delivery with its timeline and files."""
    return DeliveryDetails(
        **_to_fields(row),
        deliverer=row["deliverer"],
        events=[DeliveryTimelineEntry(**each, occurred_at=each["at"]) for each in entries],
        delivered=[DeliveredFile(**each, delivered_at=each["at"]) for each in files],
    )


def _to_fields(row: Record) -> dict[str, Any]:
    ids = {"id": row["delivery_id"], "destination": row["destination_name"], "kind": row["destination_kind"]}
    return {**ids, **{name: row[name] for name in _COPIED}}
