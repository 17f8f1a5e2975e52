"""The list of jobs, as a user sees it."""

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
from tests.integration.pages.keys import reach
from tests.integration.pages.site import PageOpener, Site, audited, too_wide
from tests.support.wait import eventually


async def running(site: Site, tenant: Tenant, job: dict[str, Any], *, progress: float = 0.4) -> UUID:
    """Have a run of a job in progress, as the other services would publish it."""
    story = RunEventBuilder(job, tenant.tenant_id, SystemClock().now() - timedelta(minutes=1))

    async def shown(name: str, value: object) -> bool:
        latest = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
        return latest is not None and latest[name] == value

    await site.system.publish(story.triggered(), story.queued(), story.started())
    # Estimates are another topic, and one that comes before the run waits loses its time left when it does.
    await eventually(partial(shown, "state", "running"))
    await site.system.publish(story.estimated(progress))
    await eventually(partial(shown, "progress", progress))
    return story.run_id


async def cancel_requested_run(site: Site, tenant: Tenant, job: dict[str, Any]) -> None:
    """Have a job's requested run end, as an exporter would publish it: until then the job cannot be deleted (J9)."""

    async def latest_run() -> dict[str, Any]:
        latest: dict[str, Any] = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
        return latest

    run_id = UUID((await latest_run())["id"])
    events = RunEventBuilder(job, tenant.tenant_id, SystemClock().now(), run_id=run_id)
    await site.system.publish(events.triggered(), events.queued(), events.cancelled())

    async def has_ended() -> bool:
        return bool((await latest_run())["state"] == "cancelled")

    await eventually(has_ended)


async def choose(page: Page, title: str) -> None:
    await page.get_by_role("radio", name=title).check()


async def state_of(tenant: Tenant, job: dict[str, Any]) -> str:
    state: str = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["state"]
    return state


async def test_J3_a_job_shows_its_columns_and_a_running_one_its_progress_and_the_time_left(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.tenant()
    job = await tenant.job(title="Every four hours", schedule=HOURLY, description="For the warehouse")
    await running(site, tenant, job)
    page = await open_page(tenant)
    await page.goto("/jobs")
    heads = page.get_by_role("columnheader").filter(has=page.get_by_role("link"))
    assert [words.strip() for words in await heads.all_inner_texts()] == [
        *("Title", "Source", "Type", "Schedule", "Latest status", "Last run", "Next run", "State")
    ]
    row = page.get_by_role("row", name="Every four hours")
    for words in ("Contact history", "Interactions", "every 4 hours from 00:00 UTC", "40 %", "Active", "your time"):
        await expect(row).to_contain_text(words)
    remaining = row.get_by_text("About 60 s remaining (40 s to 2 min)")
    await expect(remaining).to_be_hidden()
    await row.get_by_role("progressbar").hover()
    await expect(remaining).to_be_visible()
    await page.get_by_role("heading", name="Jobs").hover()
    await expect(remaining).to_be_hidden()
    await row.locator(".progress").focus()
    await expect(remaining).to_be_visible()
    assert await audited(page) == []


async def test_J9_what_is_not_allowed_is_disabled_and_says_why(site: Site, open_page: PageOpener) -> None:
    tenant = await site.tenant()
    await tenant.job(title="Once", schedule=ONCE_NOW)
    job = await tenant.job(title="Running", schedule=HOURLY)
    await running(site, tenant, job)
    page = await open_page(tenant)
    await page.goto("/jobs")
    edit, bin_, run = (page.get_by_role("button", name=name) for name in ("Edit", "Delete", "Run now"))
    await expect(edit).to_have_attribute("title", "Select a job in the list first.")
    await choose(page, "Running")
    await expect(bin_).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#refusals")).to_contain_text(
        "is in progress: cancel it or wait for it to end, then delete the job."
    )
    await bin_.click(force=True)
    await expect(page).to_have_url(re.compile("/jobs$"))
    await choose(page, "Once")
    await expect(page.locator("#refusals")).to_contain_text(
        "A job that runs once cannot be edited: clone it, or delete it."
    )
    for button in (edit, run):
        await expect(button).to_have_attribute("aria-disabled", "true")
    await expect(bin_).not_to_have_attribute("aria-disabled", "true")
    slider = page.get_by_role("switch", name="Once is active")
    await expect(slider).to_have_attribute("aria-disabled", "true")
    await expect(slider).to_have_attribute("title", re.compile("clone it to run it again"))
    assert await audited(page) == []
    await page.goto(f"/jobs/{job['id']}/delete")
    await expect(page.get_by_role("alert")).to_contain_text("is in progress")


async def test_J4_J5_J9_with_the_keyboard_alone_a_job_is_suspended_run_and_deleted(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.tenant()
    await tenant.job(title="Other", schedule=HOURLY)
    job = await tenant.job(title="Mine", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs?sort=title")
    slider = page.get_by_role("switch", name="Mine is active")
    await reach(page, slider)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("The job is suspended")
    assert await state_of(tenant, job) == "suspended"
    assert page.url.endswith("/jobs?sort=title")
    await reach(page, page.get_by_role("radio", name="Mine"))
    await page.keyboard.press("Space")
    await reach(page, page.get_by_role("button", name="Run now"), back=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("A run has been requested.")
    await cancel_requested_run(site, tenant, job)
    await page.goto("/jobs?sort=title")
    await reach(page, page.get_by_role("radio", name="Mine"))
    await page.keyboard.press("Space")
    await reach(page, page.get_by_role("button", name="Delete"), back=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Delete “Mine”?")).to_be_visible()
    assert await audited(page) == []
    await reach(page, page.get_by_role("button", name="Delete job"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("The job has been deleted.")
    await expect(page.get_by_role("row", name="Other")).to_be_visible()
    await expect(page.get_by_role("row", name="Mine")).to_have_count(0)


async def test_J11_heads_sort_and_filter_and_pages_follow(site: Site, open_page: PageOpener) -> None:
    tenant = await site.tenant()
    for number in range(3):
        await tenant.job(title=f"Daily {number}")
    await tenant.job(title="Contacts", type="contact", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs")

    async def titles() -> list[str]:
        return await page.locator("tbody th label").all_inner_texts()

    await page.get_by_role("link", name="Title").click()
    await expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "ascending")
    assert await titles() == ["Contacts", "Daily 0", "Daily 1", "Daily 2"]
    await page.get_by_role("link", name="Title").click()
    await expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "descending")
    assert await titles() == ["Daily 2", "Daily 1", "Daily 0", "Contacts"]
    await page.get_by_label("Type").select_option("Contacts")
    await page.wait_for_url("**type=contact**")
    assert await titles() == ["Contacts"]
    await page.get_by_label("Type").select_option("Any")
    await page.wait_for_url("**type=&**")
    await page.get_by_label("Search titles").fill("DAILY 1")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=DAILY**")
    assert await titles() == ["Daily 1"]
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
    assert await titles() == ["Daily 2"]
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator("tbody tr")).to_have_count(3)


async def test_J3_with_history_away_the_list_works_and_says_what_is_missing(
    open_page: PageOpener, tenant: Tenant
) -> None:
    job = await tenant.job(title="Goes on", schedule=HOURLY)
    page = await open_page(tenant, javascript=False)
    await page.goto("/jobs")
    await expect(page.get_by_text("Run history is temporarily unavailable.")).to_be_visible()
    await page.get_by_role("switch", name="Goes on is active").click()
    await expect(page.get_by_role("status")).to_contain_text("The job is suspended")
    assert await state_of(tenant, job) == "suspended"


async def test_U2_a_viewer_reads_the_list_and_every_tool_says_what_is_missing(
    tenant: Tenant, open_page: PageOpener
) -> None:
    await tenant.job(title="Look only", schedule=HOURLY)
    page = await open_page(tenant, "viewer")
    await page.goto("/jobs")
    for name in ("Add new job", "Edit", "Run now", "Delete"):
        button = page.get_by_role("button", name=name, exact=True)
        await expect(button).to_have_attribute("title", "This requires the role operator; ask an administrator.")
        await expect(button).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#refusals")).to_contain_text("This requires the role operator")
    assert (await audited(page), await too_wide(page)) == ([], 0)


@pytest.mark.parametrize("width", [320, 1280])
async def test_J3_nothing_is_cut_off_at_this_width(site: Site, open_page: PageOpener, width: int) -> None:
    tenant = await site.tenant()
    job = await tenant.job(title="A title of the length that people give to their jobs", schedule=HOURLY)
    await tenant.job(title="W" * 200, description="x" * 2000, schedule={"kind": "once", "immediately": True})
    await running(site, tenant, job)
    page = await open_page(tenant, width=width)
    await page.goto("/jobs")
    assert await too_wide(page) == 0
    assert await page.evaluate("(e => e.scrollWidth - e.clientWidth)(document.querySelector('.table'))") == 0
    assert await audited(page) == []
