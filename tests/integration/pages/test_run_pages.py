"""History and the details of a run, as a user reads and uses them in a browser."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from playwright.async_api import Page, expect

from shared import events
from shared.events.runs import RunFailed
from shared.http.identity import SESSION_COOKIE
from tests.integration.job_api.world import Tenant
from tests.integration.pages.runs import finished, publish_runs, recorded, story_of
from tests.integration.pages.site import PageOpener, Site, audited, too_wide
from tests.support.listener import Listener
from tests.support.system import Service
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario

XSS = '<img src=x onerror="document.title=1"><script>document.title = 1</script> & "quotes"'
Stories = dict[str, RunScenario]


@pytest.fixture(scope="module")
async def stories(site: Site, history: Service, tenant: Tenant) -> Stories:
    """Return runs of every kind."""
    job = uuid4()
    made = {
        "newest": finished(story_of(tenant, "Nightly", job=job), 12, rows=1000),
        "older": finished(story_of(tenant, "Nightly", job=job, ago=timedelta(days=1)), 2),
        "contacts": finished(story_of(tenant, "Contacts to CRM", type="contact", ago=timedelta(hours=2))),
        "failed": story_of(tenant, XSS, ago=timedelta(hours=3)).triggered().queued().started().attempt_failed(),
        "waiting": story_of(tenant, "Waiting").triggered().queued(),
    }
    said = {"attempt": 2, "code": "source-access-refused", "message": f"The source refuses the login {XSS}."}
    made["failed"].started(2).add(RunFailed, **said)
    await publish_runs(site, tenant, *made.values())
    return made


async def titles(page: Page) -> list[str]:
    return await page.locator("tr[data-run] th a").all_inner_texts()


async def test_H1_J11_runs_are_listed_sorted_and_filtered_by_their_columns(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant)
    await page.goto("/runs")
    for head in ("Job", "Status", "Source", "Type", "Started", "Duration", "Rows", "Files"):
        await expect(page.get_by_role("columnheader", name=head, exact=True)).to_be_visible()
    newest = page.locator(f'tr[data-run="{stories["newest"].run_id}"]')
    for words in ("Nightly", "Succeeded", "Contact history", "Interactions", "UTC", "your time", "12,000", "12 files"):
        await expect(newest).to_contain_text(words)
    await page.get_by_role("link", name="Rows").click()
    await page.get_by_role("link", name="Rows").click()
    await expect(page.get_by_role("columnheader", name="Rows")).to_have_attribute("aria-sort", "descending")
    assert (await titles(page))[:2] == ["Nightly", "Nightly"]
    await expect(page.get_by_label("Status", exact=True)).to_contain_text("Failed (1)")
    await page.get_by_label("Type", exact=True).select_option("contact")
    await page.wait_for_url("**type=contact**")
    assert await titles(page) == ["Contacts to CRM"]
    await page.goto("/runs")
    await page.get_by_label("Title contains").fill("no such title")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No runs match this filter.")).to_be_visible()
    assert await audited(page) == []


async def test_H1_J4_opened_from_a_job_history_is_filtered_on_it(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant)
    await page.goto(f"/runs?job_id={stories['newest'].job_id}")
    await expect(page.get_by_role("heading", name="History of Nightly")).to_be_visible()
    assert await titles(page) == ["Nightly", "Nightly"]
    await expect(page.get_by_label("Status", exact=True)).to_contain_text("Succeeded (2)")
    await page.get_by_label("Created: from this day (UTC)").fill(
        (stories["newest"].at + timedelta(days=1)).date().isoformat()
    )
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("No runs match this filter.")).to_be_visible()
    await page.get_by_role("link", name="Show all runs").click()
    assert len(await titles(page)) >= 5


async def test_H2_the_details_tell_all_of_a_run(
    open_page: PageOpener, site: Site, tenant: Tenant, stories: Stories
) -> None:
    story = story_of(tenant, "Watched", ago=timedelta(seconds=20)).triggered().queued().started()
    await publish_runs(site, tenant, story)
    for step in range(1, 4):
        story.progressed(step * 25)
        await site.system.publish(story.progress[-1])
        before = (await recorded(tenant.client, story))["estimates"]

        async def another(known: int = len(before)) -> bool:
            return len((await recorded(tenant.client, story))["estimates"]) > known

        await eventually(another)
    story.part(1).succeeded()
    await publish_runs(site, tenant, story)
    page = await open_page(tenant)
    await page.goto("/runs")
    await page.get_by_role("link", name="Watched").click()
    await expect(page.get_by_role("heading", name="Watched")).to_be_visible()
    text = await page.locator("main").inner_text()
    for words in (
        "1 of up to 5",
        "exporter-1",
        "by schedule",
        "Export timeframe",
        "Records until",
        "rows/s",
        "AES-256-CBC",
    ):
        assert words in text
    for words in ("Due", "Waiting for an exporter", "Started", "Succeeded", str(story.run_id), "Interactions 1"):
        assert words in text
    for name in ("Rows per second over time", "Estimated time remaining"):
        await eventually(lambda name=name: drawn(page, name))  # type: ignore[misc]
    assert (await audited(page), await too_wide(page)) == ([], 0)
    await page.set_viewport_size({"width": 320, "height": 700})
    assert await too_wide(page) == 0


async def drawn(page: Page, name: str) -> bool:
    """Return whether a plot is there; how a run went is stored a moment after its end."""
    if await page.get_by_role("img", name=name).count():
        return True
    await page.reload()
    return False


async def test_R5_a_failure_is_told_in_words_with_what_to_do_and_its_text_is_only_text(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant)
    await page.goto("/runs")
    await expect(page.get_by_role("link", name=XSS)).to_be_visible()
    await page.get_by_role("link", name=XSS).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(XSS)
    await expect(page.get_by_text("Ask the database's administrator to check")).to_be_visible()
    await expect(page.get_by_text(f"The source refuses the login {XSS}.").first).to_be_visible()
    await expect(page.get_by_text("Attempt 1 failed")).to_be_visible()
    assert (await page.title()) != "1"
    assert (await audited(page), await too_wide(page)) == ([], 0)


async def test_R6_chosen_runs_are_cancelled_after_a_question_by_keyboard_alone(
    open_page: PageOpener, site: Site, tenant: Tenant, stories: Stories
) -> None:
    running = story_of(tenant, "To be cancelled").triggered().queued().started()
    await publish_runs(site, tenant, running)
    page = await open_page(tenant)
    await page.goto("/runs")
    await page.get_by_role("checkbox", name="Select the run of To be cancelled").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="Cancel", exact=True).focus()
    async with Listener(site.system.kafka, "sluice.commands") as commands:
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Cancel this run?")).to_be_visible()
        assert await audited(page) == []
        await page.get_by_role("button", name="Cancel run").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Cancellation requested: 1.")
        found = await commands.find(lambda event: isinstance(event, events.CancelRun))
    assert isinstance(found, events.CancelRun)
    assert found.run_id == running.run_id


async def test_H2_an_ended_run_is_removed_from_the_log_and_one_that_is_not_stays(
    open_page: PageOpener, site: Site, tenant: Tenant, stories: Stories
) -> None:
    gone = finished(story_of(tenant, "To be removed"))
    await publish_runs(site, tenant, gone)
    page = await open_page(tenant, javascript=False)
    await page.goto("/runs")
    await page.get_by_role("checkbox", name="Select the run of To be removed").check()
    await page.get_by_role("checkbox", name="Select the run of Waiting").check()
    await page.get_by_role("button", name="Remove from history").click()
    await expect(page.get_by_role("heading", name="Remove these 2 runs from history?")).to_be_visible()
    await page.get_by_role("button", name="Remove from history").click()
    await expect(page.get_by_text("Removed from history: 1. The other runs have not ended")).to_be_visible()
    shown = await titles(page)
    assert ("To be removed" in shown, "Waiting" in shown) == (False, True)
    await page.goto(f"/runs/{gone.run_id}")
    await expect(page.get_by_role("heading", name="Not found")).to_be_visible()


async def test_H2_a_run_leads_to_its_files_and_its_settings_to_a_new_job(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant, javascript=False)
    await page.goto("/runs")
    await page.get_by_role("button", name="Clone settings").click()
    await expect(page.get_by_text("Select exactly one run")).to_be_visible()
    await page.get_by_role("checkbox", name="Select the run of Contacts to CRM").check()
    await page.get_by_role("button", name="Files").click()
    await page.wait_for_url(f"**/artifacts?run_id={stories['contacts'].run_id}")
    await page.go_back()
    await page.get_by_role("checkbox", name="Select the run of Contacts to CRM").check()
    await page.get_by_role("button", name="Clone settings").click()
    await page.wait_for_url(f"**/jobs/new?run_id={stories['contacts'].run_id}")


async def test_H2_a_run_s_frozen_settings_fill_the_editor_and_save_makes_a_new_job(
    open_page: PageOpener, site: Site, tenant: Tenant
) -> None:
    settings: dict[str, Any] = {
        "media_types": ("email", "chat"),
        "timeframe": events.Timeframe(kind="last", count=7, unit="days"),
        "split_size": 1 << 29,
        "certificates": (UUID(tenant.certificate),),
        "compression": "small",
        "cipher": "aes-256-gcm",
        "attempts": 3,
    }
    run = finished(story_of(tenant, "Frozen", **settings))
    await publish_runs(site, tenant, run)
    before = {job["id"] for job in (await tenant.client.get("/api/v1/jobs")).json()["items"]}
    page = await open_page(tenant)
    await page.goto(f"/runs/{run.run_id}")
    await page.get_by_role("button", name="Clone settings").click()
    await page.wait_for_url(f"**/jobs/new?run_id={run.run_id}")
    await expect(page.get_by_label("Title")).to_have_value("Frozen")
    for label in ("E-mail", "Chat", "Immediately", "Once", "Last …", "Data protection officer"):
        await expect(page.get_by_label(label, exact=False)).to_be_checked()
    await expect(page.get_by_label("Voice")).not_to_be_checked()
    for name, value in {"last_count": "7", "last_unit": "days", "split_number": "512", "split_unit": "MiB"}.items():
        await expect(page.locator(f"#{name}")).to_have_value(value)
    for name, value in {"compression": "small", "cipher": "aes-256-gcm", "attempts": "3"}.items():
        await expect(page.locator(f"#{name}")).to_have_value(value)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_have_text("The job has been saved.")
    jobs = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    (made,) = [job for job in jobs if job["id"] not in before]
    assert made["id"] != str(run.job_id)
    kept = {name: made[name] for name in settings if name not in {"timeframe", "media_types", "certificates"}}
    assert kept == {name: settings[name] for name in kept}
    assert (made["title"], made["media_types"], made["certificates"]) == (
        "Frozen",
        ["email", "chat"],
        [tenant.certificate],
    )
    assert (made["timeframe"]["count"], made["timeframe"]["unit"], made["schedule"]["kind"]) == (7, "days", "once")


async def test_U2_a_viewer_looks_at_runs_and_is_told_why_no_more(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant, "viewer")
    await page.goto("/runs")
    for name in ("Cancel", "Clone settings", "Remove from history"):
        button = page.get_by_role("button", name=name, exact=True)
        await expect(button).to_have_attribute("aria-disabled", "true")
        await expect(button).to_have_attribute("title", "This requires the role operator; ask an administrator.")
    await expect(
        page.get_by_text("You can see runs but not cancel, clone or remove them. This requires the role operator")
    ).to_be_visible()
    token = await page.locator("#selected input[name=csrf]").input_value()
    form: dict[str, str | float | bool] = {"csrf": token, "action": "remove", "confirmed": "yes"}
    form["run"] = str(stories["older"].run_id)
    answer = await page.request.post("/runs/selected", form=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status, "Access denied" in await answer.text()) == (403, True)
    assert await audited(page) == []


async def test_U3_another_tenants_run_is_not_found(open_page: PageOpener, site: Site, stories: Stories) -> None:
    other = await site.tenant(certificate=False)
    page = await open_page(other)
    await page.goto(f"/runs/{stories['newest'].run_id}")
    await expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    await page.goto("/runs")
    await expect(page.get_by_text("There are no runs yet.")).to_be_visible()


@pytest.mark.parametrize("way", ["cross-site", "no token", "another's token"])
async def test_U4_a_form_from_elsewhere_does_nothing(
    open_page: PageOpener, site: Site, tenant: Tenant, stories: Stories, way: str
) -> None:
    other = await open_page(tenant, "operator", javascript=False)
    await other.goto("/runs")
    token = await other.locator("input[name=csrf]").first.input_value()
    headers = {"Sec-Fetch-Site": "cross-site" if way == "cross-site" else "same-origin"}
    form = {"action": "remove", "confirmed": "yes", "run": str(stories["older"].run_id)}
    if way == "another's token":
        form["csrf"] = token
    cookies = {SESSION_COOKIE: await site.session(tenant, "admin")}
    async with httpx.AsyncClient(base_url=site.url, cookies=cookies) as client:
        for path in ("/runs/selected", "/artifacts/selected"):
            assert (await client.post(path, data=form, headers=headers)).status_code == 403
    assert (await tenant.client.get(f"/api/v1/runs/{stories['older'].run_id}")).status_code == 200
