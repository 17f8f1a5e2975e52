"""How a claim on a run ends where it does not end well: tried again, failed, cancelled or handed back."""

import asyncio
from datetime import datetime, timedelta
from typing import TypedDict
from uuid import UUID

from exporter.domain.runs import backoff
from exporter.errors import CancelAsked, ExportError, GiveBack, LeaseLost, WorkerDied
from exporter.runs.lease import Lease
from exporter.store.runs import Claim, Held, RunStore
from shared.events import RunAttemptFailed, RunCancelled, RunFailed, RunHandedBack
from shared.observe import EXPORT_ERRORS, RUNS_ENDED, get_logger

log = get_logger(__name__)


class Facts(TypedDict):
    """What every event of a run says."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    token: int
    seq: int
    at: datetime


class RunEnd:
    """Records how a claim ended, under the claim's token."""

    def __init__(self, claim: Claim, lease: Lease, *, store: RunStore, exporter: str) -> None:
        self._claim = claim
        self._lease = lease
        self._store = store
        self._exporter = exporter

    async def settle(self, outcome: BaseException) -> None:
        """Record what came of the work. Raises LeaseLost when the claim is lost, and what is no matter of a run."""
        match outcome:
            case LeaseLost():
                raise outcome
            case CancelAsked():
                await self._lease.insist(self._cancel)
            case asyncio.CancelledError() if self._lease.lost:
                raise LeaseLost("the lease ran out")
            case asyncio.CancelledError() if self._lease.cancelled:
                await self._lease.insist(self._cancel)
            case asyncio.CancelledError() | GiveBack():
                await self._lease.insist(self._hand_back)
            case Exception():
                log.warning("attempt failed", error=type(outcome).__name__, exc_info=outcome)
                await self._fail(outcome)
            case _:
                raise outcome

    def facts(self, held: Held) -> Facts:
        """Return what every event of this claim says."""
        claim = self._claim
        return {
            "job_id": claim.job_id,
            "tenant_id": claim.tenant_id,
            "run_id": claim.run_id,
            "token": claim.token,
            "seq": held.seq,
            "at": held.at,
        }

    async def _fail(self, error: Exception) -> None:
        code, message, transient = counted_in_words(error)
        attempts = self._claim.settings.attempts
        if transient and self._claim.attempt < attempts:
            await self._lease.insist(lambda: self._try_again(code, message))
        else:
            tried = f" (tried {self._claim.attempt} times)" if transient and attempts > 1 else ""
            await self._lease.insist(lambda: self._failed(code, message + tried))

    async def _cancel(self) -> None:
        async with self._store.held(self._claim) as (database, held):
            await self._store.end(database, self._claim, "cancelled")
            reason = held.cancel_reason or "requested"
            event = RunCancelled(**self.facts(held), reason=reason, requested_by=held.cancel_by)
            await self._store.write_events(database, [event], held.at)
        RUNS_ENDED.labels("cancelled", reason).inc()

    async def _hand_back(self) -> None:
        async with self._store.held(self._claim) as (database, held):
            await self._store.requeue(database, self._claim, timedelta(0), counted=False)
            event = RunHandedBack(**self.facts(held), exporter=self._exporter)
            await self._store.write_events(database, [event], held.at)

    async def _try_again(self, code: str, message: str) -> None:
        async with self._store.held(self._claim) as (database, held):
            at = await self._store.requeue(database, self._claim, backoff(self._claim.attempt), counted=True)
            event = RunAttemptFailed(
                **self.facts(held), attempt=self._claim.attempt, code=code, message=message, retry_at=at
            )
            await self._store.write_events(database, [event], held.at)

    async def _failed(self, code: str, message: str) -> None:
        async with self._store.held(self._claim) as (database, held):
            await self._store.end(database, self._claim, "failed")
            event = RunFailed(**self.facts(held), attempt=self._claim.attempt, code=code, message=message)
            await self._store.write_events(database, [event], held.at)
        RUNS_ENDED.labels("failed", code).inc()


def counted_in_words(error: Exception) -> tuple[str, str, bool]:
    """Count an error by code and class, and return what `in_words` does."""
    code, message, transient = in_words(error)
    EXPORT_ERRORS.labels(code, "transient" if transient else "permanent").inc()
    return code, message, transient


def in_words(error: Exception) -> tuple[str, str, bool]:
    """Return an error's stable code, what it says to people, and whether another attempt may help."""
    match error:
        case ExportError():
            return error.code, str(error), error.transient
        case WorkerDied():
            return "worker-died", "The process that worked on this run was killed or crashed.", True
        case _:
            # An unforeseen error's own words may quote data; the log has its place and kind.
            return "internal", f"Something went wrong in the exporter ({type(error).__name__}).", True
