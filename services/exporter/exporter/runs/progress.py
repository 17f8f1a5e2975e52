"""Progress reports to Kafka: only the latest state, at most once a second and at least every five seconds.

The coordinator reports for all exporters that work on the run, from what each saves about its slice.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from exporter.domain.slicing import RunTotals, sum_progress
from exporter.runs.stall_timer import StallTimer
from exporter.store.runs import RunClaim
from exporter.store.slices import SliceStore
from exporter.store.statements import EVENT_SOURCE
from shared.clock import Clock
from shared.codec import encode
from shared.errors import TransientError
from shared.events import RunProgressed
from shared.events.values import FileKind, Phase
from shared.kafka import Producer
from shared.lifecycle import wait_for_first
from shared.observe import FIRST_PROGRESS_SECONDS, get_logger

log = get_logger(__name__)
_MIN_SECONDS, _MAX_SECONDS = 1.0, 5.0
_PHASE_TIMEOUT = 2.0


class ProgressReporter:
    """Reports the progress of one claim; losing a report is harmless, so nothing waits for one."""

    def __init__(self, producer: Producer, claim: RunClaim, slices: SliceStore, *, clock: Clock) -> None:
        self._producer = producer
        self._claim = claim
        self._slices = slices
        self._clock = clock
        self._claimed_at = clock.now()
        self._estimated: Mapping[FileKind, int] = {}
        self._counted: Mapping[FileKind, int] = {}
        self._phase: Phase = "count"
        self._changed = asyncio.Event()
        self._seq = 0
        self._max_rows_done = 0
        self._has_estimate = False
        self.stall_timer = StallTimer()

    def set_estimate(self, rows: Mapping[FileKind, int]) -> None:
        """Set the planner's row estimate, by kind."""
        self._estimated = rows
        self._has_estimate = True
        self._changed.set()

    def set_counts(self, rows: Mapping[FileKind, int]) -> None:
        """Set the exact number of rows, of the kinds that have a single slice."""
        self._counted = rows

    def mark_changed(self) -> None:
        """Note that the export of slices has advanced."""
        self._phase = "export"
        self._changed.set()

    async def run(self) -> None:
        """Report at once, and then until cancelled; an unchanged state is repeated as a heartbeat."""
        while True:
            self._changed.clear()
            await self._report()
            await self._clock.sleep(_MIN_SECONDS)
            await wait_for_first(self._changed, seconds=_MAX_SECONDS - _MIN_SECONDS)

    async def report_phase(self, phase: Phase) -> None:
        """Report a new phase now, unless Kafka takes longer than two seconds."""
        self._phase = phase
        with suppress(TimeoutError):
            await asyncio.wait_for(self._report(), _PHASE_TIMEOUT)

    async def _report(self) -> None:
        try:
            totals = sum_progress(await self._slices.list_slices(self._claim.run_id), self._counted, self._estimated)
            self.stall_timer.observe((self._phase, totals.rows_done, totals.bytes_done))
            await self._producer.send([encode(self._build_event(totals), source=EVENT_SOURCE, at=self._clock.now())])
        except TransientError as error:
            log.warning("progress not reported", error=str(error))
            return
        if self._seq == 1:
            FIRST_PROGRESS_SECONDS.observe((self._clock.now() - self._claimed_at).total_seconds())

    def _build_event(self, totals: RunTotals) -> RunProgressed:
        self._seq += 1
        # A slice that is taken over returns to its last finished part; the reported progress does not (H4).
        self._max_rows_done = max(self._max_rows_done, totals.rows_done)
        return RunProgressed(
            job_id=self._claim.job_id,
            tenant_id=self._claim.tenant_id,
            run_id=self._claim.run_id,
            token=self._claim.token,
            seq=self._seq,
            at=self._clock.now(),
            phase=self._phase,
            units_done=self._max_rows_done,
            units_total=max(totals.rows_total, self._max_rows_done) if self._has_estimate else None,
            total_exact=totals.exact,
            bytes_done=totals.bytes_done,
            slices=totals.slices,
        )
