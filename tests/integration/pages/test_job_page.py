"""The page of a job, and the way from a failed run to one that works (J3 to J5, J9, H1, H2, R5, C2)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from shared.clock import SystemClock
from shared.events.runs import RunFailed
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.world import Tenant
from tests.integration.pages.keyboard import tab_to, tab_to_name
from tests.integration.pages.runs import create_scenario, finish_run, publish_runs, set_slot
from tests.integration.pages.site import PageOpener, Site, find_axe_violations, measure_overflow
from tests.support.system import Service
from tests.support.wait import eventually

TITLE = 'Nightly <b>e-mail</b> & "chat"'


@pytest.fixture(scope="module")
async def job(site: Site, history: Service, tenant: Tenant) -> dict[str, Any]:
    """A job with a certificate that expires soon, three runs that succeeded, and one that failed for a certificate."""
    certificate = make_certificate(now=SystemClock().now(), ends=timedelta(days=12), name="escrow")
    body = {"name": "Escrow", "pem": pem(certificate)}
    escrow = (await tenant.client.post("/api/v1/certificates", json=body)).json()["id"]
    job = await tenant.job(
        title=TITLE,
        description="For the data warehouse",
        media_types=["email", "chat"],
        schedule={"kind": "daily", "start": "2026-11-20T02:30:00Z"},
        timeframe={"kind": "last", "count": 7, "unit": "days"},
        split_size=1 << 30,
        certificates=[escrow, tenant.certificate],
    )
    runs = [
        finish_run(create_scenario(tenant, TITLE, job=UUID(job["id"]), ago=timedelta(days=days)), 2, rows=days * 100)
        for days in (3, 2, 1)
    ]
    for run in runs:
        set_slot(run, run.at)
    failed = create_scenario(tenant, TITLE, job=UUID(job["id"]), ago=timedelta(seconds=20)).triggered().queued()
    failed.started().add(RunFailed, attempt=1, code="certificate-expired", message="The certificate has expired.")
    await publish_runs(site, tenant, *runs, set_slot(failed, failed.at))

    async def has_failed() -> bool:
        return bool((await read_job(tenant, job))["latest_run"]["state"] == "failed")

    await eventually(has_failed)
    return job


async def read_job(tenant: Tenant, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()
    return found


async def find_faults(page: Page) -> list[str]:
    return [*await find_axe_violations(page), *(["it is too wide"] if await measure_overflow(page) else [])]


async def test_J4_H1_a_jobs_page_shows_all_of_the_job_and_is_reached_from_every_list(
    open_page: PageOpener, tenant: Tenant, job: dict[str, Any]
) -> None:
    page = await open_page(tenant, "viewer")
    await page.goto("/jobs")
    await page.get_by_role("link", name=TITLE).click()
    await page.wait_for_url(f"**/jobs/{job['id']}")
    content = await page.locator("main").inner_text()
    for text in (
        *("For the data warehouse", "Contact history", "Interactions", "E-mail, Chat", "Every day at 02:30 UTC"),
        *("Last 7 days before each scheduled run", "1.0 GiB of records", "Selected certificates only", "Up to 5"),
        *("Escrow", "Expires in 11 days", "Data protection officer", "The certificate has expired.", "600", job["id"]),
    ):
        assert text in content, text
    await expect(page.locator(".scheduled-runs time")).to_have_count(5)
    for plot in ("Duration of the last 4 runs", "Rows of the last 3 runs"):
        await expect(page.get_by_role("img", name=plot)).to_be_visible()
    await expect(page.get_by_role("region", name="List of the last runs").get_by_role("row")).to_have_count(5)
    # A viewer may read, but neither act nor download.
    for name in ("Run now", "Suspend", "Edit", "Clone", "Delete"):
        await expect(page.get_by_role("button", name=name)).to_have_attribute("aria-disabled", "true")
    await expect(page.get_by_text("You can see this job but not change it.")).to_be_visible()
    await expect(page.get_by_role("link", name="Download")).to_have_count(0)
    await expect(page.locator(".warning")).to_contain_text("The certificate “Escrow” expires in 11 days")
    assert await find_faults(page) == []
    for width in (320, 375, 768):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await measure_overflow(page) == 0
    for path, link in (
        ("/runs", f"Job {TITLE}"),
        ("/artifacts", f"Job {TITLE}"),
        (f"/runs?job_id={job['id']}", TITLE),
        (f"/artifacts?job_id={job['id']}", "one job"),
    ):
        await page.goto(path)
        await page.locator("main").get_by_role("link", name=link, exact=True).first.click()
        await page.wait_for_url(f"**/jobs/{job['id']}")


async def test_J5_S10_a_job_is_run_suspended_and_resumed_on_its_page_with_the_keyboard_alone(
    open_page: PageOpener, tenant: Tenant, job: dict[str, Any]
) -> None:
    other = await tenant.job(title="By keyboard", schedule={"kind": "daily", "start": "2026-11-20T02:30:00Z"})
    page = await open_page(tenant)
    await page.goto(f"/jobs/{other['id']}")
    for button, notice, state in (
        ("Suspend", "The job “By keyboard” is suspended", "suspended"),
        ("Resume", "The job “By keyboard” is active again.", "active"),
    ):
        await tab_to_name(page, button)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").first).to_contain_text(notice)
        assert (await read_job(tenant, other))["state"] == state
    await tab_to_name(page, "Run now")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("A run of “By keyboard” has been requested.")
    await tab_to(page, page.get_by_role("link", name="Show it"))
    await page.keyboard.press("Enter")
    run = (await read_job(tenant, other))["latest_run"]["id"]
    await page.wait_for_url(f"**/runs/{run}")
    # Without a scheduler, history never learns of the run: the page says so in words, and leads to the job.
    await expect(page.get_by_text("This run was requested a moment ago.")).to_be_visible()
    assert await find_faults(page) == []
    await page.get_by_role("link", name="Show the job").click()
    await expect(page.get_by_role("button", name="Delete")).to_have_attribute("aria-disabled", "true")
    await expect(page.get_by_text(f"The run {run} of this job is in progress")).to_be_visible()


async def test_R5_from_a_failed_run_to_one_that_works_in_two_clicks(
    open_page: PageOpener, tenant: Tenant, job: dict[str, Any]
) -> None:
    page = await open_page(tenant)
    await page.goto("/jobs")
    row = page.get_by_role("row").filter(has_text=TITLE)
    await expect(row).to_contain_text("The certificate has expired.")
    await row.get_by_role("link", name="Failed").click()
    await expect(page.get_by_text("What to do:")).to_be_visible()
    assert await find_faults(page) == []
    failed = page.url
    await page.get_by_role("link", name="Upload certificate").click()
    await page.locator("#certificate-name").fill("Renewed")
    await page.get_by_label("Or its text").fill(pem(make_certificate(now=SystemClock().now(), name="renewed")))
    await page.get_by_role("button", name="Upload").click()
    await expect(page.get_by_role("status")).to_have_text("The certificate “Renewed” has been uploaded.")
    assert page.url == failed
    await page.get_by_role("link", name="Edit job").click()
    await expect(page.get_by_label("Title")).to_have_value(TITLE)
    await page.goto(failed)
    await page.get_by_role("button", name="Run again").click()
    run = (await read_job(tenant, job))["latest_run"]
    await page.wait_for_url(f"**/runs/{run['id']}")
    assert run["state"] == "queued"


async def test_H2_who_requested_and_who_cancelled_a_run_has_a_name(
    site: Site, open_page: PageOpener, tenant: Tenant, job: dict[str, Any]
) -> None:
    other = await tenant.job(title="Requested", schedule={"kind": "daily", "start": "2026-11-20T02:30:00Z"})
    requested = (await tenant.client.post(f"/api/v1/jobs/{other['id']}/run")).json()["run_id"]
    assert (await tenant.client.post(f"/api/v1/runs/{requested}/cancel")).status_code in {202, 204}
    scenario = create_scenario(tenant, "Requested", job=UUID(other["id"]), ago=timedelta(seconds=1))
    scenario.run_id = UUID(requested)
    await publish_runs(site, tenant, set_slot(scenario.triggered().queued().cancelled(), scenario.at, "run-now"))
    page = await open_page(tenant)
    await page.goto(f"/runs/{requested}")
    name = (await tenant.client.get("/api/v1/me")).json()["name"]
    await expect(page.get_by_label("Status")).to_contain_text(f"Cancelled by {name}.")
    await expect(page.get_by_label("Details")).to_contain_text(f"requested by {name}")
    await expect(page.get_by_role("button", name="Run again")).to_be_enabled()
