"""The events on Kafka: one frozen class for each type and version, one module for each topic, one registry of them all.

A reader rejects a type or version that is not in `REGISTRY`; a class is never looked up by a name from the wire.
"""

from shared.events.audit import AuditRecorded
from shared.events.certificates import CertificateDeleted, CertificateSaved, CertificateTombstone
from shared.events.commands import CancelDelivery, CancelRun, RetryDelivery, RunNow
from shared.events.deliveries import (
    DeliveryAttemptFailed,
    DeliveryCancelled,
    DeliveryCompleted,
    DeliveryCreated,
    DeliveryEvent,
    DeliveryFailed,
    DeliveryHandedBack,
    DeliveryRetried,
    DeliveryStarted,
    FileDelivered,
    delivery_state_after,
    derive_delivery_id,
)
from shared.events.destinations import (
    DestinationDeleted,
    DestinationSaved,
    DestinationTested,
    DestinationTombstone,
    RunDestinationTest,
)
from shared.events.estimates import RunEstimated
from shared.events.identities import IdentityDeleted, IdentitySaved, IdentityTombstone
from shared.events.jobs import JobDeleted, JobSaved, JobTombstone
from shared.events.progress import RunProgressed
from shared.events.runs import (
    FilesExpired,
    PartFinished,
    RunAttemptFailed,
    RunCancelled,
    RunEvent,
    RunFailed,
    RunHandedBack,
    RunQueued,
    RunRemoved,
    RunSkipped,
    RunStarted,
    RunSucceeded,
    RunSucceededV1,
    state_after,
)
from shared.events.triggers import SlotSkipped, SlotTriggered
from shared.events.values import (
    DeliverySettings,
    DestinationAddress,
    ExportedFile,
    FilterCondition,
    JobSettings,
    Schedule,
    SealedCredentials,
    Timeframe,
    Window,
)

Event = (
    JobSaved
    | JobDeleted
    | JobTombstone
    | CertificateSaved
    | CertificateDeleted
    | CertificateTombstone
    | IdentitySaved
    | IdentityDeleted
    | IdentityTombstone
    | SlotTriggered
    | SlotSkipped
    | CancelRun
    | RunNow
    | RunQueued
    | RunStarted
    | PartFinished
    | RunAttemptFailed
    | RunHandedBack
    | RunSucceeded
    | RunSucceededV1
    | RunFailed
    | RunCancelled
    | RunSkipped
    | FilesExpired
    | RunRemoved
    | RunProgressed
    | RunEstimated
    | AuditRecorded
    | DestinationSaved
    | DestinationDeleted
    | DestinationTombstone
    | RunDestinationTest
    | DestinationTested
    | RetryDelivery
    | CancelDelivery
    | DeliveryCreated
    | DeliveryStarted
    | FileDelivered
    | DeliveryAttemptFailed
    | DeliveryHandedBack
    | DeliveryCompleted
    | DeliveryFailed
    | DeliveryCancelled
    | DeliveryRetried
)

REGISTRY: dict[tuple[str, int], type[Event]] = {
    ("job.saved", 1): JobSaved,
    ("job.deleted", 1): JobTombstone,
    ("job.deleted", 2): JobDeleted,
    ("certificate.saved", 1): CertificateSaved,
    ("certificate.deleted", 1): CertificateDeleted,
    ("certificate.tombstone", 1): CertificateTombstone,
    ("identity.saved", 1): IdentitySaved,
    ("identity.deleted", 1): IdentityDeleted,
    ("identity.tombstone", 1): IdentityTombstone,
    ("slot.triggered", 1): SlotTriggered,
    ("slot.skipped", 1): SlotSkipped,
    ("run.cancel", 1): CancelRun,
    ("run.now", 1): RunNow,
    ("run.queued", 1): RunQueued,
    ("run.started", 1): RunStarted,
    ("run.part-finished", 1): PartFinished,
    ("run.attempt-failed", 1): RunAttemptFailed,
    ("run.handed-back", 1): RunHandedBack,
    ("run.succeeded", 1): RunSucceededV1,
    ("run.succeeded", 2): RunSucceeded,
    ("run.failed", 1): RunFailed,
    ("run.cancelled", 1): RunCancelled,
    ("run.skipped", 1): RunSkipped,
    ("run.files-expired", 1): FilesExpired,
    ("run.removed", 1): RunRemoved,
    ("run.progressed", 1): RunProgressed,
    ("run.estimated", 1): RunEstimated,
    ("audit.recorded", 1): AuditRecorded,
    ("destination.saved", 1): DestinationSaved,
    ("destination.deleted", 1): DestinationDeleted,
    ("destination.tombstone", 1): DestinationTombstone,
    ("destination.test", 1): RunDestinationTest,
    ("destination.tested", 1): DestinationTested,
    ("delivery.retry", 1): RetryDelivery,
    ("delivery.cancel", 1): CancelDelivery,
    ("delivery.created", 1): DeliveryCreated,
    ("delivery.started", 1): DeliveryStarted,
    ("delivery.file-delivered", 1): FileDelivered,
    ("delivery.attempt-failed", 1): DeliveryAttemptFailed,
    ("delivery.handed-back", 1): DeliveryHandedBack,
    ("delivery.completed", 1): DeliveryCompleted,
    ("delivery.failed", 1): DeliveryFailed,
    ("delivery.cancelled", 1): DeliveryCancelled,
    ("delivery.retried", 1): DeliveryRetried,
}

__all__ = [
    "REGISTRY",
    "AuditRecorded",
    "CancelDelivery",
    "CancelRun",
    "CertificateDeleted",
    "CertificateSaved",
    "CertificateTombstone",
    "DeliveryAttemptFailed",
    "DeliveryCancelled",
    "DeliveryCompleted",
    "DeliveryCreated",
    "DeliveryEvent",
    "DeliveryFailed",
    "DeliveryHandedBack",
    "DeliveryRetried",
    "DeliverySettings",
    "DeliveryStarted",
    "DestinationAddress",
    "DestinationDeleted",
    "DestinationSaved",
    "DestinationTested",
    "DestinationTombstone",
    "Event",
    "ExportedFile",
    "FileDelivered",
    "FilesExpired",
    "FilterCondition",
    "IdentityDeleted",
    "IdentitySaved",
    "IdentityTombstone",
    "JobDeleted",
    "JobSaved",
    "JobSettings",
    "JobTombstone",
    "PartFinished",
    "RetryDelivery",
    "RunAttemptFailed",
    "RunCancelled",
    "RunDestinationTest",
    "RunEstimated",
    "RunEvent",
    "RunFailed",
    "RunHandedBack",
    "RunNow",
    "RunProgressed",
    "RunQueued",
    "RunRemoved",
    "RunSkipped",
    "RunStarted",
    "RunSucceeded",
    "RunSucceededV1",
    "Schedule",
    "SealedCredentials",
    "SlotSkipped",
    "SlotTriggered",
    "Timeframe",
    "Window",
    "delivery_state_after",
    "derive_delivery_id",
    "state_after",
]
