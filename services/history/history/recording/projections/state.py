"""What the run log is made of: a run in its four parts, its timeline, parts and files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared import events
from shared.events.values import FileKind, JobSettings, Phase, RunState, SlotCause, Window

TERMINAL: frozenset[RunState] = frozenset({"succeeded", "failed", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What the scheduler decided about the run's slot."""

    fate: Literal["triggered", "skipped"]
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What the exporters say of the run."""

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
class Progress:
    """The latest of `sluice.progress`."""

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
class Estimate:
    """The latest of `sluice.estimates`."""

    token: int
    seq: int
    at: datetime
    progress: float | None
    eta_seconds: float | None
    eta_low: float | None
    eta_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the log has it. `settings` is None where it was not told yet, or is stored and need not be again."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime | None = None
    cause: SlotCause | None = None
    settings: JobSettings | None = None
    removed_at: datetime | None = None
    fate: Fate | None = None
    life: Life | None = None
    progress: Progress | None = None
    estimate: Estimate | None = None

    @property
    def state(self) -> RunState:
        """Return the state that is shown: the exporters' word, before any the scheduler's."""
        if self.life is not None:
            return self.life.state
        return "skipped" if self.fate is not None and self.fate.fate == "skipped" else "queued"

    @property
    def created_at(self) -> datetime:
        """Return when the run first existed, as far as is known."""
        if self.life is not None:
            return self.life.queued_at or self.life.first_at
        for told in (self.fate, self.progress, self.estimate):
            if told is not None:
                return told.at
        assert self.removed_at is not None, "a run is known by something"
        return self.removed_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a run's timeline."""

    run_id: UUID
    token: int
    seq: int
    kind: str
    at: datetime
    details: dict[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A finished part."""

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
class Artifact:
    """A file that is there to download."""

    artifact_id: UUID
    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    file: events.ExportedFile
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an event changed: the run as it is now, and what is to be added beside it."""

    run: Run
    entry: Entry | None = None
    part: Part | None = None
    artifacts: tuple[Artifact, ...] = ()
    removal: events.FilesExpired | None = None
