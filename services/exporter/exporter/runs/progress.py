"""Telling Kafka how far a run is: the newest word only, once a second at most, every five seconds at least.

The coordinator tells it for all who work on the run, from what each of them notes of its slice.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from exporter.domain.slicing import Totals, totals
from exporter.runs.stall_timer import Silence
from exporter.store.runs import SOURCE, Claim
from exporter.store.slices import SliceStore
from shared.clock import Clock
from shared.codec import encode
from shared.errors import TransientError
from shared.events import RunProgressed
from shared.events.values import FileKind, Phase
from shared.kafka import Producer
from shared.lifecycle import wait_for_first
from shared.observe import FIRST_PROGRESS_SECONDS, get_logger

log = get_logger(__name__)
_AT_MOST, _AT_LEAST = 1.0, 5.0


class ProgressTeller:
    """One claim's progress; losing a message is harmless, so nothing waits for this."""

    def __init__(self, producer: Producer, claim: Claim, slices: SliceStore, clock: Clock) -> None:
        self._producer = producer
        self._claim = claim
        self._slices = slices
        self._clock = clock
        self._claimed_at = clock.now()
        self._estimated: Mapping[FileKind, int] = {}
        self._counted: Mapping[FileKind, int] = {}
        self._phase: Phase = "count"
        self._fresh = asyncio.Event()
        self._seq = 0
        self._most = 0
        self._known = False
        self.silence = Silence()

    def estimated(self, rows: Mapping[FileKind, int]) -> None:
        """Note what the planner expects, by kind."""
        self._estimated = rows
        self._known = True
        self._fresh.set()

    def counted(self, rows: Mapping[FileKind, int]) -> None:
        """Note what the snapshot holds of kinds that are one slice each."""
        self._counted = rows

    def fresh(self) -> None:
        """Note that slices are being exported and have moved."""
        self._phase = "export"
        self._fresh.set()

    async def run(self) -> None:
        """Send at once and until cancelled; the same again where nothing moves, as a sign of life."""
        while True:
            self._fresh.clear()
            await self._send()
            await self._clock.sleep(_AT_MOST)
            await wait_for_first(self._fresh, seconds=_AT_LEAST - _AT_MOST)

    async def last(self, phase: Phase) -> None:
        """Send the newest word now, if Kafka takes it at once."""
        self._phase = phase
        with suppress(TimeoutError):
            await asyncio.wait_for(self._send(), 2.0)

    async def _send(self) -> None:
        try:
            found = totals(await self._slices.standing(self._claim.run_id), self._counted, self._estimated)
            self.silence.at((self._phase, found.rows_done, found.bytes_done))
            await self._producer.send([encode(self._event(found), source=SOURCE, at=self._clock.now())])
        except TransientError as error:
            log.warning("progress not told", error=str(error))
            return
        if self._seq == 1:
            FIRST_PROGRESS_SECONDS.observe((self._clock.now() - self._claimed_at).total_seconds())

    def _event(self, found: Totals) -> RunProgressed:
        self._seq += 1
        # A slice that is taken over goes back to its last finished part; what is told does not.
        self._most = max(self._most, found.rows_done)
        return RunProgressed(
            job_id=self._claim.job_id,
            tenant_id=self._claim.tenant_id,
            run_id=self._claim.run_id,
            token=self._claim.token,
            seq=self._seq,
            at=self._clock.now(),
            phase=self._phase,
            units_done=self._most,
            units_total=max(found.rows_total, self._most) if self._known else None,
            total_exact=found.exact,
            bytes_done=found.bytes_done,
            slices=found.slices,
        )
