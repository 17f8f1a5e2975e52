"""What the ledger and the topic must hold after a storm, worked out from what was told and nothing else."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared import events
from shared.timetable import derive_request_run_id, derive_run_id
from tests.unit.scheduler.memory import grid

Fate = events.SlotTriggered | events.SlotSkipped


@dataclass
class Story:
    """All that was told of one job: its versions in order, requests to run it now, and its deletion."""

    versions: list[events.JobSaved]
    requests: list[events.RunNow] = field(default_factory=list)
    deleted_at: datetime | None = None


@dataclass(frozen=True)
class Row:
    """A row of the ledger."""

    job_id: UUID
    at: datetime
    run_id: UUID
    version: int
    fate: str
    reason: str


@dataclass
class Verdict:
    """What was found; all lists must be empty."""

    slots: int = 0
    early: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    told_twice: list[str] = field(default_factory=list)


def judge(stories: Iterable[Story], ledger: Sequence[Row], told: Sequence[Fate], until: datetime) -> Verdict:
    """Compare ledger and topic with the stories, up to the last instant that the ledger's clock has shown."""
    verdict = Verdict(slots=len(ledger))
    rows: dict[UUID, dict[datetime, Row]] = defaultdict(dict)
    for row in ledger:
        rows[row.job_id][row.at] = row
    for story in stories:
        _judge_job(story, rows[story.versions[0].job_id], until, verdict)
    _judge_topic(ledger, told, verdict)
    return verdict


def _judge_job(story: Story, rows: Mapping[datetime, Row], until: datetime, verdict: Verdict) -> None:
    versions = {each.version: each for each in story.versions}
    owned = dict(_owned(story, until))
    for slot, owner in owned.items():
        if (row := rows.get(slot)) is None:
            verdict.lost.append(f"{owner.job_id} v{owner.version} {slot}")
        elif row.version > owner.version:
            verdict.wrong.append(f"{row} belongs to v{owner.version}")
    requests = {derive_request_run_id(each.request_id) for each in story.requests}
    for row in rows.values():
        if row.run_id in requests:
            requests.discard(row.run_id)
            verdict.wrong += [] if row.reason in {"run-now", "ended"} else [str(row)]
            continue
        version = versions[row.version]
        if row.at not in owned or owned[row.at].version != row.version:
            # Decided by a version while the next one was still on its way.
            verdict.early += 1
        if row.run_id != derive_run_id(row.job_id, row.at) or not _fits(version, row, story):
            verdict.wrong.append(str(row))
    verdict.lost += [f"request {each}" for each in requests]


def _owned(story: Story, until: datetime) -> Iterable[tuple[datetime, events.JobSaved]]:
    begins: list[datetime] = []
    for each in story.versions:
        begin = each.saved_at
        if each.schedule.immediately and each.schedule.start == each.saved_at:
            begin = begin.replace(microsecond=0)
        begins.append(max([begin, *begins[-1:]]))
    ends = [*begins[1:], story.deleted_at or until]
    for version, begin, end in zip(story.versions, begins, ends, strict=True):
        schedule, last = version.schedule, min(end, until)
        if schedule.immediately and begin == (start := schedule.start.replace(microsecond=0)) and start < last:
            yield start, version
        if schedule.kind == "once" and schedule.immediately:
            continue
        for slot in grid(schedule, begin, last):
            if slot < end:
                yield slot, version


def _fits(version: events.JobSaved, row: Row, story: Story) -> bool:
    schedule = version.schedule
    if row.reason == "ended":
        return story.deleted_at is not None
    at_once = schedule.immediately and row.at == schedule.start.replace(microsecond=0)
    if at_once and (version.state == "active" or schedule.kind == "once"):
        return row.reason == "immediate"
    if not at_once and row.at not in set(grid(schedule, row.at, row.at)):
        return False
    if version.state == "suspended":
        return row.reason == "suspended"
    return row.reason in {"schedule", "catch-up", "missed"} and (version.catch_up != "none" or row.reason != "catch-up")


def _judge_topic(ledger: Sequence[Row], told: Sequence[Fate], verdict: Verdict) -> None:
    heard: dict[UUID, Fate] = {}
    for event in told:
        if heard.setdefault(event.run_id, event) != event:
            verdict.told_twice.append(f"{event.run_id} in two ways")
    for row in ledger:
        found = heard.pop(row.run_id, None)
        if found is None:
            verdict.untold.append(str(row))
            continue
        word, reason = (
            ("triggered", found.cause) if isinstance(found, events.SlotTriggered) else ("skipped", found.reason)
        )
        if (word, reason, found.slot, found.job_version) != (row.fate, row.reason, row.at, row.version):
            verdict.told_twice.append(f"{row} was told as {found}")
    verdict.told_twice += [f"{left} has no row" for left in heard.values()]
