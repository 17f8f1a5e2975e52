"""The auditor: recomputes slots from the schedules and compares them with the ledger, which must agree.

A round covers all jobs in small batches, by one scheduler at a time; its position is stored in a row, from which any
scheduler continues. A round checks the slots since the last round, and at least the last hour, and recomputes them from
the versions that were in force then.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from scheduler.domain import MICROSECOND, JobVersion, find_immediate_slot
from scheduler.store_audit import AuditBatch, AuditStore, RecordedSlot
from shared.errors import TransientError
from shared.kafka.handling import describe_error
from shared.lifecycle import wait_for_first
from shared.observe import AUDIT_DIFFERENCES, AUDITED_SLOTS, get_logger
from shared.timetable import derive_run_id, iterate_slots

log = get_logger(__name__)
Difference = Literal["missing", "unexpected", "wrong"]
for _difference in (*get_args(Difference), "unreadable"):
    AUDIT_DIFFERENCES.labels(_difference)  # so that the first difference after a start is a change
_JOBS_PER_BATCH = 500
_PAUSE_FACTOR = 250
"""Each batch is followed by a pause this many times as long: the auditor takes less than half a percent of a core."""


def find_differences(
    version: JobVersion, ledger: Sequence[RecordedSlot], *, slots_from: datetime, slots_to: datetime
) -> Iterator[tuple[datetime, Difference]]:
    """Yield the slots in [slots_from, slots_to) for which the ledger differs from a version's schedule."""
    begin, end = max(slots_from, version.since), min(slots_to, version.until or slots_to)
    recorded = {each.at: each for each in ledger if begin <= each.at < end}
    if version.next_slot is not None:
        end = min(end, version.next_slot)
    for slot in iterate_slots(version.schedule, begin - MICROSECOND, end - MICROSECOND):
        found = recorded.pop(slot, None)
        if found is None:
            # The last version of a deleted job is also superseded, with its end, and is checked as such.
            if version.until is not None or not version.deleted:
                yield slot, "missing"
        elif not _is_right(version, found):
            yield slot, "wrong"
    yield from ((at, "unexpected") for at, each in recorded.items() if each.version == version.number)


def _is_right(version: JobVersion, found: RecordedSlot) -> bool:
    if found.run_id != derive_run_id(version.job_id, found.at):
        return False
    if found.version != version.number:
        return found.version < version.number  # decided before this version had arrived
    if found.reason == "ended":
        return version.deleted
    if found.at == find_immediate_slot(version.schedule) and found.reason == "immediate":
        return version.state == "active" or version.schedule.kind == "once"
    return (found.reason == "suspended") == (version.state == "suspended")


def audit(batch: AuditBatch) -> Iterator[tuple[JobVersion, datetime, Difference]]:
    """Yield the differences of a batch: the version, its slot, and how ledger and schedule differ."""
    for version in (*batch.current, *batch.superseded):
        ledger = batch.ledger.get(version.job_id, ())
        for slot, difference in find_differences(version, ledger, slots_from=batch.slots_from, slots_to=batch.slots_to):
            yield version, slot, difference


class Auditor:
    """Audits continuously, and reports differences in the log and in a metric that must stay 0."""

    def __init__(self, store: AuditStore, *, every: timedelta) -> None:
        self._store = store
        self._every = every
        self._size = _JOBS_PER_BATCH

    async def run(self, stopping: asyncio.Event) -> None:
        """Audit until `stopping` is set; transient errors are retried."""
        while not stopping.is_set():
            began = time.monotonic()
            try:
                jobs = await self.audit_batch()
            except TransientError as error:
                log.debug("retrying audit", error=str(error))
                jobs = 0
            took = time.monotonic() - began
            pause = _PAUSE_FACTOR * took if jobs == self._size else self._every.total_seconds()
            await wait_for_first(stopping, seconds=pause)

    async def audit_batch(self) -> int:
        """Audit the next batch; return the number of its jobs. Raises PostgresUnavailable.

        After a failure the jobs are audited one by one, until the one that causes it has been skipped and counted.
        """
        try:
            return await self._audit()
        except TransientError:
            raise
        except Exception as error:
            if self._size > 1:
                self._size = 1
                log.warning("audit failed, auditing jobs one by one", error=describe_error(error))
            else:
                job_id, self._size = await self._store.skip_job(), _JOBS_PER_BATCH
                AUDIT_DIFFERENCES.labels("unreadable").inc()
                log.exception("job cannot be audited", job_id=str(job_id))
            return self._size

    async def _audit(self) -> int:
        async with self._store.open_batch(self._size, pause=self._every) as batch:
            if batch is None:
                return 0
            differences = list(audit(batch))
        AUDITED_SLOTS.inc(sum(len(each) for each in batch.ledger.values()))
        for version, slot, difference in differences:
            AUDIT_DIFFERENCES.labels(difference).inc()
            log.error("ledger differs", job_id=str(version.job_id), slot=slot.isoformat(), difference=difference)
        return len(batch.current)
