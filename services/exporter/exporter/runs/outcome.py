"""How a claim on a run ends other than in success: to be retried, failed, cancelled or handed back."""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple, TypedDict
from uuid import UUID

from exporter.domain.retries import compute_retry_delay, get_max_attempts
from exporter.errors import CancelRequested, ExportError, HandBack, LeaseLost, WorkerDied
from exporter.runs.counting import count_end, count_failure
from exporter.runs.lease import Lease
from exporter.store.runs import LockedClaim, RunClaim, RunStore
from shared.events import RunAttemptFailed, RunCancelled, RunFailed, RunHandedBack
from shared.observe import EXPORT_ERRORS, get_logger

log = get_logger(__name__)
_WORKER_DIED = "The process that worked on this run was killed, crashed or froze."


class EventFields(TypedDict):
    """The fields that all events of a run have."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    token: int
    seq: int
    at: datetime


class ErrorDescription(NamedTuple):
    """An error as it is published: its stable code and a message for users; whether another attempt can help.

    `patient` says that only more and later ones are likely to.
    """

    code: str
    message: str
    transient: bool
    patient: bool = False


class OutcomeRecorder:
    """Records how a claim ended, under the claim's token."""

    def __init__(self, claim: RunClaim, lease: Lease, *, store: RunStore, exporter: str) -> None:
        self._claim = claim
        self._lease = lease
        self._store = store
        self._exporter = exporter

    async def record(self, outcome: BaseException) -> None:
        """Record why the work ended. Raises LeaseLost when the claim is lost, and errors that are not a run's."""
        match outcome:
            case LeaseLost():
                raise outcome
            case CancelRequested():
                await self._lease.retry_while_held(self._cancel)
            case asyncio.CancelledError() if self._lease.is_lost:
                raise LeaseLost("the lease has expired")
            case asyncio.CancelledError() if self._lease.is_cancelled:
                await self._lease.retry_while_held(self._cancel)
            case asyncio.CancelledError() | HandBack():
                await self._lease.retry_while_held(self._hand_back)
            case Exception():
                log.warning("attempt failed", error=type(outcome).__name__, exc_info=outcome)
                await self._fail(outcome)
            case _:
                raise outcome

    def get_event_fields(self, locked: LockedClaim) -> EventFields:
        """Return the fields that all events of this claim have."""
        claim = self._claim
        return {
            "job_id": claim.job_id,
            "tenant_id": claim.tenant_id,
            "run_id": claim.run_id,
            "token": claim.token,
            "seq": locked.seq,
            "at": locked.at,
        }

    async def _fail(self, error: Exception) -> None:
        described = describe_and_count(error)
        max_attempts = get_max_attempts(self._claim.settings.attempts, patient=described.patient)
        if described.transient and self._claim.attempt < max_attempts:
            await self._lease.retry_while_held(lambda: self._record_retry(described))
        else:
            tried = f" (tried {self._claim.attempt} times)" if described.transient and max_attempts > 1 else ""
            await self._lease.retry_while_held(lambda: self._record_failure(described.code, described.message + tried))

    async def _cancel(self) -> None:
        async with self._store.lock_claim(self._claim) as (database, locked):
            await self._store.end_run(database, self._claim, "cancelled")
            reason = locked.cancel_reason or "requested"
            event = RunCancelled(**self.get_event_fields(locked), reason=reason, requested_by=locked.cancel_by)
            await self._store.write_events(database, [event], locked.at)
        count_end("cancelled", reason)

    async def _hand_back(self) -> None:
        async with self._store.lock_claim(self._claim) as (database, locked):
            await self._store.requeue(database, self._claim, timedelta(0), counted=False)
            event = RunHandedBack(**self.get_event_fields(locked), exporter=self._exporter)
            await self._store.write_events(database, [event], locked.at)

    async def _record_retry(self, error: ErrorDescription) -> None:
        attempt = self._claim.attempt
        delay = compute_retry_delay(attempt, patient=error.patient)
        async with self._store.lock_claim(self._claim) as (database, locked):
            retry_at = await self._store.requeue(database, self._claim, delay, counted=True)
            event = RunAttemptFailed(
                **self.get_event_fields(locked),
                attempt=attempt,
                code=error.code,
                message=error.message,
                retry_at=retry_at,
            )
            await self._store.write_events(database, [event], locked.at)

    async def _record_failure(self, code: str, message: str) -> None:
        async with self._store.lock_claim(self._claim) as (database, locked):
            await self._store.end_run(database, self._claim, "failed")
            event = RunFailed(**self.get_event_fields(locked), attempt=self._claim.attempt, code=code, message=message)
            await self._store.write_events(database, [event], locked.at)
        count_failure(code)


def describe_and_count(error: Exception) -> ErrorDescription:
    """Describe an error, and count it by code and class."""
    described = describe_error(error)
    EXPORT_ERRORS.labels(described.code, "transient" if described.transient else "permanent").inc()
    return described


def describe_error(error: Exception) -> ErrorDescription:
    """Return an error's code, message and whether another attempt can help (rule R5)."""
    match error:
        case ExportError():
            return ErrorDescription(error.code, str(error), error.transient, error.patient)
        case WorkerDied():
            return ErrorDescription("worker-died", _WORKER_DIED, True)
        case _:
            # The message of an unexpected error may quote data; the log has its location and type.
            message = f"An unexpected error occurred in the exporter ({type(error).__name__})."
            return ErrorDescription("internal", message, True)
