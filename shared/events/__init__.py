"""The events on Kafka: one frozen class for each type and version, one module for each topic, one registry of them all.

A reader rejects a type or version that is not in `REGISTRY`; a class is never looked up by a name from the wire.
"""

from shared.events.audit import AuditRecorded
from shared.events.certificates import CertificateDeleted, CertificateSaved, CertificateTombstone
from shared.events.commands import CancelRun, RunNow
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
from shared.events.values import ExportedFile, JobSettings, Schedule, Timeframe, Window

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
}

__all__ = [
    "REGISTRY",
    "AuditRecorded",
    "CancelRun",
    "CertificateDeleted",
    "CertificateSaved",
    "CertificateTombstone",
    "Event",
    "ExportedFile",
    "FilesExpired",
    "IdentityDeleted",
    "IdentitySaved",
    "IdentityTombstone",
    "JobDeleted",
    "JobSaved",
    "JobSettings",
    "JobTombstone",
    "PartFinished",
    "RunAttemptFailed",
    "RunCancelled",
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
    "SlotSkipped",
    "SlotTriggered",
    "Timeframe",
    "Window",
    "state_after",
]
