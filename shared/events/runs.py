"""`sluice.runs`: the life of a run.

Each event carries (`token`, `seq`): the fencing token of the claim that wrote it, and a number that rises within that
claim. Of two events of a run, the one with the greater pair is newer; a reader drops an event that is not newer than
the last it has seen. Token 0 is the run's admission, before the first claim.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.values import ExportedFile, FileKind, JobSettings, RecordType, RunState, SlotCause, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """The fields of every event in a run's life."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run."""
    token: int
    """The fencing token of the claim that wrote the event; rises with each claim, 0 for the run's admission."""
    seq: int
    """Rises with each event of one claim. Of two events of a run, the one with the greater (token, seq) is newer."""
    at: datetime
    """When it happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(RunEvent):
    """The run was admitted and waits for an exporter."""

    slot: datetime
    """The instant at which the run was due."""
    cause: SlotCause
    """Why the slot was due."""
    settings: JobSettings
    """The settings with which the run is carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunEvent):
    """An exporter claimed the run and starts it, or starts it again."""

    exporter: str
    """The exporter's name."""
    attempt: int
    """The attempt's number, from 1; a takeover does not count as an attempt."""
    window: Window
    """The interval of instants that the run reads."""
    recipients: tuple[str, ...]
    """SHA-256 fingerprints of the recipients' certificates, 64 hexadecimal digits each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFinished(RunEvent):
    """A part was compressed, encrypted and stored. It becomes visible when the run succeeds."""

    kind: FileKind
    """Which records the part holds."""
    part: int
    """The part's number within its kind, from 1."""
    rows: int
    """Records in the part."""
    bytes_raw: int
    """The records' size before compression, in bytes."""
    bytes_packed: int
    """The part's size, compressed and encrypted, in bytes."""
    sha256: str
    """SHA-256 of the compressed and encrypted part, 64 hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAttemptFailed(RunEvent):
    """An attempt failed for a transient error; the run is queued again."""

    attempt: int
    """The attempt's number, from 1."""
    code: str
    """The error's stable code."""
    message: str
    """The error as a sentence for people."""
    retry_at: datetime
    """When the next attempt may start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHandedBack(RunEvent):
    """An exporter that is shutting down handed the run back to the queue; neither a failure nor an attempt."""

    exporter: str
    """The exporter's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Success(RunEvent):
    """The fields of every version of `run.succeeded`."""

    rows: int
    """Records in all files."""
    bytes_raw: int
    """The records' size before compression, in bytes."""
    bytes_packed: int
    """The files' size, compressed and encrypted, in bytes."""
    files: tuple[ExportedFile, ...]
    """The run's files."""
    manifest: str
    """The manifest's key in Sluice's object store."""
    data_complete_through: datetime | None
    """The instant up to which the data is certain to be complete (rule T4); null unless `since_last_run`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSucceededV1(_Success):
    """The run's manifest is written and its files can be downloaded.

    Version 1 lacks the run's title, type, slot and cause, which are in its `run.queued` event. It is still published
    for a run that was queued by a release that did not record the cause.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSucceeded(_Success):
    """The run's manifest is written and its files can be downloaded."""

    title: str
    """The job's title when the run was triggered."""
    type: RecordType
    """Which records the run exported."""
    slot: datetime
    """The instant at which the run was due."""
    cause: SlotCause
    """Why the slot was due."""
    data_complete_note: str | None = None
    """Why `data_complete_through` is not certain, as a sentence for people; null where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(RunEvent):
    """The run ended without files."""

    attempt: int
    """The number of the last attempt, from 1."""
    code: str
    """The error's stable code."""
    message: str
    """The error as a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(RunEvent):
    """The run was cancelled; it has no files."""

    reason: Literal["requested", "job-deleted"]
    """Whether a user requested it, or the job was deleted."""
    requested_by: UUID | None
    """The user who requested it; null when no user did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSkipped(RunEvent):
    """The run was skipped because the job's previous run was still in progress (rule S9)."""

    slot: datetime
    """The instant at which the run was due."""
    cause: SlotCause
    """Why the slot was due."""
    reason: Literal["overlap"]
    """Why the run was skipped."""
    settings: JobSettings
    """The settings with which the run would have been carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesExpired:
    """Files of a run were removed from the object store."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run."""
    objects: tuple[str, ...]
    """The files' keys in Sluice's object store."""
    reason: Literal["expired", "deleted"]
    """`expired`: their retention ended. `deleted`: a user deleted them."""
    removed_by: UUID | None
    """The user who deleted them; null when they expired."""
    at: datetime
    """When the files were removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRemoved:
    """A user removed an ended run from the run log; its files keep their own retention."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run."""
    removed_by: UUID
    """The user who removed it."""
    at: datetime
    """When it was removed."""


_STATE_AFTER: dict[type[RunEvent], RunState] = {
    RunQueued: "queued",
    RunStarted: "running",
    RunAttemptFailed: "queued",
    RunHandedBack: "queued",
    RunSucceeded: "succeeded",
    RunSucceededV1: "succeeded",
    RunFailed: "failed",
    RunCancelled: "cancelled",
    RunSkipped: "skipped",
}


def state_after(event: RunEvent) -> RunState | None:
    """Return the state in which an event leaves its run, or None where the event does not change the state.

    queued -> running -> succeeded | failed | cancelled; back to queued when an attempt failed or the run was handed
    back; queued -> cancelled; and skipped, for a run that was never queued (rule R1).
    """
    return _STATE_AFTER.get(type(event))
