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
    await page.get_by_role("checkbox", name=title).check()


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
    edit, delete, run = (page.locator(f"[data-action={name}]") for name in ("edit", "delete", "run"))
    await expect(edit).to_have_attribute("title", "Select a job in the list first.")
    await select_job(page, "Running")
    await expect(delete).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#refusals")).to_contain_text(
        "is in progress: cancel it or wait for it to end, then delete the job."
    )
    await delete.click(force=True)
    await expect(page).to_have_url(re.compile("/jobs$"))
    await page.get_by_role("checkbox", name="Running").uncheck()
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
    await page.evaluate("window.isSamePage = true")
    await tab_to(page, switch)
    await page.keyboard.press("Enter")
    await expect(page.locator("#refusals")).to_contain_text("The job “Mine” is suspended:")
    await expect(switch).to_be_focused()
    await expect(switch).to_have_attribute("aria-checked", "false")
    await expect(page.get_by_role("link", name="Suspended 1")).to_be_visible()
    assert await read_state(tenant, job) == "suspended"
    assert await page.evaluate("window.isSamePage")
    await tab_to(page, page.get_by_role("checkbox", name="Mine"), backwards=True)
    await page.keyboard.press("Space")
    await tab_to(page, page.locator("[data-action=run]"), backwards=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("“Mine” will run as soon as an exporter is free.")
    await cancel_requested_run(site, tenant, job)
    await page.goto("/jobs?sort=title")
    await tab_to(page, page.get_by_role("checkbox", name="Mine"))
    await page.keyboard.press("Space")
    await tab_to(page, page.locator("[data-action=delete]"), backwards=True)
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


async def test_J11_many_jobs_are_counted_paged_and_acted_on_at_once(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    for number in range(7):
        await tenant.job(title=f"Daily {number}")
    once = await tenant.job(title="Once", schedule=ONCE_NOW)
    page = await open_page(tenant, height=500)
    await page.goto("/jobs?sort=title&limit=3")

    async def read_titles() -> list[str]:
        return await page.locator("tbody th a").all_inner_texts()

    pages = page.get_by_role("navigation", name="Pages of the list")
    await expect(pages).to_contain_text("1-3 of 8")
    await page.get_by_role("link", name="Next", exact=True).click()
    await expect(pages).to_contain_text("4-6 of 8")
    await page.get_by_role("link", name="Next", exact=True).click()
    await expect(pages).to_contain_text("7-8 of 8")
    assert await read_titles() == ["Daily 6", "Once"]
    await page.get_by_role("link", name="Previous").click()
    await expect(pages).to_contain_text("4-6 of 8")
    assert await read_titles() == ["Daily 3", "Daily 4", "Daily 5"]
    await page.get_by_role("link", name="Previous").click()
    await expect(pages).to_contain_text("1-3 of 8")
    await expect(pages.get_by_role("link", name="Previous")).to_have_count(0)
    counts = page.get_by_role("navigation", name="Jobs by state")
    await counts.get_by_role("link", name="Suspended 1").click()
    await expect(page.get_by_role("row", name="Once")).to_be_visible()
    assert await read_titles() == ["Once"]
    await counts.get_by_role("link", name="All 8").click()
    await expect(page.locator("tbody tr")).to_have_count(8)
    await page.get_by_role("checkbox", name="Select all jobs on this page").check()
    await expect(page.get_by_text("8 selected")).to_be_visible()
    await page.locator("[data-action=resume]").click()
    outcomes = page.get_by_role("status").filter(has_text="of 8 jobs")
    await expect(outcomes).to_contain_text("Active again: 7 of 8 jobs.")
    await expect(outcomes).to_contain_text("“Once” was left as it is. This job runs once and its start has passed")
    await expect(page.get_by_role("checkbox", name="Once")).to_be_checked()
    await page.get_by_role("checkbox", name="Once").uncheck()
    for title in ("Daily 1", "Daily 2"):
        await select_job(page, title)
    await page.locator("[data-action=suspend]").click()
    await expect(page.get_by_role("status")).to_contain_text("Suspended: 2 of 2 jobs.")
    await page.reload()
    await expect(page.get_by_role("row", name="Daily 2")).to_contain_text("Suspended")
    for title in ("Daily 1", "Daily 2"):
        await select_job(page, title)
    assert await find_axe_violations(page) == []
    await page.locator("[data-action=delete]").click()
    await expect(page.get_by_role("heading", name="Delete 2 jobs?")).to_be_visible()
    await tenant.client.patch(
        f"/api/v1/jobs/{await find_id(tenant, 'Daily 2')}",
        json={"title": "Daily 2, changed"},
        headers={"If-Match": "*"},
    )
    await page.get_by_role("button", name="Delete 2 of 2").click()
    await expect(page.get_by_role("status")).to_contain_text("Deleted: 1 of 2 jobs.")
    await expect(page.get_by_role("status")).to_contain_text("It has been changed meanwhile")
    answer = (await tenant.client.get("/api/v1/jobs/counts")).json()
    assert answer == {"all": 7, "running": 0, "queued": 0, "failed": 0, "suspended": 2}
    assert await read_state(tenant, once) == "suspended"


async def find_id(tenant: Tenant, title: str) -> str:
    items = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    found: str = next(job["id"] for job in items if job["title"] == title)
    return found


async def count_tabs(page: Page, control: str, *, backwards: bool = False) -> int:
    """Return how often Tab is pressed until the focus is in a control, following the skip links on the way."""
    for presses in range(1, 40):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", control):
            return presses
        text = await page.evaluate("document.activeElement.textContent")
        if text.startswith("Skip to the"):
            await page.keyboard.press("Enter")
            backwards = False
    pytest.fail(f"the Tab key does not lead to {control}")


async def test_J3_rows_are_reached_by_few_keys_and_a_saved_job_is_shown_and_marked(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant()
    for number in range(4):
        await tenant.job(title=f"Daily {number}", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs?sort=title&limit=2&search=Daily")
    assert await count_tabs(page, "tr[data-job] input[type=checkbox]") <= 8
    await expect(page.get_by_role("checkbox", name="Daily 0")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("checkbox", name="Daily 1")).to_be_focused()
    assert await count_tabs(page, "#selected button", backwards=True) <= 8
    await page.get_by_role("button", name="Actions for Daily 1").focus()
    await page.keyboard.press("Enter")
    assert await find_axe_violations(page) == []
    await tab_to(page, page.locator("[popover]:popover-open").get_by_role("button", name="Clone"))
    await page.keyboard.press("Enter")
    await page.get_by_label("Title").fill("Outside of this filter")
    await page.get_by_label("Title").press("Enter")
    marked = page.locator("tr:target")
    await expect(marked).to_contain_text("Outside of this filter")
    await expect(page.get_by_text("Not among the jobs below:")).to_be_visible()
    assert "search=Daily" in page.url
    await page.get_by_role("button", name="Actions for Daily 1").click()
    await page.locator("[popover]:popover-open").get_by_role("button", name="Edit").click()
    await page.get_by_label("Description").fill("Changed")
    await page.get_by_role("button", name="Save changes").click()
    await expect(marked).to_contain_text("Changed")
    await expect(marked).to_be_in_viewport()
    await expect(page.get_by_text("Not among the jobs below:")).to_have_count(0)


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
        button = page.get_by_role("main").get_by_role("button", name=name, exact=True).first
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


@pytest.mark.parametrize(("width", "height"), [(375, 812), (720, 450)], ids=["375 px", "200 % zoom of 1440 px"])
async def test_J3_on_a_small_screen_the_first_job_stands_in_the_upper_half_and_filters_are_folded(
    open_page: PageOpener, tenant: Tenant, width: int, height: int
) -> None:
    await tenant.job(title="On a small screen", schedule=HOURLY)
    page = await open_page(tenant, width=width, height=height)
    # History is unavailable here and the tenant is new, which the page says above the list; usually it says nothing.
    await page.goto("/jobs")
    await page.evaluate("document.querySelectorAll('#history-notice, .first-steps').forEach(each => each.remove())")
    card = await page.locator("tr[data-job]").first.bounding_box()
    assert card is not None
    assert card["y"] < height / 2
    links = [await each.bounding_box() for each in await page.get_by_role("navigation", name="Main").locator("a").all()]
    assert len({each["y"] for each in links if each}) == 1
    await expect(page.get_by_label("Search titles")).to_be_hidden()
    await page.get_by_text("Filter and sort").click()
    await expect(page.get_by_label("Search titles")).to_be_visible()
    label = "getComputedStyle(document.querySelector('td[data-label=Type]'), '::before').content"
    assert await page.evaluate(label) == '"Type"'
    await page.get_by_role("checkbox", name="On a small screen").first.check()
    await expect(page.locator("[data-action=suspend]")).to_be_in_viewport()
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
