"""Events of whole runs for tests, step by step and by topic."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from shared import events

SLOT = datetime(2026, 11, 24, 10, tzinfo=UTC)
SETTINGS = events.JobSettings(
    title="Nightly export",
    source="contact_history",
    type="interaction",
    source_tenant=101,
    timeframe=events.Timeframe(kind="all"),
)
SHA256 = "ab" * 32


@dataclass
class RunScenario:
    """One run's events, in order for each topic; each step adds an event, one second after the one before."""

    job_id: UUID = field(default_factory=uuid4)
    tenant_id: UUID = field(default_factory=uuid4)
    run_id: UUID = field(default_factory=uuid4)
    settings: events.JobSettings = SETTINGS
    at: datetime = SLOT
    triggers: list[events.Event] = field(default_factory=list)
    runs: list[events.Event] = field(default_factory=list)
    progress: list[events.Event] = field(default_factory=list)
    estimates: list[events.Event] = field(default_factory=list)
    token: int = 0
    seq: int = 0

    @property
    def topics(self) -> list[list[events.Event]]:
        """Return the events of each topic."""
        return [self.triggers, self.runs, self.progress, self.estimates]

    @property
    def everything(self) -> list[events.Event]:
        """Return all events, topic by topic."""
        return [event for topic in self.topics for event in topic]

    def triggered(self) -> "RunScenario":
        self.triggers.append(
            events.SlotTriggered(
                job_id=self.job_id,
                tenant_id=self.tenant_id,
                run_id=self.run_id,
                slot=SLOT,
                cause="schedule",
                job_version=1,
                settings=self.settings,
                overlap="skip",
                triggered_at=self._next(),
            )
        )
        return self

    def slot_skipped(self) -> "RunScenario":
        self.triggers.append(
            events.SlotSkipped(
                job_id=self.job_id,
                tenant_id=self.tenant_id,
                run_id=self.run_id,
                slot=SLOT,
                reason="suspended",
                job_version=1,
                skipped_at=self._next(),
            )
        )
        return self

    def queued(self) -> "RunScenario":
        return self.add(events.RunQueued, slot=SLOT, cause="schedule", settings=self.settings)

    def skipped(self) -> "RunScenario":
        return self.add(events.RunSkipped, slot=SLOT, cause="schedule", reason="overlap", settings=self.settings)

    def started(self, attempt: int = 1) -> "RunScenario":
        self.token, self.seq = self.token + 1, 0
        return self.add(
            events.RunStarted,
            exporter=f"exporter-{self.token}",
            attempt=attempt,
            window=events.Window(end=SLOT),
            recipients=(SHA256,),
        )

    def part(self, number: int, rows: int = 10) -> "RunScenario":
        return self.add(
            events.PartFinished,
            kind="interaction",
            part=number,
            rows=rows,
            bytes_raw=rows * 1000,
            bytes_packed=rows * 300,
            sha256=SHA256,
        )

    def attempt_failed(self, attempt: int = 1) -> "RunScenario":
        failure = {"code": "source-away", "message": "The source does not answer."}
        return self.add(events.RunAttemptFailed, attempt=attempt, retry_at=self.at + timedelta(seconds=5), **failure)

    def handed_back(self) -> "RunScenario":
        return self.add(events.RunHandedBack, exporter=f"exporter-{self.token}")

    def succeeded(self, files: int = 1, rows: int = 10, packed: int = 3000, sha256: str = SHA256) -> "RunScenario":
        exported = tuple(
            events.ExportedFile(
                name=f"Interaction-{self.job_id}-part-{number:04}.zip.p7m",
                kind="interaction",
                part=number,
                rows=rows,
                bytes_raw=rows * 1000,
                bytes_packed=packed,
                sha256=sha256,
                object=f"runs/{self.run_id}/{self.token}/part-{number:04}",
            )
            for number in range(1, files + 1)
        )
        return self.add(
            events.RunSucceeded,
            rows=rows * files,
            bytes_raw=rows * files * 1000,
            bytes_packed=packed * files,
            files=exported,
            manifest=f"runs/{self.run_id}/{self.token}/manifest.json",
            data_complete_through=SLOT,
            title=self.settings.title,
            type=self.settings.type,
            slot=SLOT,
            cause="schedule",
        )

    def failed(self, attempt: int = 1) -> "RunScenario":
        return self.add(events.RunFailed, attempt=attempt, code="refused", message="The source refuses the login.")

    def cancelled(self) -> "RunScenario":
        return self.add(events.RunCancelled, reason="requested", requested_by=None)

    def expired(self, reason: Literal["expired", "deleted"] = "expired") -> "RunScenario":
        success = next(each for each in self.runs if isinstance(each, events.RunSucceeded))
        self.runs.append(
            events.FilesExpired(
                job_id=self.job_id,
                tenant_id=self.tenant_id,
                run_id=self.run_id,
                objects=tuple(file.object for file in success.files),
                reason=reason,
                removed_by=None,
                at=self._next(),
            )
        )
        return self

    def removed(self) -> "RunScenario":
        self.runs.append(
            events.RunRemoved(
                job_id=self.job_id, tenant_id=self.tenant_id, run_id=self.run_id, removed_by=uuid4(), at=self._next()
            )
        )
        return self

    def progressed(self, done: int, total: int | None = 100, token: int | None = None) -> "RunScenario":
        self.progress.append(
            events.RunProgressed(
                job_id=self.job_id,
                tenant_id=self.tenant_id,
                run_id=self.run_id,
                token=self.token if token is None else token,
                seq=len(self.progress) + 1,
                at=self._next(),
                phase="export",
                units_done=done,
                units_total=total,
                total_exact=True,
                bytes_done=done * 1000,
                slices=((done, total),) if total else None,
            )
        )
        return self

    def estimated(self, eta: float | None, progress: float = 0.5) -> "RunScenario":
        self.estimates.append(
            events.RunEstimated(
                job_id=self.job_id,
                tenant_id=self.tenant_id,
                run_id=self.run_id,
                token=self.token,
                seq=len(self.estimates) + 1,
                at=self._next(),
                progress=progress,
                eta_seconds=eta,
                eta_low=eta and eta / 2,
                eta_high=eta and eta * 2,
            )
        )
        return self

    def add(self, event: Any, /, **fields: object) -> "RunScenario":
        """Add an event of the run's topic, of this class and with these fields."""
        ids = {"job_id": self.job_id, "tenant_id": self.tenant_id, "run_id": self.run_id}
        self.runs.append(event(**ids, token=self.token, seq=self.seq, at=self._next(), **fields))
        self.seq += 1
        return self

    def _next(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at
