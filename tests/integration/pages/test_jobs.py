"""The list of jobs, and the actions on a selected one."""

import re
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from shared.clock import SystemClock
from tests.integration.job_api.run_events import RunEventBuilder
from tests.integration.job_api.world import HOURLY, ONCE_NOW, Tenant
from tests.integration.pages.keyboard import tab_to
from tests.integration.pages.site import PageOpener, Site, find_axe_violations, measure_overflow
from tests.support.wait import eventually


async def start_run(site: Site, tenant: Tenant, job: dict[str, Any], *, progress: float = 0.4) -> UUID:
    """Publish the events of a run in progress, as the other services would, and return its id."""
    scenario = RunEventBuilder(job, tenant.tenant_id, SystemClock().now() - timedelta(minutes=1))

    async def has_latest(name: str, value: object) -> bool:
        latest = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
        return latest is not None and latest[name] == value

    await site.system.publish(scenario.triggered(), scenario.queued(), scenario.started())
    # Estimates are a topic of their own; one that is read before the run is queued is lost.
    await eventually(partial(has_latest, "state", "running"))
    await site.system.publish(scenario.estimated(progress))
    await eventually(partial(has_latest, "progress", progress))
    return scenario.run_id


async def cancel_requested_run(site: Site, tenant: Tenant, job: dict[str, Any]) -> None:
    """Publish the end of a job's requested run, as an exporter would: until then the job cannot be deleted (J9)."""

    async def latest_run() -> dict[str, Any]:
        latest: dict[str, Any] = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
        return latest

    run_id = UUID((await latest_run())["id"])
    events = RunEventBuilder(job, tenant.tenant_id, SystemClock().now(), run_id=run_id)
    await site.system.publish(events.triggered(), events.queued(), events.cancelled())

    async def has_ended() -> bool:
        return bool((await latest_run())["state"] == "cancelled")

    await eventually(has_ended)


async def select_job(page: Page, title: str) -> None:
    await page.get_by_role("radio", name=title).check()


async def read_state(tenant: Tenant, job: dict[str, Any]) -> str:
    state: str = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["state"]
    return state


async def test_J3_a_job_shows_its_columns_and_a_running_one_its_progress_and_time_remaining(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant()
    job = await tenant.job(title="Every four hours", schedule=HOURLY, description="For the warehouse")
    await start_run(site, tenant, job)
    page = await open_page(tenant)
    await page.goto("/jobs")
    headers = page.get_by_role("columnheader").filter(has=page.get_by_role("link"))
    assert [text.strip() for text in await headers.all_inner_texts()] == [
        *("Title", "Source", "Type", "Schedule", "Latest status", "Last run", "Next run", "State")
    ]
    row = page.get_by_role("row", name="Every four hours")
    for text in ("Contact history", "Interactions", "every 4 hours from 00:00 UTC", "40 %", "Active", "your time"):
        await expect(row).to_contain_text(text)
    remaining = row.get_by_text("About 60 s remaining (40 s to 2 min)")
    await expect(remaining).to_be_hidden()
    await row.get_by_role("progressbar").hover()
    await expect(remaining).to_be_visible()
    await page.get_by_role("heading", name="Jobs").hover()
    await expect(remaining).to_be_hidden()
    await row.locator(".progress").focus()
    await expect(remaining).to_be_visible()
    assert await find_axe_violations(page) == []


async def test_J9_refused_actions_are_disabled_and_say_why(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    await tenant.job(title="Once", schedule=ONCE_NOW)
    job = await tenant.job(title="Running", schedule=HOURLY)
    await start_run(site, tenant, job)
    page = await open_page(tenant)
    await page.goto("/jobs")
    edit, delete, run = (page.get_by_role("button", name=name) for name in ("Edit", "Delete", "Run now"))
    await expect(edit).to_have_attribute("title", "Select a job in the list first.")
    await select_job(page, "Running")
    await expect(delete).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#refusals")).to_contain_text(
        "is in progress: cancel it or wait for it to end, then delete the job."
    )
    await delete.click(force=True)
    await expect(page).to_have_url(re.compile("/jobs$"))
    await select_job(page, "Once")
    await expect(page.locator("#refusals")).to_contain_text(
        "A job that runs once cannot be edited: clone it, or delete it."
    )
    for button in (edit, run):
        await expect(button).to_have_attribute("aria-disabled", "true")
    await expect(delete).not_to_have_attribute("aria-disabled", "true")
    switch = page.get_by_role("switch", name="Once is active")
    await expect(switch).to_have_attribute("aria-disabled", "true")
    await expect(switch).to_have_attribute("title", re.compile("clone it to run it again"))
    assert await find_axe_violations(page) == []
    await page.goto(f"/jobs/{job['id']}/delete")
    await expect(page.get_by_role("alert")).to_contain_text("is in progress")


async def test_J4_J5_J9_a_job_is_suspended_run_and_deleted_with_the_keyboard_alone(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant()
    await tenant.job(title="Other", schedule=HOURLY)
    job = await tenant.job(title="Mine", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs?sort=title")
    switch = page.get_by_role("switch", name="Mine is active")
    await tab_to(page, switch)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("is suspended:")
    assert await read_state(tenant, job) == "suspended"
    assert page.url.endswith("/jobs?sort=title")
    await tab_to(page, page.get_by_role("radio", name="Mine"))
    await page.keyboard.press("Space")
    await tab_to(page, page.get_by_role("button", name="Run now"), backwards=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("has been requested.")
    await cancel_requested_run(site, tenant, job)
    await page.goto("/jobs?sort=title")
    await tab_to(page, page.get_by_role("radio", name="Mine"))
    await page.keyboard.press("Space")
    await tab_to(page, page.get_by_role("button", name="Delete"), backwards=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Delete “Mine”?")).to_be_visible()
    assert await find_axe_violations(page) == []
    await tab_to(page, page.get_by_role("button", name="Delete job"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("has been deleted.")
    await expect(page.get_by_role("row", name="Other")).to_be_visible()
    await expect(page.get_by_role("row", name="Mine")).to_have_count(0)


async def test_J11_the_list_is_sorted_filtered_and_paged_by_its_columns(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    for number in range(3):
        await tenant.job(title=f"Daily {number}")
    await tenant.job(title="Contacts", type="contact", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs")

    async def read_titles() -> list[str]:
        return await page.locator("tbody th a").all_inner_texts()

    await page.get_by_role("link", name="Title").click()
    await expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "ascending")
    assert await read_titles() == ["Contacts", "Daily 0", "Daily 1", "Daily 2"]
    await page.get_by_role("link", name="Title").click()
    await expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "descending")
    assert await read_titles() == ["Daily 2", "Daily 1", "Daily 0", "Contacts"]
    await page.get_by_label("Type").select_option("Contacts")
    await page.wait_for_url("**type=contact**")
    assert await read_titles() == ["Contacts"]
    await page.get_by_label("Type").select_option("Any")
    await page.wait_for_url("**type=&**")
    await page.get_by_label("Search titles").fill("DAILY 1")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=DAILY**")
    assert await read_titles() == ["Daily 1"]
    await page.get_by_label("Search titles").fill("none of these")
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Show all jobs").click()
    for label, name in (
        ("Last run on this day", "last_run_from=2020-01-01"),
        ("Next run on this day", "next_run_until=2020-01-01"),
    ):
        await page.get_by_label(label).fill("2020-01-01")
        await page.wait_for_url(f"**{name}**")
        await expect(page.get_by_text("No jobs match this filter.")).to_be_visible()
        await page.get_by_role("link", name="Show all jobs").click()
        await expect(page.locator("tbody tr")).to_have_count(4)
    await page.goto("/jobs?sort=title&limit=3")
    await page.get_by_role("link", name="Next page").click()
    await page.wait_for_url("**cursor=**")
    assert await read_titles() == ["Daily 2"]
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator("tbody tr")).to_have_count(3)


async def test_J3_the_list_works_while_history_is_unavailable_and_says_so(
    open_page: PageOpener, tenant: Tenant
) -> None:
    job = await tenant.job(title="Still working", schedule=HOURLY)
    page = await open_page(tenant, javascript=False)
    await page.goto("/jobs")
    await expect(page.get_by_text("Run history is temporarily unavailable.")).to_be_visible()
    await page.get_by_role("switch", name="Still working is active").click()
    await expect(page.get_by_role("status")).to_contain_text("is suspended:")
    assert await read_state(tenant, job) == "suspended"


async def test_U2_a_viewer_sees_the_list_and_why_actions_are_denied(tenant: Tenant, open_page: PageOpener) -> None:
    await tenant.job(title="Read only", schedule=HOURLY)
    page = await open_page(tenant, "viewer")
    await page.goto("/jobs")
    for name in ("Add new job", "Edit", "Run now", "Delete"):
        button = page.get_by_role("button", name=name, exact=True)
        await expect(button).to_have_attribute("title", "This requires the role operator; ask an administrator.")
        await expect(button).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#refusals")).to_contain_text("This requires the role operator")
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)


@pytest.mark.parametrize("width", [320, 1280])
async def test_J3_nothing_is_cut_off_at_this_width(site: Site, open_page: PageOpener, width: int) -> None:
    tenant = await site.create_tenant()
    job = await tenant.job(title="A title of the length that users give to their jobs", schedule=HOURLY)
    await tenant.job(title="W" * 200, description="x" * 2000, schedule={"kind": "once", "immediately": True})
    await start_run(site, tenant, job)
    page = await open_page(tenant, width=width)
    await page.goto("/jobs")
    assert await measure_overflow(page) == 0
    assert await page.evaluate("(e => e.scrollWidth - e.clientWidth)(document.querySelector('.table'))") == 0
    assert await find_axe_violations(page) == []
