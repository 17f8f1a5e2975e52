"""What ledger and topic must contain after a storm, computed from the published events alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared import events
from shared.timetable import derive_request_run_id, derive_run_id
from tests.unit.scheduler.memory import grid

SlotEvent = events.SlotTriggered | events.SlotSkipped


@dataclass
class JobEvents:
    """All events of one job: its versions in order, run-now requests, and its deletion."""

    versions: list[events.JobSaved]
    requests: list[events.RunNow] = field(default_factory=list)
    deleted_at: datetime | None = None


@dataclass(frozen=True)
class LedgerRow:
    """A row of the ledger."""

    job_id: UUID
    at: datetime
    run_id: UUID
    version: int
    fate: str
    reason: str


@dataclass
class Verdict:
    """The findings; all lists must be empty."""

    slots: int = 0
    early: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    inconsistent: list[str] = field(default_factory=list)


def judge(
    jobs: Iterable[JobEvents], ledger: Sequence[LedgerRow], published: Sequence[SlotEvent], until: datetime
) -> Verdict:
    """Compare ledger and topic with the jobs, up to the latest instant of the ledger's clock."""
    verdict = Verdict(slots=len(ledger))
    rows: dict[UUID, dict[datetime, LedgerRow]] = defaultdict(dict)
    for row in ledger:
        rows[row.job_id][row.at] = row
    for job in jobs:
        _judge_job(job, rows[job.versions[0].job_id], until, verdict)
    _judge_topic(ledger, published, verdict)
    return verdict


def _judge_job(job: JobEvents, rows: Mapping[datetime, LedgerRow], until: datetime, verdict: Verdict) -> None:
    versions = {each.version: each for each in job.versions}
    expected = dict(_expected_slots(job, until))
    for slot, owner in expected.items():
        if (row := rows.get(slot)) is None:
            verdict.lost.append(f"{owner.job_id} v{owner.version} {slot}")
        elif row.version > owner.version:
            verdict.wrong.append(f"{row} belongs to v{owner.version}")
    requests = {derive_request_run_id(each.request_id) for each in job.requests}
    for row in rows.values():
        if row.run_id in requests:
            requests.discard(row.run_id)
            verdict.wrong += [] if row.reason in {"run-now", "ended"} else [str(row)]
            continue
        version = versions[row.version]
        if row.at not in expected or expected[row.at].version != row.version:
            # Decided by a version before the next one had arrived.
            verdict.early += 1
        if row.run_id != derive_run_id(row.job_id, row.at) or not _fits(version, row, job):
            verdict.wrong.append(str(row))
    verdict.lost += [f"request {each}" for each in requests]


def _expected_slots(job: JobEvents, until: datetime) -> Iterable[tuple[datetime, events.JobSaved]]:
    begins: list[datetime] = []
    for each in job.versions:
        begin = each.saved_at
        if each.schedule.immediately and each.schedule.start == each.saved_at:
            begin = begin.replace(microsecond=0)
        begins.append(max([begin, *begins[-1:]]))
    ends = [*begins[1:], job.deleted_at or until]
    for version, begin, end in zip(job.versions, begins, ends, strict=True):
        schedule, last = version.schedule, min(end, until)
        if schedule.immediately and begin == (start := schedule.start.replace(microsecond=0)) and start < last:
            yield start, version
        if schedule.kind == "once" and schedule.immediately:
            continue
        for slot in grid(schedule, begin, last):
            if slot < end:
                yield slot, version


def _fits(version: events.JobSaved, row: LedgerRow, job: JobEvents) -> bool:
    schedule = version.schedule
    if row.reason == "ended":
        return job.deleted_at is not None
    is_immediate = schedule.immediately and row.at == schedule.start.replace(microsecond=0)
    if is_immediate and (version.state == "active" or schedule.kind == "once"):
        return row.reason == "immediate"
    if not is_immediate and row.at not in set(grid(schedule, row.at, row.at)):
        return False
    if version.state == "suspended":
        return row.reason == "suspended"
    return row.reason in {"schedule", "catch-up", "missed"} and (version.catch_up != "none" or row.reason != "catch-up")


def _judge_topic(ledger: Sequence[LedgerRow], published: Sequence[SlotEvent], verdict: Verdict) -> None:
    by_run: dict[UUID, SlotEvent] = {}
    for event in published:
        if by_run.setdefault(event.run_id, event) != event:
            verdict.inconsistent.append(f"{event.run_id} published in two ways")
    for row in ledger:
        found = by_run.pop(row.run_id, None)
        if found is None:
            verdict.unpublished.append(str(row))
            continue
        fate, reason = (
            ("triggered", found.cause) if isinstance(found, events.SlotTriggered) else ("skipped", found.reason)
        )
        if (fate, reason, found.slot, found.job_version) != (row.fate, row.reason, row.at, row.version):
            verdict.inconsistent.append(f"{row} was published as {found}")
    verdict.inconsistent += [f"{left} has no row" for left in by_run.values()]
