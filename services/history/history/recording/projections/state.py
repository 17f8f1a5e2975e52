"""What the run log consists of: runs in four parts, with their timelines, parts and artifacts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared import events
from shared.events.values import FileKind, JobSettings, Phase, RunState, SlotCause, Window

TERMINAL_STATES: frozenset[RunState] = frozenset({"succeeded", "failed", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedFate:
    """The fate of the run's slot, as the scheduler decided it."""

    fate: Literal["triggered", "skipped"]
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLifecycle:
    """What the exporters report of the run, up to the event (`token`, `seq`)."""

    token: int
    seq: int
    state: RunState
    first_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    attempt_started_at: datetime | None = None
    ended_at: datetime | None = None
    attempt: int = 0
    exporter: str | None = None
    window: Window | None = None
    recipients: tuple[str, ...] = ()
    reason: str | None = None
    message: str | None = None
    retry_at: datetime | None = None
    ended_by: UUID | None = None
    rows: int | None = None
    bytes_raw: int | None = None
    bytes_packed: int | None = None
    files: int = 0
    manifest: str | None = None
    data_complete_through: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedProgress:
    """The latest event of `sluice.progress`."""

    token: int
    seq: int
    at: datetime
    phase: Phase
    units_done: int
    units_total: int | None
    total_exact: bool
    bytes_done: int
    slices: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEstimate:
    """The latest event of `sluice.estimates`; the `eta_*` are seconds remaining."""

    token: int
    seq: int
    at: datetime
    progress: float | None
    eta_seconds: float | None
    eta_low: float | None
    eta_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """A run of the log. `settings` is None while unknown, and where it is stored and need not be written again."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime | None = None
    cause: SlotCause | None = None
    settings: JobSettings | None = None
    removed_at: datetime | None = None
    fate: LoggedFate | None = None
    lifecycle: RunLifecycle | None = None
    progress: LoggedProgress | None = None
    estimate: LoggedEstimate | None = None

    @property
    def state(self) -> RunState:
        """The displayed state: by the exporters, or by the scheduler while they have reported nothing."""
        if self.lifecycle is not None:
            return self.lifecycle.state
        return "skipped" if self.fate is not None and self.fate.fate == "skipped" else "queued"

    @property
    def created_at(self) -> datetime:
        """When the run first existed, as far as is known."""
        if self.lifecycle is not None:
            return self.lifecycle.queued_at or self.lifecycle.first_at
        for source in (self.fate, self.progress, self.estimate):
            if source is not None:
                return source.at
        assert self.removed_at is not None, "every run of the log comes from some event"
        return self.removed_at


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """An entry of a run's timeline."""

    run_id: UUID
    token: int
    seq: int
    kind: str
    at: datetime
    details: dict[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedPart:
    """A finished part of a run."""

    run_id: UUID
    kind: FileKind
    part: int
    token: int
    seq: int
    at: datetime
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedArtifact:
    """A file of a run that has succeeded."""

    artifact_id: UUID
    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    file: events.ExportedFile
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """What an event changes: the run after it, and what it adds to the log or removes."""

    run: LoggedRun
    entry: LogEntry | None = None
    part: LoggedPart | None = None
    artifacts: tuple[LoggedArtifact, ...] = ()
    removal: events.FilesExpired | None = None
