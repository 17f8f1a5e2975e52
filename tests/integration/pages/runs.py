"""Runs for the tests of pages: published to Kafka as exporters do, recorded by the real recorder."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.clock import SystemClock
from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import Site
from tests.support.wait import eventually
from tests.unit.history.scenarios import SETTINGS, RunScenario

FILE = bytes(range(256)) * 12


def story_of(
    tenant: Tenant,
    title: str = "Nightly",
    *,
    ago: timedelta = timedelta(seconds=60),
    job: UUID | None = None,
    **more: Any,
) -> RunScenario:
    """Return a run of the tenant to be published."""
    settings = replace(SETTINGS, title=title, **more)
    at = SystemClock().now() - ago
    return RunScenario(tenant_id=tenant.tenant_id, at=at, settings=settings, job_id=job or uuid4())


def finished(story: RunScenario, files: int = 1, *, rows: int = 10) -> RunScenario:
    """Let a run succeed with so many files."""
    story.triggered().queued().started()
    for number in range(1, min(files, 20) + 1):
        story.part(number, rows)
    return story.succeeded(files, rows, packed=len(FILE))


async def publish_runs(site: Site, tenant: Tenant, *stories: RunScenario) -> None:
    """Publish runs, put their files into the store, and wait until the log has them."""
    for story in stories:
        put(site, story)
    await site.system.publish(*(event for story in stories for event in story.everything))
    for story in stories:
        await recorded(tenant.client, story)


def put(site: Site, story: RunScenario) -> None:
    """Put a run's files into the store."""
    assert site.store is not None
    for event in story.runs:
        for file in getattr(event, "files", ()):
            path = site.store / file.object
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILE)


async def recorded(client: httpx.AsyncClient, story: RunScenario, *, state: str | None = None) -> dict[str, Any]:
    """Wait until the log has a run as far as the scenario goes, and return it."""
    ends = {"RunSucceeded": "succeeded", "RunFailed": "failed", "RunCancelled": "cancelled", "RunStarted": "running"}
    names = [type(event).__name__ for event in story.runs]
    wanted = state or next((ends[name] for name in reversed(names) if name in ends), None)
    done = getattr(story.progress[-1], "units_done", 0) if story.progress and wanted == "running" else None

    async def there() -> dict[str, Any] | None:
        answer = await client.get(f"/api/v1/runs/{story.run_id}")
        if answer.status_code != 200:
            return None
        run: dict[str, Any] = answer.json()
        if wanted is not None and run["state"] != wanted:
            return None
        return run if done is None or (run["progress_detail"] or {}).get("units_done") == done else None

    found: dict[str, Any] | None = await eventually(there)
    assert found is not None
    return found
