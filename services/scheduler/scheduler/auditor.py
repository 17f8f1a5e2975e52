"""The auditor: recomputes slots from the schedules and compares them with the ledger. A difference is a fault of ours.

It goes round all jobs in small pieces, one scheduler at a time; where it stands is a row, so that whoever comes next
goes on from there. A round looks at the slots since the round before, and at least at the last hour, and recomputes
them from the versions that were in force then.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from scheduler.domain import INSTANT, Version, immediate_slot
from scheduler.store_audit import AuditLog, Piece, Recorded
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import AUDIT_DIFFERENCES, AUDITED_SLOTS, get_logger
from shared.timetable import derive_run_id, iterate_slots

log = get_logger(__name__)
Difference = Literal["missing", "unexpected", "wrong"]
_JOBS_AT_ONCE = 500
_SHARE = 250
"""After each piece the auditor rests this many times as long as the piece took: less than half a percent of a core."""


def differences(
    version: Version, ledger: Sequence[Recorded], slots_from: datetime, slots_to: datetime
) -> Iterator[tuple[datetime, Difference]]:
    """Yield where the ledger is not what a version's schedule says of the time that it ruled, between two instants."""
    begin, end = max(slots_from, version.since), min(slots_to, version.until or slots_to)
    recorded = {each.at: each for each in ledger if begin <= each.at < end}
    if version.next_slot is not None:
        end = min(end, version.next_slot)
    for slot in iterate_slots(version.schedule, begin - INSTANT, end - INSTANT):
        found = recorded.pop(slot, None)
        if found is None:
            # A deleted job's last version stands among the past ones too, with its end: there it is said what it lacks.
            if version.until is not None or not version.deleted:
                yield slot, "missing"
        elif not _is_right(version, found):
            yield slot, "wrong"
    yield from ((at, "unexpected") for at, each in recorded.items() if each.version == version.number)


def _is_right(version: Version, found: Recorded) -> bool:
    if found.run_id != derive_run_id(version.job_id, found.at):
        return False
    if found.version != version.number:
        return found.version < version.number  # decided before this version had come
    if found.reason == "ended":
        return version.deleted
    if found.at == immediate_slot(version.schedule) and found.reason == "immediate":
        return version.state == "active" or version.schedule.kind == "once"
    return (found.reason == "suspended") == (version.state == "suspended")


class Auditor:
    """Goes round for ever, and tells of differences in a metric that must stay 0, and in the log."""

    def __init__(self, log_of_audits: AuditLog, *, every: timedelta) -> None:
        self._audits = log_of_audits
        self._every = every

    async def run(self, stopping: asyncio.Event) -> None:
        """Audit until `stopping` is set."""
        while not stopping.is_set():
            began = time.monotonic()
            try:
                jobs = await self.turn()
            except TransientError as error:
                log.debug("audit put off", error=str(error))
                jobs = 0
            took = time.monotonic() - began
            await wait_for_first(
                stopping, seconds=_SHARE * took if jobs == _JOBS_AT_ONCE else self._every.total_seconds()
            )

    async def turn(self) -> int:
        """Audit the next piece; return the number of its jobs."""
        async with self._audits.next_piece(_JOBS_AT_ONCE, rest=self._every) as piece:
            if piece is None:
                return 0
            found = list(_in_piece(piece))
        AUDITED_SLOTS.inc(sum(len(each) for each in piece.ledger.values()))
        for version, slot, kind in found:
            AUDIT_DIFFERENCES.labels(kind).inc()
            log.error("ledger differs", job_id=str(version.job_id), slot=slot.isoformat(), difference=kind)
        return len(piece.jobs)


def _in_piece(piece: Piece) -> Iterator[tuple[Version, datetime, Difference]]:
    for version in (*piece.jobs, *piece.past):
        for slot, kind in differences(version, piece.ledger.get(version.job_id, ()), piece.slots_from, piece.slots_to):
            yield version, slot, kind
