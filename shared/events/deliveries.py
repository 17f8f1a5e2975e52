"""`sluice.deliveries`: the transfer of a run's files to the customer's destinations.

As in `sluice.runs`, of two events of a delivery the one with the greater (`token`, `seq`) is newer. Token 0 is the
delivery's creation, before the first claim.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

from shared.events.values import DeliveryState, DestinationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent:
    """The fields of every event of a delivery."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run whose files are delivered."""
    delivery_id: UUID
    """The delivery; derived from run and destination."""
    destination_id: UUID
    """The destination."""
    token: int
    """The fencing token of the claim that wrote the event; rises with each claim, 0 before the first."""
    seq: int
    """Rises with each event of one claim. Of two events, the one with the greater (token, seq) is newer."""
    at: datetime
    """When it happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCreated(DeliveryEvent):
    """A run succeeded, and its files are to be delivered."""

    destination_name: str | None
    """The destination's name; null if the deliverer does not know the destination yet."""
    destination_kind: DestinationKind | None
    """What kind of storage it is; null if the deliverer does not know the destination yet."""
    title: str
    """The job's title when the run was triggered."""
    slot: datetime
    """The instant at which the run was due."""
    files: int
    """Number of files, the manifest not counted."""
    bytes: int
    """The files' size in bytes, the manifest not counted."""
    give_up_at: datetime
    """When the delivery fails if it has not been possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStarted(DeliveryEvent):
    """A deliverer claimed the delivery and starts it, or starts it again."""

    deliverer: str
    """The deliverer's name."""
    attempt: int
    """The attempt's number, from 1; a takeover does not count as an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDelivered(DeliveryEvent):
    """A file is complete at the destination: its size and SHA-256 were verified there."""

    name: str
    """The file's name; `manifest.json` for the manifest, which is the last."""
    object: str
    """The object's name at the destination, below its prefix or folder."""
    bytes: int
    """The file's size in bytes."""
    sha256: str
    """SHA-256 of the file, 64 hexadecimal digits."""
    sent: bool
    """Whether it was sent now; false when it was already there with this content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttemptFailed(DeliveryEvent):
    """An attempt failed; the delivery waits for the next."""

    attempt: int
    """The attempt's number, from 1."""
    code: str
    """The error's stable code."""
    message: str
    """The error as a sentence for people."""
    retry_at: datetime
    """When the next attempt may start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHandedBack(DeliveryEvent):
    """A deliverer that is shutting down handed the delivery back; neither a failure nor an attempt."""

    deliverer: str
    """The deliverer's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCompleted(DeliveryEvent):
    """The destination has all files, and then the manifest."""

    files: int
    """Number of files, the manifest not counted."""
    bytes: int
    """The files' size in bytes, the manifest not counted."""
    bytes_sent: int
    """Bytes that were sent to the destination in all attempts, the manifest included."""
    manifest: str
    """The manifest's name at the destination, below its prefix or folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(DeliveryEvent):
    """The delivery was given up; a user can request another try."""

    attempt: int
    """The number of the last attempt, from 1; 0 when there was none."""
    code: str
    """The error's stable code."""
    message: str
    """The error as a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCancelled(DeliveryEvent):
    """The delivery was cancelled. Objects that are already at the destination stay; there is no manifest."""

    reason: Literal["requested", "destination-deleted"]
    """Whether a user requested it, or the destination was deleted."""
    requested_by: UUID | None
    """The user who requested it; null when no user did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRetried(DeliveryEvent):
    """A user requested another try of a delivery that had failed or had been cancelled; nothing is exported again."""

    requested_by: UUID | None
    """The user who requested it; null when no user did."""
    give_up_at: datetime
    """When the delivery fails if it has not been possible."""


_STATE_AFTER: dict[type[DeliveryEvent], DeliveryState] = {
    DeliveryCreated: "pending",
    DeliveryStarted: "delivering",
    DeliveryAttemptFailed: "pending",
    DeliveryHandedBack: "pending",
    DeliveryCompleted: "delivered",
    DeliveryFailed: "failed",
    DeliveryCancelled: "cancelled",
    DeliveryRetried: "pending",
}


def delivery_state_after(event: DeliveryEvent) -> DeliveryState | None:
    """Return the state in which an event leaves its delivery, or None where it does not change the state (rule D6)."""
    return _STATE_AFTER.get(type(event))


def derive_delivery_id(run_id: UUID, destination_id: UUID) -> UUID:
    """Return the id of the delivery of a run's files to a destination; there is never more than one."""
    return uuid5(run_id, str(destination_id))
