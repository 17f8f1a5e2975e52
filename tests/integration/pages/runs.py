"""Runs for the tests of pages: published to Kafka as the exporter does, and recorded by the real recorder."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.clock import SystemClock
from shared.events import SlotTriggered
from shared.events.runs import RunQueued, RunSucceeded
from shared.events.values import SlotCause
from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import Site
from tests.support.wait import eventually
from tests.unit.history.scenarios import SETTINGS, RunScenario

FILE = bytes(range(256)) * 12


def create_scenario(
    tenant: Tenant,
    title: str = "Nightly",
    *,
    ago: timedelta = timedelta(seconds=60),
    job: UUID | None = None,
    **more: Any,
) -> RunScenario:
    """Return a run of the tenant, without events yet."""
    settings = replace(SETTINGS, title=title, **more)
    at = SystemClock().now() - ago
    return RunScenario(tenant_id=tenant.tenant_id, at=at, settings=settings, job_id=job or uuid4())


def finish_run(scenario: RunScenario, files: int = 1, *, rows: int = 10) -> RunScenario:
    """Let a run succeed with this number of files, of up to 20 of which there are parts."""
    scenario.triggered().queued().started()
    for number in range(1, min(files, 20) + 1):
        scenario.part(number, rows)
    return scenario.succeeded(files, rows, packed=len(FILE))


def set_slot(scenario: RunScenario, slot: datetime, cause: SlotCause = "schedule") -> RunScenario:
    """Let a run be due at another instant, or for another cause, than all others."""
    for events in (scenario.triggers, scenario.runs):
        for place, event in enumerate(events):
            if isinstance(event, SlotTriggered | RunQueued | RunSucceeded):
                events[place] = replace(event, slot=slot, cause=cause)
    return scenario


async def publish_runs(site: Site, tenant: Tenant, *scenarios: RunScenario) -> None:
    """Publish runs, store their files, and wait until history has recorded the runs."""
    for scenario in scenarios:
        store_files(site, scenario)
    await site.system.publish(*(event for scenario in scenarios for event in scenario.everything))
    for scenario in scenarios:
        await wait_until_recorded(tenant.client, scenario)


def store_files(site: Site, scenario: RunScenario) -> None:
    """Write a run's files to the object store."""
    assert site.store is not None
    for event in scenario.runs:
        for file in getattr(event, "files", ()):
            path = site.store / file.object
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILE)


async def wait_until_recorded(
    client: httpx.AsyncClient, scenario: RunScenario, *, state: str | None = None
) -> dict[str, Any]:
    """Wait until history has recorded a run as far as the scenario goes, and return it."""
    states = {"RunSucceeded": "succeeded", "RunFailed": "failed", "RunCancelled": "cancelled", "RunStarted": "running"}
    names = [type(event).__name__ for event in scenario.runs]
    wanted = state or next((states[name] for name in reversed(names) if name in states), None)
    done = getattr(scenario.progress[-1], "units_done", 0) if scenario.progress and wanted == "running" else None

    async def find() -> dict[str, Any] | None:
        answer = await client.get(f"/api/v1/runs/{scenario.run_id}")
        if answer.status_code != 200:
            return None
        run: dict[str, Any] = answer.json()
        if wanted is not None and run["state"] != wanted:
            return None
        return run if done is None or (run["progress_detail"] or {}).get("units_done") == done else None

    found: dict[str, Any] | None = await eventually(find)
    assert found is not None
    return found
