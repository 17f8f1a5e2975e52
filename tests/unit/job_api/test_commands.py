"""State x command, as the table says: J5 to J10."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from job_api.domain import Command, Context, Draft, Job, Recipient, ScheduleDraft, Standing, created, edited, perform
from job_api.domain.standing import standing_of
from job_api.errors import Invalid, Refused
from shared.events.values import ScheduleKind

NOW = datetime(2026, 11, 24, 10, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUN = UUID(int=9)
OFFICER = Recipient(name="officer", active=True, not_before=NOW - HOUR, not_after=NOW + 1000 * HOUR)
CONTEXT = Context(now=NOW, source_tenant=7, media_types=("email",), recipients={UUID(int=1): OFFICER})
SUSPEND, RESUME, EDIT, RUN_NOW, DELETE = Command


def draft(kind: ScheduleKind, start: datetime | None = None) -> Draft:
    schedule = ScheduleDraft(kind=kind, start=start, immediately=start is None)
    return Draft(title="t", source="contact_history", type="interaction", schedule=schedule)


def job(kind: ScheduleKind, start: datetime | None = None) -> Job:
    return created(draft(kind, start), CONTEXT, job_id=UUID(int=2), tenant_id=UUID(int=3))


REPEATED, WAITING, AT_ONCE = job("hourly"), job("once", NOW + HOUR), job("once")
JOBS = {
    Standing.REPEATED_ACTIVE: REPEATED,
    Standing.REPEATED_SUSPENDED: REPEATED.suspended("user", NOW),
    Standing.ONCE_WAITING: WAITING,
    Standing.ONCE_PAUSED: WAITING.suspended("user", NOW),
    Standing.ONCE_SPENT: AT_ONCE,
}
SAME = "same"
EXPECTED = {
    #                              SUSPEND       RESUME                    EDIT                    RUN NOW   DELETE
    Standing.REPEATED_ACTIVE: ("suspended", SAME, SAME, SAME, SAME),
    Standing.REPEATED_SUSPENDED: (SAME, "active", SAME, SAME, SAME),
    Standing.ONCE_WAITING: ("suspended", SAME, "one-time-not-editable", "one-time-not-run-now", SAME),
    Standing.ONCE_PAUSED: (SAME, "active", "one-time-not-editable", "one-time-not-run-now", SAME),
    Standing.ONCE_SPENT: (SAME, "one-time-not-resumable", "one-time-not-editable", "one-time-not-run-now", SAME),
}


def outcome(job: Job, command: Command, *, busy: UUID | None = None, now: datetime = NOW) -> str:
    try:
        after = perform(job, command, now=now, busy=busy)
    except Refused as refused:
        return refused.kind
    return SAME if after is job else after.state


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("command", Command)
def test_J5_to_J10_the_table(standing: Standing, command: Command) -> None:
    assert standing_of(JOBS[standing], NOW) is standing
    expected = EXPECTED[standing][list(Command).index(command)]
    assert outcome(JOBS[standing], command) == expected
    # J9: a run in progress stands in the way of deleting, and of nothing else
    assert outcome(JOBS[standing], command, busy=RUN) == ("run-in-progress" if command is DELETE else expected)


def test_J5_each_change_is_a_version_of_its_own_and_nothing_else_changes() -> None:
    suspended = perform(REPEATED, SUSPEND, now=NOW + HOUR, busy=None)
    assert (suspended.version, suspended.state_reason, suspended.saved_at) == (2, "user", NOW + HOUR)
    resumed = perform(suspended, RESUME, now=NOW + 2 * HOUR, busy=None)
    assert replace(resumed, version=1, saved_at=REPEATED.saved_at) == REPEATED
    assert resumed.version == 3


def test_J6_once_at_once_is_born_suspended() -> None:
    assert (AT_ONCE.state, AT_ONCE.state_reason, AT_ONCE.version) == ("suspended", "one-time", 1)


@pytest.mark.parametrize("before", [Standing.ONCE_WAITING, Standing.ONCE_PAUSED])
def test_J7_past_its_start_a_one_time_job_cannot_be_resumed(before: Standing) -> None:
    assert outcome(JOBS[before], RESUME, now=NOW + HOUR) == "one-time-not-resumable"
    assert outcome(JOBS[before].suspended("one-time", NOW), RESUME) == "one-time-not-resumable"


def test_J9_the_refusal_names_the_run_and_its_cancel() -> None:
    with pytest.raises(Refused) as refused:
        perform(REPEATED, DELETE, now=NOW, busy=RUN)
    assert refused.value.extra == {"run": str(RUN), "cancel": f"/api/v1/runs/{RUN}/cancel"}
    assert str(RUN) in refused.value.detail


def test_J10_an_edit_keeps_the_instant_that_immediately_meant() -> None:
    later = replace(CONTEXT, now=NOW + 5 * HOUR)
    after = edited(REPEATED, draft("daily"), later)
    assert (after.schedule.start, after.version, after.created_at, after.saved_at) == (
        REPEATED.schedule.start,
        2,
        NOW,
        later.now,
    )
    sent_back = replace(draft("daily"), schedule=ScheduleDraft(kind="daily", immediately=True, start=NOW))
    assert edited(REPEATED, sent_back, later).schedule.start == NOW
    moved = replace(draft("daily"), schedule=ScheduleDraft(kind="daily", immediately=True, start=NOW + HOUR))
    with pytest.raises(Invalid):
        edited(REPEATED, moved, later)


def test_J10_a_schedule_that_is_changed_to_start_at_once_starts_at_the_edit() -> None:
    planned = job("daily", NOW + HOUR)
    assert edited(planned, draft("daily"), replace(CONTEXT, now=NOW + 5 * HOUR)).schedule.start == NOW + 5 * HOUR


def test_J6_a_repeated_job_edited_to_run_once_at_once_is_spent() -> None:
    after = edited(job("daily", NOW + HOUR), draft("once"), CONTEXT)
    assert (after.state, after.state_reason, standing_of(after, NOW)) == ("suspended", "one-time", Standing.ONCE_SPENT)
