"""Live updates: they replace what changed and touch nothing else; and the pages while history is unavailable."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from tests.integration.job_api.world import Tenant
from tests.integration.pages.runs import create_scenario, finish_run, publish_runs, wait_until_recorded
from tests.integration.pages.site import PageOpener, Site, find_axe_violations
from tests.support.system import Service
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario

HOURLY = {"kind": "hourly", "every": 4, "start": "2036-01-01T00:00:00Z"}
ROW_POSITIONS = (
    "() => [...document.querySelectorAll('tr[data-run], tr[data-job]')].map(row => row.getBoundingClientRect().top)"
)


async def start_run(site: Site, tenant: Tenant, title: str, **more: object) -> RunScenario:
    """Publish a run that is in progress at 20 %."""
    scenario = create_scenario(tenant, title, **more).triggered().queued().started().progressed(20)  # type: ignore[arg-type]
    await publish_runs(site, tenant, scenario)
    return scenario


async def report_progress(site: Site, tenant: Tenant, scenario: RunScenario, done: int) -> None:
    """Publish the progress of a run in percent, and wait until its estimate has it."""
    scenario.progressed(done)
    await site.system.publish(scenario.progress[-1])

    async def is_estimated() -> bool:
        run = await wait_until_recorded(tenant.client, scenario)
        return run["estimate"] is not None and run["progress"] == done / 100

    await eventually(is_estimated)


async def mark_page(page: Page) -> None:
    """Mark the page, so that a reload would show in the lack of the mark."""
    await page.evaluate("document.body.dataset.mark = 'kept'")


async def expect_progress(page: Page, progress: float) -> None:
    """Wait until the page's only progress bar has this value."""
    await expect(page.locator("progress")).to_have_js_property("value", progress, timeout=30_000)


async def test_H3_H4_H6_progress_moves_while_selection_focus_and_layout_stay(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    others = [finish_run(create_scenario(tenant, f"Before {number}", ago=timedelta(hours=1))) for number in range(3)]
    await publish_runs(site, tenant, *others)
    scenario = await start_run(site, tenant, "In motion")
    page = await open_page(tenant)
    await page.goto("/runs")
    await expect_progress(page, 0.2)
    box = page.get_by_role("checkbox", name="Select the run of Before 1")
    await box.focus()
    await page.keyboard.press("Space")
    await mark_page(page)
    positions = await page.evaluate(ROW_POSITIONS)
    await report_progress(site, tenant, scenario, 60)
    await expect_progress(page, 0.6)
    await page.locator(".progress").hover()
    tooltip = page.locator(".progress .tooltip")
    await expect(tooltip).to_be_visible()
    await expect(tooltip).to_contain_text("About ")
    await expect(tooltip).to_contain_text(" remaining ")
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    assert await page.evaluate(ROW_POSITIONS) == positions
    newer = create_scenario(tenant, "Newer", ago=timedelta(0)).triggered().queued()
    await publish_runs(site, tenant, newer)
    await expect(page.get_by_role("button", name="Show 1 newer run")).to_be_visible()
    assert await page.evaluate(ROW_POSITIONS) == positions
    await page.locator("h1").hover()
    scenario.succeeded()
    await publish_runs(site, tenant, scenario)
    row = page.locator(f'tr[data-run="{scenario.run_id}"]')
    await expect(row).to_contain_text("Succeeded", timeout=30_000)
    await expect(row).to_contain_text("1 file")
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    assert await page.evaluate("document.body.dataset.mark") == "kept"
    assert await page.evaluate(ROW_POSITIONS) == positions


async def test_J3_H6_updates_of_the_list_of_jobs_keep_an_open_menu_and_the_selection(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    job = await tenant.job(title="Shown while running", schedule=HOURLY)
    await tenant.job(title="Another", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs")
    await page.get_by_role("checkbox", name="Shown while running").check()
    menu = page.locator("details.menu")
    await menu.locator("summary").click()
    await mark_page(page)
    scenario = await start_run(site, tenant, "Shown while running", job=UUID(job["id"]))
    await expect_progress(page, 0.2)
    await report_progress(site, tenant, scenario, 70)
    await expect_progress(page, 0.7)
    await expect(menu).to_have_attribute("open", "")
    await expect(page.get_by_role("checkbox", name="Shown while running")).to_be_checked()
    scenario.succeeded()
    await publish_runs(site, tenant, scenario)
    await expect(page.locator(f'tr[data-job="{job["id"]}"] .badge.succeeded')).to_be_visible(timeout=30_000)
    await expect(menu).to_have_attribute("open", "")
    assert await page.evaluate("document.body.dataset.mark") == "kept"


async def test_H2_H6_the_details_follow_a_run_to_its_end(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    scenario = await start_run(site, tenant, "Followed")
    page = await open_page(tenant)
    await page.goto(f"/runs/{scenario.run_id}")
    await mark_page(page)
    await expect_progress(page, 0.2)
    await report_progress(site, tenant, scenario, 40)
    await expect_progress(page, 0.4)
    await expect(page.locator("[data-progress]")).to_have_text("40 %")
    await expect(page.locator("[data-remaining]")).to_contain_text("About ")
    assert await find_axe_violations(page) == []
    # Text that a user has selected to copy stays selected until they have copied it.
    timeline = page.locator(".timeline")
    await timeline.evaluate("part => getSelection().selectAllChildren(part)")
    selected = await page.evaluate("getSelection().toString()")
    scenario.part(1).succeeded()
    await publish_runs(site, tenant, scenario)
    await expect(page.locator(".run-status")).to_contain_text("Succeeded", timeout=30_000)
    await expect(page.get_by_text("Interactions 1")).to_be_visible()
    assert await page.evaluate("getSelection().toString()") == selected
    await expect(timeline).not_to_contain_text("Succeeded")
    await page.evaluate("getSelection().removeAllRanges()")
    await expect(timeline).to_contain_text("Succeeded")
    await expect(page.get_by_role("button", name="Cancel")).to_have_attribute("aria-disabled", "true")
    assert await page.evaluate("document.body.dataset.mark") == "kept"


async def test_H6_pages_report_an_outage_of_history_and_catch_up_afterwards(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    job = await tenant.job(title="Interrupted", schedule=HOURLY)
    scenario = await start_run(site, tenant, "Interrupted", job=UUID(job["id"]))
    jobs, page = await open_page(tenant), await open_page(tenant)
    await jobs.goto("/jobs?search=Interrupted")
    await expect_progress(jobs, 0.2)
    await page.goto("/runs?search=Interrupted")
    await expect_progress(page, 0.2)
    await mark_page(page)
    history.process.stop()
    stale = page.locator(".stale")
    await expect(stale).to_contain_text("Live updates are interrupted", timeout=30_000)
    other = await open_page(tenant)
    answer = await other.goto("/runs")
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    await expect(other.get_by_role("heading", name="History: temporarily unavailable")).to_be_visible()
    assert await find_axe_violations(other) == []
    answer = await other.goto("/artifacts")
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    await expect(other.get_by_role("heading", name="Artifacts: temporarily unavailable")).to_be_visible()
    answer = await other.goto("/jobs")
    assert answer is not None
    assert answer.status == 200

    async def has_notice() -> bool:
        await other.reload()
        return await other.locator("#history-notice").count() == 1

    await eventually(has_notice)
    await expect(other.locator("#history-notice")).to_contain_text("Run history is temporarily unavailable.")
    scenario.progressed(80)
    await site.system.publish(scenario.progress[-1])
    # The job API learns of progress without history, and the list of jobs polls it meanwhile.
    await expect(jobs.locator(".stale")).to_be_visible()
    await expect_progress(jobs, 0.8)
    settings = {"STORE": site.store.as_uri() if site.store else "", "HTTP_PORT": str(site.history_port)}
    restarted = site.system.start("history", "api", settings)
    await replace(restarted, url=history.url).wait_ready()
    await expect(stale).to_be_hidden(timeout=60_000)
    await expect_progress(page, 0.8)
    assert await page.evaluate("document.body.dataset.mark") == "kept"


@pytest.mark.parametrize("path", ["/runs", "/artifacts"])
async def test_U1_a_new_session_reaches_history_at_once(
    open_page: PageOpener, site: Site, history: Service, path: str
) -> None:
    """A user who has just logged in may open a page before history knows the session."""
    new_tenant = await site.create_tenant(certificate=False)
    page = await open_page(new_tenant)
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status == 200
