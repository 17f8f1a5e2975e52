"""Claiming and carrying out deliveries: several at a time, fair between destinations and tenants (rules D7 and D8)."""

import asyncio
from functools import partial

from exporter.delivery.opening import TargetOpener
from exporter.delivery.outcome import DeliveryOutcomeRecorder
from exporter.delivery.settings import Settings
from exporter.delivery.source import FileSource
from exporter.delivery.transfer import Transfer
from exporter.errors import LeaseLost
from exporter.runs.claim_loop import ClaimLoop
from exporter.runs.lease import Lease
from exporter.runs.lease_watch import LeaseWatch
from exporter.store.deliveries import DeliveryClaim, DeliveryLease, DeliveryStore
from shared.clock import Clock
from shared.events import DeliveryCancelled
from shared.lifecycle import wait_for_first
from shared.observe import (
    DELIVERIES_CLAIMED,
    DELIVERIES_ENDED,
    DELIVERIES_OLDEST_WAIT,
    DELIVERIES_PENDING,
    DELIVERY_SECONDS,
    DESTINATIONS_FAILING,
    LEASES_LOST,
    TAKEOVERS,
    get_logger,
)

log = get_logger(__name__)


class Deliverer:
    """One of any number of equal deliverers over the same deliveries."""

    def __init__(
        self, *, store: DeliveryStore, source: FileSource, opener: TargetOpener, settings: Settings, clock: Clock
    ) -> None:
        self._store = store
        self._source = source
        self._opener = opener
        self._settings = settings
        self._clock = clock
        self._watch = LeaseWatch[DeliveryLease](settings.lease)
        self._leases = ClaimLoop[Lease]("delivery", show_claimed=DELIVERIES_CLAIMED.set, drain=settings.drain)

    def wake(self, reason: str) -> None:
        """Check for work, and unless the reason is "work", check the deliveries in progress for cancellation too."""
        self._leases.wake()
        if reason != "work":
            for lease in self._leases:
                lease.check_now()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set, then finish or hand back the deliveries in progress."""
        await self._leases.run(self._claim_all, stopping)

    async def _claim_all(self) -> float | None:
        """Fill the free places; return the seconds until there may be more work, if that is known."""
        store, settings = self._store, self._settings
        if expired := self._watch.find_expired(await store.list_leases()):
            await store.expire(expired)
        for event in await store.end_unclaimed():
            match event:
                case DeliveryCancelled():
                    DELIVERIES_ENDED.labels("cancelled", event.reason).inc()
                case _:
                    DELIVERIES_ENDED.labels("failed", event.code).inc()
        backlog = await store.measure_backlog()
        DELIVERIES_PENDING.set(backlog.pending)
        DELIVERIES_OLDEST_WAIT.set(backlog.oldest)
        DESTINATIONS_FAILING.set(backlog.failing)
        while len(self._leases) < settings.places:
            claim = await store.claim(
                settings.name,
                settings.lease,
                destination_limit=settings.destination_limit,
                tenant_limit=settings.tenant_limit,
            )
            if claim is None:
                break
            self._begin(claim)
        waits = (await store.get_seconds_to_retry(), self._watch.get_seconds_to_expiry())
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def _begin(self, claim: DeliveryClaim) -> None:
        if claim.taken_over:
            TAKEOVERS.labels("delivery").inc()
        log.info(
            "delivery claimed",
            delivery_id=str(claim.delivery_id),
            attempt=claim.attempt,
            token=claim.token,
            taken_over=claim.taken_over,
        )
        lease = Lease(partial(self._store.renew, claim), self._settings.lease, clock=self._clock)
        self._leases.begin(lease, self._carry_out(claim, lease), name=f"delivery {claim.delivery_id}")

    async def _carry_out(self, claim: DeliveryClaim, lease: Lease) -> None:
        recorder = DeliveryOutcomeRecorder(claim, lease, store=self._store, deliverer=self._settings.name)
        renewing = asyncio.create_task(lease.keep_renewing(), name="lease")
        working = asyncio.create_task(self._deliver(claim, lease), name="transfer")
        interrupted = asyncio.create_task(wait_for_first(lease.ended, self._leases.handing_back), name="interruption")
        try:
            await asyncio.wait([working, interrupted], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            outcome = (await asyncio.gather(working, return_exceptions=True))[0]
            if outcome is not None:
                await recorder.record(outcome)
        except LeaseLost:
            LEASES_LOST.inc()
            log.warning("lease on a delivery lost", delivery_id=str(claim.delivery_id))
        finally:
            interrupted.cancel()
            renewing.cancel()

    async def _deliver(self, claim: DeliveryClaim, lease: Lease) -> None:
        target = await self._opener.open(claim.destination)
        try:
            with DELIVERY_SECONDS.labels(claim.destination.kind).time():
                await Transfer(
                    claim, lease, target, source=self._source, store=self._store, stopping=self._leases.stopping
                ).run()
        finally:
            await target.close()
        DELIVERIES_ENDED.labels("delivered", "").inc()
        log.info("delivered", delivery_id=str(claim.delivery_id))
