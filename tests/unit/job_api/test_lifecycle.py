"""What each action does in each stage of a job's life: J5 to J10."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from job_api.domain import (
    Draft,
    DraftContext,
    Job,
    JobAction,
    JobStage,
    ScheduleDraft,
    TenantCertificate,
    apply_action,
    create_job,
    edit_job,
)
from job_api.domain.actions import find_stage
from job_api.errors import InvalidInput, OperationRefused
from shared.events.values import ScheduleKind

NOW = datetime(2026, 11, 24, 10, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUN = UUID(int=9)
OFFICER = TenantCertificate(name="officer", active=True, not_before=NOW - HOUR, not_after=NOW + 1000 * HOUR)
CONTEXT = DraftContext(now=NOW, source_tenant=7, media_types=("email",), certificates={UUID(int=1): OFFICER})
SUSPEND, RESUME, EDIT, RUN_NOW, DELETE = JobAction


def draft(kind: ScheduleKind, start: datetime | None = None) -> Draft:
    schedule = ScheduleDraft(kind=kind, start=start, immediately=start is None)
    return Draft(title="t", source="contact_history", type="interaction", schedule=schedule)


def job(kind: ScheduleKind, start: datetime | None = None) -> Job:
    return create_job(draft(kind, start), CONTEXT, job_id=UUID(int=2), tenant_id=UUID(int=3))


REPEATED, WAITING, AT_ONCE = job("hourly"), job("once", NOW + HOUR), job("once")
JOBS = {
    JobStage.REPEATED_ACTIVE: REPEATED,
    JobStage.REPEATED_SUSPENDED: REPEATED.suspend("user", NOW),
    JobStage.ONCE_WAITING: WAITING,
    JobStage.ONCE_PAUSED: WAITING.suspend("user", NOW),
    JobStage.ONCE_SPENT: AT_ONCE,
}
SAME = "same"
EXPECTED = {
    #                              SUSPEND       RESUME                    EDIT                    RUN NOW   DELETE
    JobStage.REPEATED_ACTIVE: ("suspended", SAME, SAME, SAME, SAME),
    JobStage.REPEATED_SUSPENDED: (SAME, "active", SAME, SAME, SAME),
    JobStage.ONCE_WAITING: ("suspended", SAME, "one-time-not-editable", "one-time-not-run-now", SAME),
    JobStage.ONCE_PAUSED: (SAME, "active", "one-time-not-editable", "one-time-not-run-now", SAME),
    JobStage.ONCE_SPENT: (SAME, "one-time-not-resumable", "one-time-not-editable", "one-time-not-run-now", SAME),
}


def outcome(job: Job, action: JobAction, *, run_in_progress: UUID | None = None, now: datetime = NOW) -> str:
    try:
        after = apply_action(job, action, now=now, run_in_progress=run_in_progress)
    except OperationRefused as refused:
        return refused.kind
    return SAME if after is job else after.state


@pytest.mark.parametrize("stage", JobStage)
@pytest.mark.parametrize("action", JobAction)
def test_J5_to_J10_the_table(stage: JobStage, action: JobAction) -> None:
    assert find_stage(JOBS[stage], NOW) is stage
    expected = EXPECTED[stage][list(JobAction).index(action)]
    assert outcome(JOBS[stage], action) == expected
    # J9: a run in progress prevents deletion, and nothing else
    assert outcome(JOBS[stage], action, run_in_progress=RUN) == ("run-in-progress" if action is DELETE else expected)


def test_J5_each_change_makes_a_new_version_and_changes_nothing_else() -> None:
    suspended = apply_action(REPEATED, SUSPEND, now=NOW + HOUR, run_in_progress=None)
    assert (suspended.version, suspended.state_reason, suspended.saved_at) == (2, "user", NOW + HOUR)
    resumed = apply_action(suspended, RESUME, now=NOW + 2 * HOUR, run_in_progress=None)
    assert replace(resumed, version=1, saved_at=REPEATED.saved_at) == REPEATED
    assert resumed.version == 3


def test_J6_a_one_time_job_that_starts_immediately_is_created_suspended() -> None:
    assert (AT_ONCE.state, AT_ONCE.state_reason, AT_ONCE.version) == ("suspended", "one-time", 1)


@pytest.mark.parametrize("before", [JobStage.ONCE_WAITING, JobStage.ONCE_PAUSED])
def test_J7_past_its_start_a_one_time_job_cannot_be_resumed(before: JobStage) -> None:
    assert outcome(JOBS[before], RESUME, now=NOW + HOUR) == "one-time-not-resumable"
    assert outcome(JOBS[before].suspend("one-time", NOW), RESUME) == "one-time-not-resumable"


def test_J9_the_refusal_names_the_run_and_its_cancel() -> None:
    with pytest.raises(OperationRefused) as refused:
        apply_action(REPEATED, DELETE, now=NOW, run_in_progress=RUN)
    assert refused.value.extra == {"run": str(RUN), "cancel": f"/api/v1/runs/{RUN}/cancel"}
    assert str(RUN) in refused.value.detail


def test_J10_an_edit_keeps_the_instant_of_an_immediate_start() -> None:
    later = replace(CONTEXT, now=NOW + 5 * HOUR)
    after = edit_job(REPEATED, draft("daily"), later)
    assert (after.schedule.start, after.version, after.created_at, after.saved_at) == (
        REPEATED.schedule.start,
        2,
        NOW,
        later.now,
    )
    sent_back = replace(draft("daily"), schedule=ScheduleDraft(kind="daily", immediately=True, start=NOW))
    assert edit_job(REPEATED, sent_back, later).schedule.start == NOW
    moved = replace(draft("daily"), schedule=ScheduleDraft(kind="daily", immediately=True, start=NOW + HOUR))
    with pytest.raises(InvalidInput):
        edit_job(REPEATED, moved, later)


def test_J10_a_schedule_changed_to_start_immediately_starts_at_the_edit() -> None:
    planned = job("daily", NOW + HOUR)
    assert edit_job(planned, draft("daily"), replace(CONTEXT, now=NOW + 5 * HOUR)).schedule.start == NOW + 5 * HOUR


def test_J6_a_repeated_job_edited_to_run_once_immediately_is_suspended_for_good() -> None:
    after = edit_job(job("daily", NOW + HOUR), draft("once"), CONTEXT)
    assert (after.state, after.state_reason, find_stage(after, NOW)) == ("suspended", "one-time", JobStage.ONCE_SPENT)
