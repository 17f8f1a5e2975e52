"""A list that is looked at again is answered from what is known of it, and yet never says what is no longer so."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from job_api.api.documents import Shown, job_document, json_of
from job_api.domain import Job
from job_api.store import JobView, RunSummary
from shared.events import JobSettings, Schedule, Timeframe
from tests.unit.job_api.test_drafts import NOW


def job(**changes: Any) -> Job:
    settings = JobSettings(
        title="Nightly", source="contact_history", type="interaction", source_tenant=1, timeframe=Timeframe()
    )
    made = Job(
        job_id=uuid4(),
        tenant_id=UUID(int=1),
        version=1,
        state="active",
        state_reason=None,
        description="",
        settings=settings,
        schedule=Schedule(kind="daily", start=NOW, immediately=False, every=1),
        catch_up="last",
        overlap="skip",
        created_at=NOW,
        saved_at=NOW,
    )
    return replace(made, **changes)


def run(progress: float) -> RunSummary:
    return RunSummary(
        run_id=UUID(int=7),
        state="running",
        slot=NOW,
        started_at=NOW,
        ended_at=None,
        message=None,
        progress=progress,
        eta_seconds=10.0,
        eta_low=5.0,
        eta_high=20.0,
        estimated_at=NOW,
    )


def test_I1_a_page_is_what_its_jobs_are_alone() -> None:
    shown = Shown()
    views = [JobView(job(), None, None, NOW), JobView(job(), run(0.5), NOW, None)]
    for _ in range(2):
        found = json.loads(bytes(shown.page(views, "further", NOW).body))
        alone = [json.loads(bytes(json_of(job_document(view, NOW)).body)) for view in views]
        assert found == {"items": alone, "next": "further"}
    assert json.loads(bytes(shown.page([], None, NOW).body)) == {"items": [], "next": None}


def test_J3_whatever_changes_of_a_job_is_seen_at_once() -> None:
    shown, first = Shown(), job()
    changed = replace(first, version=2, description="new words")
    for view in (
        JobView(first, None, None, NOW),
        JobView(first, run(0.1), None, NOW),
        JobView(first, run(0.2), None, NOW),
        JobView(first, run(0.2), NOW, NOW),
        JobView(changed, run(0.2), NOW, NOW),
        JobView(first, None, None, NOW),
    ):
        assert json.loads(bytes(shown.page([view], None, NOW).body))["items"] == [
            json.loads(bytes(json_of(job_document(view, NOW)).body))
        ]


def test_J7_time_alone_changes_what_can_be_done_with_a_job_that_runs_once() -> None:
    shown, start = Shown(), NOW + timedelta(hours=1)
    view = JobView(job(schedule=Schedule(kind="once", start=start, immediately=False, every=1)), None, None, start)
    for now, resumable in ((NOW, True), (start - timedelta(seconds=1), True), (start, False), (start, False)):
        refusals = json.loads(bytes(shown.page([view], None, now).body))["items"][0]["refusals"]
        assert ("resume" not in refusals) == resumable
