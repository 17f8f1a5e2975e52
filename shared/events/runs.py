"""`sluice.runs`: the life of a run.

Each event carries (`token`, `seq`): the fencing token of the claim that wrote it and a number that rises within that
claim. Of two events of one run the greater pair is the newer; a reader drops what is not newer than what it has.
Token 0 is the admission, before anybody has claimed the run.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.values import ExportedFile, FileKind, JobSettings, RecordType, RunState, SlotCause, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """What every event of a run says."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    token: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(RunEvent):
    """The trigger was admitted; the run waits for an exporter."""

    slot: datetime
    cause: SlotCause
    settings: JobSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunEvent):
    """An exporter has claimed the run and begins, or begins again (`attempt` counts from 1)."""

    exporter: str
    attempt: int
    window: Window
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFinished(RunEvent):
    """One part is packed, encrypted and stored, not yet visible; `part` counts from 1 within its kind."""

    kind: FileKind
    part: int
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAttemptFailed(RunEvent):
    """An attempt failed for a reason that may pass; the run is tried again at `retry_at`."""

    attempt: int
    code: str
    message: str
    retry_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHandedBack(RunEvent):
    """The exporter is shutting down and gives the run back; not a failure and not an attempt."""

    exporter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Success(RunEvent):
    """The fields that every version of `run.succeeded` has."""

    rows: int
    bytes_raw: int
    bytes_packed: int
    files: tuple[ExportedFile, ...]
    manifest: str
    data_complete_through: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSucceededV1(_Success):
    """The run's manifest is written and its files can be downloaded.

    Version 1: the run's title, type, slot and cause are in its `run.queued` event only. Still published for a run that
    was queued before an exporter recorded the cause.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSucceeded(_Success):
    """The run's manifest is written and its files can be downloaded; `slot` is the instant at which the run was due."""

    title: str
    type: RecordType
    slot: datetime
    cause: SlotCause


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(RunEvent):
    """The run has ended without files; `code` is stable, `message` is for people."""

    attempt: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(RunEvent):
    """The run was ended on request, or because its job was deleted."""

    reason: Literal["requested", "job-deleted"]
    requested_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSkipped(RunEvent):
    """The run was not begun: the job's previous run was still in progress (S9)."""

    slot: datetime
    cause: SlotCause
    reason: Literal["overlap"]
    settings: JobSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesExpired:
    """Files of a run have been removed from the store, by age or by a person."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    objects: tuple[str, ...]
    reason: Literal["expired", "deleted"]
    removed_by: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRemoved:
    """A person took an ended run out of the log; its files keep their own retention."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    removed_by: UUID
    at: datetime


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
