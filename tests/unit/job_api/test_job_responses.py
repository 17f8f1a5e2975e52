"""Jobs rendered from the cache: the same as rendered anew, and never out of date."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic_core import to_json

from job_api.api.job_responses import JobJsonCache, to_document
from job_api.domain import Job
from job_api.store import JobView, RunEstimate, RunSummary
from shared.events import JobSettings, Schedule, Timeframe
from tests.unit.job_api.test_drafts import NOW


def job(**changes: Any) -> Job:
    settings = JobSettings(
        title="Nightly", source="contact_history", type="interaction", source_tenant=1, timeframe=Timeframe()
    )
    new = Job(
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
    return replace(new, **changes)


def run(progress: float) -> RunSummary:
    return RunSummary(
        run_id=UUID(int=7),
        state="running",
        slot=NOW,
        started_at=NOW,
        ended_at=None,
        message=None,
        progress=progress,
        estimate=RunEstimate(10.0, 5.0, 20.0, NOW),
    )


def test_I1_a_page_holds_each_job_as_it_is_rendered_alone() -> None:
    cache = JobJsonCache()
    views = [JobView(job(), None, None, NOW), JobView(job(), run(0.5), NOW, None)]
    for _ in range(2):
        found = json.loads(cache.to_page(views, "further", NOW))
        alone = [json.loads(to_json(to_document(view, NOW))) for view in views]
        assert found == {"items": alone, "next": "further"}
    assert json.loads(cache.to_page([], None, NOW)) == {"items": [], "next": None}


def test_J3_every_change_of_a_job_is_shown_at_once() -> None:
    cache, first = JobJsonCache(), job()
    changed = replace(first, version=2, description="new description")
    for view in (
        JobView(first, None, None, NOW),
        JobView(first, run(0.1), None, NOW),
        JobView(first, run(0.2), None, NOW),
        JobView(first, run(0.2), NOW, NOW),
        JobView(changed, run(0.2), NOW, NOW),
        JobView(first, None, None, NOW),
    ):
        assert json.loads(cache.to_json(view, NOW)) == json.loads(to_json(to_document(view, NOW)))


def test_J7_time_alone_changes_which_actions_a_one_time_job_refuses() -> None:
    cache, start = JobJsonCache(), NOW + timedelta(hours=1)
    view = JobView(job(schedule=Schedule(kind="once", start=start, immediately=False, every=1)), None, None, start)
    for now, resumable in ((NOW, True), (start - timedelta(seconds=1), True), (start, False), (start, False)):
        refusals = json.loads(cache.to_json(view, now))["refusals"]
        assert ("resume" not in refusals) == resumable
