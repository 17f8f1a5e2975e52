"""How a claim on a delivery ends other than in success: to be retried, failed, cancelled or handed back (rule D6)."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import get_args

from exporter.domain.retries import compute_retry_delay
from exporter.errors import (
    NOT_OF_DESTINATION,
    PERMANENT,
    CancelRequested,
    DeliveryCode,
    DeliveryError,
    HandBack,
    LeaseLost,
)
from exporter.runs.lease import Lease
from exporter.store.deliveries import DeliveryClaim, DeliveryStore
from shared.events import DeliveryAttemptFailed, DeliveryCancelled, DeliveryFailed, DeliveryHandedBack
from shared.observe import DELIVERIES_ENDED, DELIVERY_ERRORS, get_logger

log = get_logger(__name__)
# Each series exists from the start of the process, so that the first failure is a change.
DELIVERIES_ENDED.labels("delivered", "")
for _reason in ("requested", "destination-deleted"):
    DELIVERIES_ENDED.labels("cancelled", _reason)
for _code in get_args(DeliveryCode):
    DELIVERIES_ENDED.labels("failed", _code)
    DELIVERY_ERRORS.labels(_code)


class DeliveryOutcomeRecorder:
    """Records how a claim ended, under the claim's token."""

    def __init__(self, claim: DeliveryClaim, lease: Lease, *, store: DeliveryStore, deliverer: str) -> None:
        self._claim = claim
        self._lease = lease
        self._store = store
        self._deliverer = deliverer

    async def record(self, outcome: BaseException) -> None:
        """Record why the work ended. Raises LeaseLost when the claim is lost, and errors that are not a delivery's."""
        match outcome:
            case LeaseLost():
                raise outcome
            case asyncio.CancelledError() if self._lease.is_lost:
                raise LeaseLost("the lease has expired")
            case CancelRequested():
                await self._lease.retry_while_held(self._cancel)
            case asyncio.CancelledError() if self._lease.is_cancelled:
                await self._lease.retry_while_held(self._cancel)
            case asyncio.CancelledError() | HandBack():
                await self._lease.retry_while_held(self._hand_back)
            case DeliveryError():
                await self._lease.retry_while_held(partial(self._fail, outcome))
            case Exception():
                # Its message may quote a secret; the log has its location and type.
                log.warning("delivery failed unexpectedly", error=type(outcome).__name__, exc_info=outcome)
                message = f"An unexpected error occurred in the deliverer ({type(outcome).__name__})."
                await self._lease.retry_while_held(partial(self._fail, DeliveryError("internal", message)))
            case _:
                raise outcome

    async def _fail(self, error: DeliveryError) -> None:
        claim, described = self._claim, (error.code, str(error))
        delay = compute_retry_delay(claim.attempt)
        async with self._store.lock_claim(claim) as (database, locked):
            fields = claim.get_event_fields(locked.seq, locked.at)
            if error.code not in NOT_OF_DESTINATION:
                await self._store.delay_destination(database, claim)
            is_final = error.code in PERMANENT or locked.is_overdue
            event: DeliveryFailed | DeliveryAttemptFailed
            if is_final:
                await self._store.end(database, claim, "failed", error=described)
                event = DeliveryFailed(**fields, attempt=claim.attempt, code=error.code, message=str(error))
            else:
                retry_at = await self._store.requeue(database, claim, delay, error=described)
                event = DeliveryAttemptFailed(
                    **fields, attempt=claim.attempt, code=error.code, message=str(error), retry_at=retry_at
                )
            await self._store.write_events(database, [event], locked.at)
        DELIVERY_ERRORS.labels(error.code).inc()
        if is_final:
            DELIVERIES_ENDED.labels("failed", error.code).inc()
        log.info("delivery not possible", delivery_id=str(claim.delivery_id), code=error.code, is_final=is_final)

    async def _cancel(self) -> None:
        claim = self._claim
        async with self._store.lock_claim(claim) as (database, locked):
            await self._store.end(database, claim, "cancelled", error=None)
            event = DeliveryCancelled(
                **claim.get_event_fields(locked.seq, locked.at),
                reason="destination-deleted" if locked.cancel_reason == "destination-deleted" else "requested",
                requested_by=locked.cancel_by,
            )
            await self._store.write_events(database, [event], locked.at)
        DELIVERIES_ENDED.labels("cancelled", event.reason).inc()

    async def _hand_back(self) -> None:
        claim = self._claim
        async with self._store.lock_claim(claim) as (database, locked):
            await self._store.requeue(database, claim, timedelta(0), error=None)
            event = DeliveryHandedBack(**claim.get_event_fields(locked.seq, locked.at), deliverer=self._deliverer)
            await self._store.write_events(database, [event], locked.at)
