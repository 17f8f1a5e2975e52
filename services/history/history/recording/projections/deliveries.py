"""Deliveries: from a delivery of the log and an event to the delivery after it (rules D6, D11, H8).

`sluice.deliveries` alone reports them, and an event whose (token, seq) is not greater than the last one is ignored.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared import events
from shared.events.values import DeliveryState, DestinationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDelivery:
    """The transfer of a run's files to a destination, up to the event (`token`, `seq`)."""

    delivery_id: UUID
    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    destination_id: UUID
    token: int
    seq: int
    created_at: datetime
    state: DeliveryState = "pending"
    destination_name: str = ""
    destination_kind: DestinationKind | None = None
    title: str = ""
    slot: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempt: int = 0
    deliverer: str | None = None
    retry_at: datetime | None = None
    give_up_at: datetime | None = None
    code: str | None = None
    message: str | None = None
    files: int | None = None
    bytes: int | None = None
    bytes_sent: int | None = None
    manifest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEntry:
    """An entry of a delivery's timeline."""

    delivery_id: UUID
    token: int
    seq: int
    kind: str
    at: datetime
    details: dict[str, str | int | None]


@dataclass(slots=True)
class DeliveryChanges:
    """What a batch of events changes in the log; files by delivery and name."""

    deliveries: dict[UUID, LoggedDelivery] = field(default_factory=dict)
    entries: list[DeliveryEntry] = field(default_factory=list)
    files: dict[tuple[UUID, str], events.FileDelivered] = field(default_factory=dict)


# The kind of an event's timeline entry, and the fields that make up its details.
_ENTRIES: dict[type[events.DeliveryEvent], tuple[str, tuple[str, ...]]] = {
    events.DeliveryCreated: ("created", ("files", "bytes")),
    events.DeliveryStarted: ("started", ("deliverer", "attempt")),
    events.DeliveryAttemptFailed: ("attempt-failed", ("attempt", "code", "message")),
    events.DeliveryHandedBack: ("handed-back", ("deliverer",)),
    events.DeliveryCompleted: ("delivered", ("files", "bytes", "bytes_sent", "manifest")),
    events.DeliveryFailed: ("failed", ("attempt", "code", "message")),
    events.DeliveryCancelled: ("cancelled", ("reason",)),
    events.DeliveryRetried: ("retried", ()),
}


def apply_delivery(delivery: LoggedDelivery | None, event: events.DeliveryEvent) -> LoggedDelivery | None:
    """Return the delivery after an event, or None for an event that is old or a duplicate."""
    if delivery is not None and (event.token, event.seq) <= (delivery.token, delivery.seq):
        return None
    before = delivery or LoggedDelivery(
        delivery_id=event.delivery_id,
        run_id=event.run_id,
        job_id=event.job_id,
        tenant_id=event.tenant_id,
        destination_id=event.destination_id,
        token=event.token,
        seq=event.seq,
        created_at=event.at,
    )
    state = events.delivery_state_after(event) or before.state
    return replace(before, token=event.token, seq=event.seq, state=state, **_changes(before, event))


def apply_deliveries(
    deliveries: dict[UUID, LoggedDelivery], batch: Iterable[events.DeliveryEvent]
) -> tuple[DeliveryChanges, Counter[str]]:
    """Apply events in turn to `deliveries`, which is updated; return the changes, and the events by outcome."""
    changes, outcomes = DeliveryChanges(), Counter[str]()
    for event in batch:
        after = apply_delivery(deliveries.get(event.delivery_id), event)
        outcomes["applied" if after else "ignored"] += 1
        if after is None:
            continue
        deliveries[event.delivery_id] = changes.deliveries[event.delivery_id] = after
        if isinstance(event, events.FileDelivered):
            changes.files[event.delivery_id, event.name] = event
        else:
            changes.entries.append(_to_entry(event))
    return changes, outcomes


def _changes(before: LoggedDelivery, event: events.DeliveryEvent) -> dict[str, Any]:
    match event:
        case events.DeliveryCreated():
            return {
                "destination_name": event.destination_name or "",
                "destination_kind": event.destination_kind,
                **{name: getattr(event, name) for name in ("title", "slot", "files", "bytes", "give_up_at")},
            }
        case events.DeliveryStarted():
            attempt = {"deliverer": event.deliverer, "attempt": event.attempt, "retry_at": None}
            return {"started_at": before.started_at or event.at, **attempt}
        case events.DeliveryAttemptFailed():
            failure = {"code": event.code, "message": event.message}
            return {"attempt": event.attempt, "retry_at": event.retry_at, **failure}
        case events.DeliveryRetried():
            again = {"code": None, "message": None, "ended_at": None, "retry_at": None}
            return {"give_up_at": event.give_up_at, **again}
        case events.FileDelivered() | events.DeliveryHandedBack():
            return {}
    return {"ended_at": event.at, "retry_at": None, **_end(event)}


def _end(event: events.DeliveryEvent) -> dict[str, Any]:
    match event:
        case events.DeliveryCompleted():
            done = {name: getattr(event, name) for name in ("files", "bytes", "bytes_sent", "manifest")}
            return {"code": None, "message": None, **done}
        case events.DeliveryFailed():
            return {"attempt": event.attempt, "code": event.code, "message": event.message}
        case events.DeliveryCancelled():
            return {"code": event.reason, "message": None}
    return {}


def _to_entry(event: events.DeliveryEvent) -> DeliveryEntry:
    kind, names = _ENTRIES[type(event)]
    details = {name: getattr(event, name) for name in names}
    return DeliveryEntry(
        delivery_id=event.delivery_id, token=event.token, seq=event.seq, kind=kind, at=event.at, details=details
    )
