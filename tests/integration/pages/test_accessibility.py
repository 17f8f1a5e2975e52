"""Every page: free of axe violations, light and dark, and as wide as every screen from 320 px to 4K."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from shared.clock import SystemClock
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.world import Tenant
from tests.integration.pages.runs import create_scenario, finish_run, publish_runs
from tests.integration.pages.site import PageOpener, Site, find_axe_violations, measure_overflow
from tests.support.system import Service
from tests.support.wait import eventually
from tests.unit.history.delivery_scenarios import DeliveryScenario
from tests.unit.history.scenarios import RunScenario

WIDTHS = (320, 768, 1280, 3840)
GRID = "2026-11-20T00:00:00Z"
JOBS: tuple[dict[str, Any], ...] = (
    {
        "title": "Nightly e-mail and chat",
        "description": "For the data warehouse",
        "media_types": ["email", "chat"],
        "schedule": {"kind": "daily", "start": "2026-11-20T02:30:00Z"},
        "timeframe": {"kind": "since_last_run"},
    },
    {
        "title": "Voice and callbacks",
        "media_types": ["voice", "callback"],
        "schedule": {"kind": "hourly", "every": 4, "start": GRID},
        "split_size": 1 << 30,
    },
    {
        "title": "Contacts of the week",
        "description": "Imported into the CRM on Mondays",
        "type": "contact",
        "schedule": {"kind": "weekly", "start": "2026-11-23T05:00:00Z"},
    },
    {"title": "Regulator's copy", "schedule": {"kind": "monthly", "every": 3, "start": "2026-12-31T23:00:00Z"}},
    {"title": "Before the migration", "schedule": {"kind": "once", "immediately": True}},
)


@pytest.fixture(scope="module")
async def addresses(site: Site, history: Service) -> tuple[Tenant, dict[str, str]]:
    """A tenant with jobs and runs, and the addresses of all pages by name."""
    tenant = await site.create_tenant()
    body = {
        "name": "Escrow 2026",
        "pem": pem(make_certificate(now=SystemClock().now(), ends=timedelta(days=12), name="escrow")),
    }
    assert (await tenant.client.post("/api/v1/certificates", json=body)).status_code == 201
    jobs = [await tenant.job(**each) for each in JOBS]
    ids = [UUID(job["id"]) for job in jobs]
    runs = [create_scenario(tenant, job["title"], job=each) for job, each in zip(jobs, ids, strict=True)]
    finish_run(runs[0], 3, rows=41_260)
    runs[1].triggered().queued().started()
    for done in (10, 25, 42):
        runs[1].progressed(done)
    runs[2].triggered().queued().started().failed()
    finish_run(runs[4], 1, rows=1_204)
    await publish_runs(site, tenant, runs[0], runs[1], runs[2], runs[4])
    await eventually(partial(has_progress, tenant, jobs[1]))
    for job in jobs[:3]:
        await eventually(partial(has_latest_run, tenant, job))
    destination = (await tenant.destination(name="Archive"))["id"]
    delivery = DeliveryScenario(runs[0], destination_id=UUID(destination)).created("Archive").started().failed()
    await site.system.publish(*delivery.everything)
    await eventually(partial(has_delivery, tenant, runs[0]))
    user = (await tenant.client.get("/api/v1/users")).json()["items"][0]["id"]
    certificate = (await tenant.client.get("/api/v1/certificates")).json()["items"][0]["id"]
    return tenant, {
        "jobs": "/jobs",
        "job-new": "/jobs/new",
        "job-edit": f"/jobs/{ids[1]}/edit",
        "job-delete": f"/jobs/{ids[3]}/delete",
        "history": "/runs",
        "run": f"/runs/{runs[0].run_id}",
        "run-in-progress": f"/runs/{runs[1].run_id}",
        "run-failed": f"/runs/{runs[2].run_id}",
        "artifacts": "/artifacts",
        "preferences": "/preferences",
        "certificate-retire": f"/preferences/certificates/{certificate}/retire",
        "destinations": "/preferences/destinations",
        "destination": f"/preferences/destinations/{destination}",
        "destination-new": "/preferences/destinations/new?kind=s3",
        "users": "/users",
        "user": f"/users/{user}",
        "not-found": "/nothing-here",
    }


async def has_delivery(tenant: Tenant, run: RunScenario) -> bool:
    return bool((await tenant.client.get(f"/api/v1/runs/{run.run_id}")).json()["deliveries"])


async def has_progress(tenant: Tenant, job: dict[str, Any]) -> bool:
    latest = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
    return latest is not None and latest["progress"] is not None


async def has_latest_run(tenant: Tenant, job: dict[str, Any]) -> bool:
    return (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"] is not None


async def test_every_page_is_accessible_and_fits_every_screen(
    addresses: tuple[Tenant, dict[str, str]], open_page: PageOpener
) -> None:
    tenant, paths = addresses
    page, faults = await open_page(tenant), list[str]()
    for name, path in paths.items():
        await page.goto(path)
        faults += await find_axe_violations(page)
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            if excess := await measure_overflow(page):
                faults.append(f"{name} is {excess} px too wide for {width} px")
        await page.set_viewport_size({"width": 1280, "height": 860})
    assert faults == []


async def test_the_login_page_and_access_denied_are_accessible(
    addresses: tuple[Tenant, dict[str, str]], open_page: PageOpener
) -> None:
    logged_out, downloader = await open_page(None), await open_page(addresses[0], "downloader")
    for page, path in ((logged_out, "/login"), (downloader, "/jobs")):
        await page.goto(path)
        assert await find_axe_violations(page) == []
