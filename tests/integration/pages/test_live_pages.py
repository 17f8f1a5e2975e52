"""Live updates: they replace what changed and touch nothing else; and the pages while history is unavailable."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from tests.integration.job_api.world import Tenant
from tests.integration.pages.runs import finished, publish_runs, recorded, story_of
from tests.integration.pages.site import PageOpener, Site, audited
from tests.support.system import Service
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario

HOURLY = {"kind": "hourly", "every": 4, "start": "2036-01-01T00:00:00Z"}
PLACES = (
    "() => [...document.querySelectorAll('tr[data-run], tr[data-job]')].map(row => row.getBoundingClientRect().top)"
)


async def going_on(site: Site, tenant: Tenant, title: str, **more: object) -> RunScenario:
    """Return a run that is in progress, at a fifth."""
    story = story_of(tenant, title, **more).triggered().queued().started().progressed(20)  # type: ignore[arg-type]
    await publish_runs(site, tenant, story)
    return story


async def reaches(site: Site, tenant: Tenant, story: RunScenario, done: int) -> None:
    """Let a run come so far, and wait until the estimate says so too."""
    story.progressed(done)
    await site.system.publish(story.progress[-1])

    async def shown() -> bool:
        run = await recorded(tenant.client, story)
        return run["estimate"] is not None and run["progress"] == done / 100

    await eventually(shown)


async def marked(page: Page) -> None:
    """Put a mark on the page that would be gone if it were loaded again."""
    await page.evaluate("document.body.dataset.mark = 'here'")


async def at_share(page: Page, share: float) -> None:
    """Wait until the page's only bar stands there."""
    await expect(page.locator("progress")).to_have_js_property("value", share, timeout=30_000)


async def test_H3_H4_H6_a_bar_moves_and_choice_focus_and_place_stay(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    others = [finished(story_of(tenant, f"Before {number}", ago=timedelta(hours=1))) for number in range(3)]
    await publish_runs(site, tenant, *others)
    story = await going_on(site, tenant, "Moving")
    page = await open_page(tenant)
    await page.goto("/runs")
    await at_share(page, 0.2)
    box = page.get_by_role("checkbox", name="Select the run of Before 1")
    await box.focus()
    await page.keyboard.press("Space")
    await marked(page)
    places = await page.evaluate(PLACES)
    await reaches(site, tenant, story, 60)
    await at_share(page, 0.6)
    await page.locator(".progress").hover()
    tooltip = page.locator(".progress .tooltip")
    await expect(tooltip).to_be_visible()
    await expect(tooltip).to_contain_text("About ")
    await expect(tooltip).to_contain_text(" remaining ")
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    assert await page.evaluate(PLACES) == places
    newer = story_of(tenant, "Newer", ago=timedelta(0)).triggered().queued()
    await publish_runs(site, tenant, newer)
    await expect(page.get_by_role("button", name="Show 1 newer run")).to_be_visible()
    assert await page.evaluate(PLACES) == places
    await page.locator("h1").hover()
    story.succeeded()
    await publish_runs(site, tenant, story)
    moved = page.locator(f'tr[data-run="{story.run_id}"]')
    await expect(moved).to_contain_text("Succeeded", timeout=30_000)
    await expect(moved).to_contain_text("1 file")
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    assert await page.evaluate("document.body.dataset.mark") == "here"
    assert await page.evaluate(PLACES) == places


async def test_J3_H6_on_the_list_of_jobs_an_open_menu_and_the_chosen_job_stay(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    made = await tenant.job(title="Shown while running", schedule=HOURLY)
    await tenant.job(title="Another", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs")
    await page.get_by_role("radio", name="Shown while running").check()
    menu = page.locator("details.menu")
    await menu.locator("summary").click()
    await marked(page)
    story = await going_on(site, tenant, "Shown while running", job=UUID(made["id"]))
    await at_share(page, 0.2)
    await reaches(site, tenant, story, 70)
    await at_share(page, 0.7)
    await expect(menu).to_have_attribute("open", "")
    await expect(page.get_by_role("radio", name="Shown while running")).to_be_checked()
    story.succeeded()
    await publish_runs(site, tenant, story)
    await expect(page.locator(f'tr[data-job="{made["id"]}"] .badge.succeeded')).to_be_visible(timeout=30_000)
    await expect(menu).to_have_attribute("open", "")
    assert await page.evaluate("document.body.dataset.mark") == "here"


async def test_H2_H6_the_details_follow_the_run_to_its_end(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    story = await going_on(site, tenant, "Followed")
    page = await open_page(tenant)
    await page.goto(f"/runs/{story.run_id}")
    await marked(page)
    await at_share(page, 0.2)
    await reaches(site, tenant, story, 40)
    await at_share(page, 0.4)
    await expect(page.locator("[data-progress]")).to_have_text("40 %")
    await expect(page.locator("[data-remaining]")).to_contain_text("About ")
    assert await audited(page) == []
    # Text that a user has selected to copy stays selected until they have copied it.
    timeline = page.locator(".timeline")
    await timeline.evaluate("part => getSelection().selectAllChildren(part)")
    copied = await page.evaluate("getSelection().toString()")
    story.part(1).succeeded()
    await publish_runs(site, tenant, story)
    await expect(page.locator(".run-status")).to_contain_text("Succeeded", timeout=30_000)
    await expect(page.get_by_text("Interactions 1")).to_be_visible()
    assert await page.evaluate("getSelection().toString()") == copied
    await expect(timeline).not_to_contain_text("Succeeded")
    await page.evaluate("getSelection().removeAllRanges()")
    await expect(timeline).to_contain_text("Succeeded")
    await expect(page.get_by_role("button", name="Cancel")).to_have_attribute("aria-disabled", "true")
    assert await page.evaluate("document.body.dataset.mark") == "here"


async def test_H6_history_goes_and_comes_and_the_pages_say_so_and_catch_up(
    open_page: PageOpener, site: Site, history: Service, tenant: Tenant
) -> None:
    made = await tenant.job(title="Interrupted", schedule=HOURLY)
    story = await going_on(site, tenant, "Interrupted", job=UUID(made["id"]))
    jobs, page = await open_page(tenant), await open_page(tenant)
    await jobs.goto("/jobs?search=Interrupted")
    await at_share(jobs, 0.2)
    await page.goto("/runs?search=Interrupted")
    await at_share(page, 0.2)
    await marked(page)
    history.process.stop()
    stale = page.locator(".stale")
    await expect(stale).to_contain_text("Live updates are interrupted", timeout=30_000)
    other = await open_page(tenant)
    answer = await other.goto("/runs")
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    await expect(other.get_by_role("heading", name="History: temporarily unavailable")).to_be_visible()
    assert await audited(other) == []
    answer = await other.goto("/artifacts")
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    await expect(other.get_by_role("heading", name="Artifacts: temporarily unavailable")).to_be_visible()
    answer = await other.goto("/jobs")
    assert answer is not None
    assert answer.status == 200

    async def missing() -> bool:
        await other.reload()
        return await other.locator("#history-notice").count() == 1

    await eventually(missing)
    await expect(other.locator("#history-notice")).to_contain_text("Run history is temporarily unavailable.")
    story.progressed(80)
    await site.system.publish(story.progress[-1])
    # job-api learns of progress without history, and their page asks it meanwhile.
    await expect(jobs.locator(".stale")).to_be_visible()
    await at_share(jobs, 0.8)
    settings = {"STORE": site.store.as_uri() if site.store else "", "HTTP_PORT": str(site.history_port)}
    again = site.system.start("history", "api", settings)
    await replace(again, url=history.url).wait_ready()
    await expect(stale).to_be_hidden(timeout=60_000)
    await at_share(page, 0.8)
    assert await page.evaluate("document.body.dataset.mark") == "here"


@pytest.mark.parametrize("path", ["/runs", "/artifacts"])
async def test_U1_a_newcomer_is_let_in_to_history_at_once(
    open_page: PageOpener, site: Site, history: Service, path: str
) -> None:
    """A user who has just logged in may open the page before history knows the session."""
    newcomer = await site.tenant(certificate=False)
    page = await open_page(newcomer)
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status == 200
