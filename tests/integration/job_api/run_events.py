"""Builds the events of a run as the scheduler, the exporters and history publish them."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from shared.events import (
    JobSettings,
    RunAttemptFailed,
    RunCancelled,
    RunEstimated,
    RunFailed,
    RunHandedBack,
    RunQueued,
    RunSkipped,
    RunStarted,
    RunSucceeded,
    SlotSkipped,
    SlotTriggered,
    Timeframe,
    Window,
)
from shared.events.values import SlotCause
from shared.timetable import derive_run_id

SLOT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SETTINGS = JobSettings(title="t", source="contact_history", type="interaction", source_tenant=7, timeframe=Timeframe())


class RunEventBuilder:
    """The events of one run; `run_id` is that of a run requested now, which has no slot of the schedule."""

    def __init__(
        self, job: dict[str, Any], tenant_id: UUID, slot: datetime = SLOT, *, run_id: UUID | None = None
    ) -> None:
        self.slot = slot
        self.job_id, self.tenant_id = UUID(job["id"]), tenant_id
        self.run_id = run_id or derive_run_id(self.job_id, slot)
        self.cause: SlotCause = "schedule" if run_id is None else "run-now"
        self._seq = count()

    def _common(self, token: int = 1) -> dict[str, Any]:
        at = self.slot + timedelta(seconds=next(self._seq))
        run = {"job_id": self.job_id, "tenant_id": self.tenant_id, "run_id": self.run_id}
        return run | {"token": token, "seq": next(self._seq), "at": at}

    def triggered(self) -> SlotTriggered:
        return SlotTriggered(
            job_id=self.job_id,
            tenant_id=self.tenant_id,
            run_id=self.run_id,
            slot=self.slot,
            cause=self.cause,
            job_version=1,
            settings=SETTINGS,
            overlap="skip",
            triggered_at=self.slot,
        )

    def skipped_slot(self, reason: Any) -> SlotSkipped:
        return SlotSkipped(
            job_id=self.job_id,
            tenant_id=self.tenant_id,
            run_id=self.run_id,
            slot=self.slot,
            reason=reason,
            job_version=1,
            skipped_at=self.slot,
        )

    def queued(self) -> RunQueued:
        return RunQueued(**self._common(0), slot=self.slot, cause=self.cause, settings=SETTINGS)

    def started(self, token: int = 1) -> RunStarted:
        return RunStarted(**self._common(token), exporter="e", attempt=token, window=Window(), recipients=())

    def estimated(self, progress: float, token: int = 1) -> RunEstimated:
        return RunEstimated(**self._common(token), progress=progress, eta_seconds=60.0, eta_low=40.0, eta_high=90.0)

    def handed_back(self, token: int = 1) -> RunHandedBack:
        return RunHandedBack(**self._common(token), exporter="e")

    def attempt_failed(self, token: int = 1) -> RunAttemptFailed:
        message = "the source is unavailable"
        return RunAttemptFailed(**self._common(token), attempt=1, code="c", message=message, retry_at=SLOT)

    def succeeded(self, token: int = 1) -> RunSucceeded:
        return RunSucceeded(
            **self._common(token),
            rows=1,
            bytes_raw=1,
            bytes_packed=1,
            files=(),
            manifest="m",
            data_complete_through=None,
            title=SETTINGS.title,
            type=SETTINGS.type,
            slot=self.slot,
            cause=self.cause,
        )

    def failed(self, token: int = 1) -> RunFailed:
        return RunFailed(**self._common(token), attempt=1, code="c", message="no certificate")

    def cancelled(self) -> RunCancelled:
        return RunCancelled(**self._common(2), reason="requested", requested_by=None)

    def skipped(self) -> RunSkipped:
        return RunSkipped(**self._common(0), slot=self.slot, cause=self.cause, reason="overlap", settings=SETTINGS)
