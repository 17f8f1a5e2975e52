"""History, the details of a run, and the actions on runs."""

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
from tests.integration.pages.runs import create_scenario, finish_run, publish_runs, wait_until_recorded
from tests.integration.pages.site import PageOpener, Site, find_axe_violations, measure_overflow
from tests.support.listener import Listener
from tests.support.system import Service
from tests.support.wait import eventually
from tests.unit.history.delivery_scenarios import DeliveryScenario
from tests.unit.history.scenarios import RunScenario

XSS = '<img src=x onerror="document.title=1"><script>document.title = 1</script> & "quotes"'
Scenarios = dict[str, RunScenario]


@pytest.fixture(scope="module")
async def scenarios(site: Site, history: Service, tenant: Tenant) -> Scenarios:
    """Runs in several states, by name."""
    job = uuid4()
    published = {
        "newest": finish_run(create_scenario(tenant, "Nightly", job=job), 12, rows=1000),
        "older": finish_run(create_scenario(tenant, "Nightly", job=job, ago=timedelta(days=1)), 2),
        "contacts": finish_run(create_scenario(tenant, "Contacts to CRM", type="contact", ago=timedelta(hours=2))),
        "failed": create_scenario(tenant, XSS, ago=timedelta(hours=3)).triggered().queued().started().attempt_failed(),
        "waiting": create_scenario(tenant, "Waiting").triggered().queued(),
    }
    failure = {"attempt": 2, "code": "source-access-refused", "message": f"The source refuses the login {XSS}."}
    published["failed"].started(2).add(RunFailed, **failure)
    await publish_runs(site, tenant, *published.values())
    return published


async def read_titles(page: Page) -> list[str]:
    return await page.locator("tr[data-run] th > a").all_inner_texts()


async def test_H1_J11_runs_are_listed_sorted_and_filtered_by_their_columns(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant)
    await page.goto("/runs")
    for column in ("Job", "Status", "Source", "Type", "Started", "Duration", "Rows", "Files"):
        await expect(page.get_by_role("columnheader", name=column, exact=True)).to_be_visible()
    newest = page.locator(f'tr[data-run="{scenarios["newest"].run_id}"]')
    for text in ("Nightly", "Succeeded", "Contact history", "Interactions", "UTC", "your time", "12,000", "12 files"):
        await expect(newest).to_contain_text(text)
    await page.get_by_role("link", name="Rows").click()
    await page.get_by_role("link", name="Rows").click()
    await expect(page.get_by_role("columnheader", name="Rows")).to_have_attribute("aria-sort", "descending")
    assert (await read_titles(page))[:2] == ["Nightly", "Nightly"]
    await expect(page.get_by_label("Status", exact=True)).to_contain_text("Failed (1)")
    await page.get_by_label("Type", exact=True).select_option("contact")
    await page.wait_for_url("**type=contact**")
    assert await read_titles(page) == ["Contacts to CRM"]
    await page.goto("/runs")
    await page.get_by_label("Title contains").fill("no such title")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No runs match this filter.")).to_be_visible()
    assert await find_axe_violations(page) == []


async def test_H1_J4_history_opened_from_a_job_is_filtered_by_it(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant)
    await page.goto(f"/runs?job_id={scenarios['newest'].job_id}")
    await expect(page.get_by_role("heading", name="History of Nightly")).to_be_visible()
    assert await read_titles(page) == ["Nightly", "Nightly"]
    await expect(page.get_by_label("Status", exact=True)).to_contain_text("Succeeded (2)")
    await page.get_by_label("Created: from this day (UTC)").fill(
        (scenarios["newest"].at + timedelta(days=1)).date().isoformat()
    )
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("No runs match this filter.")).to_be_visible()
    await page.get_by_role("link", name="Show all runs").click()
    assert len(await read_titles(page)) >= 5


async def test_H2_the_details_of_a_run_are_complete(
    open_page: PageOpener, site: Site, tenant: Tenant, scenarios: Scenarios
) -> None:
    scenario = create_scenario(tenant, "Watched", ago=timedelta(seconds=20)).triggered().queued().started()
    await publish_runs(site, tenant, scenario)
    for step in range(1, 4):
        scenario.progressed(step * 25)
        await site.system.publish(scenario.progress[-1])
        before = (await wait_until_recorded(tenant.client, scenario))["estimates"]

        async def has_another(known: int = len(before)) -> bool:
            return len((await wait_until_recorded(tenant.client, scenario))["estimates"]) > known

        await eventually(has_another)
    scenario.part(1).succeeded()
    await publish_runs(site, tenant, scenario)
    page = await open_page(tenant)
    await page.goto("/runs")
    await page.get_by_role("link", name="Watched", exact=True).click()
    await expect(page.get_by_role("heading", name="Watched")).to_be_visible()
    content = await page.locator("main").inner_text()
    for text in (
        "1 of up to 5",
        "exporter-1",
        "by schedule",
        "Export timeframe",
        "Records until",
        "rows/s",
        "AES-256-CBC",
    ):
        assert text in content
    for text in ("Due", "Waiting for an exporter", "Started", "Succeeded", str(scenario.run_id), "Interactions 1"):
        assert text in content
    for name in ("Rows per second over time", "Estimated time remaining"):
        await eventually(lambda name=name: has_plot(page, name))  # type: ignore[misc]
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
    await page.set_viewport_size({"width": 320, "height": 700})
    assert await measure_overflow(page) == 0


async def has_plot(page: Page, name: str) -> bool:
    """Return whether the page has a plot, and reload it if not: plots are stored a moment after the end of a run."""
    if await page.get_by_role("img", name=name).count():
        return True
    await page.reload()
    return False


async def test_R5_a_failure_is_shown_with_advice_and_its_text_is_escaped(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant)
    await page.goto("/runs")
    await expect(page.get_by_role("link", name=XSS, exact=True)).to_be_visible()
    await page.get_by_role("link", name=XSS, exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(XSS)
    await expect(page.get_by_text("Ask the database's administrator to check")).to_be_visible()
    await expect(page.get_by_text(f"The source refuses the login {XSS}.").first).to_be_visible()
    await expect(page.get_by_text("Attempt 1 failed")).to_be_visible()
    assert (await page.title()) != "1"
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)


async def test_R6_selected_runs_are_cancelled_after_confirmation_with_the_keyboard_alone(
    open_page: PageOpener, site: Site, tenant: Tenant, scenarios: Scenarios
) -> None:
    running = create_scenario(tenant, "To be cancelled").triggered().queued().started()
    await publish_runs(site, tenant, running)
    page = await open_page(tenant)
    await page.goto("/runs")
    await page.get_by_role("checkbox", name="Select the run of To be cancelled").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="Cancel", exact=True).focus()
    async with Listener(site.system.kafka, "sluice.commands") as commands:
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Cancel this run?")).to_be_visible()
        await expect(page.locator(".subjects")).to_contain_text("To be cancelled, 2026-11-24 10:00 UTC, in progress")
        await expect(page.get_by_text(f"in the tenant {tenant.name}.")).to_be_visible()
        assert await find_axe_violations(page) == []
        await page.get_by_role("button", name="Cancel run").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Cancellation requested: 1 “To be cancelled,")
        found = await commands.find(lambda event: isinstance(event, events.CancelRun))
    assert isinstance(found, events.CancelRun)
    assert found.run_id == running.run_id


async def test_H2_only_runs_that_have_ended_are_removed_from_history(
    open_page: PageOpener, site: Site, tenant: Tenant, scenarios: Scenarios
) -> None:
    ended = finish_run(create_scenario(tenant, "To be removed"))
    await publish_runs(site, tenant, ended)
    page = await open_page(tenant, javascript=False)
    await page.goto("/runs")
    await page.get_by_role("checkbox", name="Select the run of To be removed").check()
    await page.get_by_role("checkbox", name="Select the run of Waiting").check()
    await page.get_by_role("button", name="Remove from history").click()
    await expect(page.get_by_role("heading", name="Remove these 2 runs from history?")).to_be_visible()
    await page.get_by_role("button", name="Remove from history").click()
    await expect(page.get_by_text("Removed from history: 1. The other runs have not ended")).to_be_visible()
    titles = await read_titles(page)
    assert ("To be removed" in titles, "Waiting" in titles) == (False, True)
    await page.goto(f"/runs/{ended.run_id}")
    await expect(page.get_by_role("heading", name="Not found")).to_be_visible()


async def test_H2_a_run_leads_to_its_files_and_to_a_clone_of_its_settings(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant, javascript=False)
    await page.goto("/runs")
    await page.get_by_role("button", name="Clone settings").click()
    await expect(page.get_by_text("Select exactly one run")).to_be_visible()
    await page.get_by_role("checkbox", name="Select the run of Contacts to CRM").check()
    await page.get_by_role("checkbox", name="Select the run of Waiting").check()
    await page.get_by_role("button", name="Clone settings").click()
    # The ticks survive the refused action.
    await expect(page.get_by_role("alert")).to_contain_text("Select exactly one run")
    await expect(page.get_by_role("checkbox", name="Select the run of Contacts to CRM")).to_be_checked()
    await page.get_by_role("checkbox", name="Select the run of Waiting").uncheck()
    await page.get_by_role("button", name="Files").click()
    await page.wait_for_url(f"**/artifacts?run_id={scenarios['contacts'].run_id}")
    await page.go_back()
    await page.get_by_role("checkbox", name="Select the run of Contacts to CRM").check()
    await page.get_by_role("button", name="Clone settings").click()
    await page.wait_for_url(f"**/jobs/new?run_id={scenarios['contacts'].run_id}&draft=*")


async def test_H2_a_runs_frozen_settings_fill_the_editor_and_become_a_new_job(
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
    run = finish_run(create_scenario(tenant, "Frozen", **settings))
    await publish_runs(site, tenant, run)
    before = {job["id"] for job in (await tenant.client.get("/api/v1/jobs")).json()["items"]}
    page = await open_page(tenant)
    await page.goto(f"/runs/{run.run_id}")
    await page.get_by_role("button", name="Clone settings").click()
    await page.wait_for_url(f"**/jobs/new?run_id={run.run_id}&draft=*")
    await expect(page.get_by_label("Title")).to_have_value("Frozen")
    for label in ("E-mail", "Chat", "Immediately", "Once", "Last …", "Data protection officer"):
        await expect(page.get_by_label(label, exact=False)).to_be_checked()
    await expect(page.get_by_label("Voice")).not_to_be_checked()
    for name, value in {"last_count": "7", "last_unit": "days", "split_number": "512", "split_unit": "MiB"}.items():
        await expect(page.locator(f"#{name}")).to_have_value(value)
    for name, value in {"compression": "small", "cipher": "aes-256-gcm", "attempts": "3"}.items():
        await expect(page.locator(f"#{name}")).to_have_value(value)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_have_text("The job “Frozen” has been saved.")
    jobs = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    (clone,) = [job for job in jobs if job["id"] not in before]
    assert clone["id"] != str(run.job_id)
    cloned = {name: clone[name] for name in settings if name not in {"timeframe", "media_types", "certificates"}}
    assert cloned == {name: settings[name] for name in cloned}
    assert (clone["title"], clone["media_types"], clone["certificates"]) == (
        "Frozen",
        ["email", "chat"],
        [tenant.certificate],
    )
    assert (clone["timeframe"]["count"], clone["timeframe"]["unit"], clone["schedule"]["kind"]) == (7, "days", "once")


async def test_U2_a_viewer_sees_runs_and_why_actions_are_denied(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
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
    form["run"] = str(scenarios["older"].run_id)
    answer = await page.request.post("/runs/selected", form=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status, "Access denied" in await answer.text()) == (403, True)
    assert await find_axe_violations(page) == []


async def test_U3_another_tenants_run_is_not_found(open_page: PageOpener, site: Site, scenarios: Scenarios) -> None:
    other = await site.create_tenant(certificate=False)
    page = await open_page(other)
    await page.goto(f"/runs/{scenarios['newest'].run_id}")
    await expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    await page.goto("/runs")
    await expect(page.get_by_text("There are no runs yet.")).to_be_visible()


@pytest.mark.parametrize("forgery", ["cross-site", "no token", "another session's token"])
async def test_U4_a_forged_form_changes_nothing(
    open_page: PageOpener, site: Site, tenant: Tenant, scenarios: Scenarios, forgery: str
) -> None:
    other = await open_page(tenant, "operator", javascript=False)
    await other.goto("/runs")
    token = await other.locator("input[name=csrf]").first.input_value()
    headers = {"Sec-Fetch-Site": "cross-site" if forgery == "cross-site" else "same-origin"}
    form = {"action": "remove", "confirmed": "yes", "run": str(scenarios["older"].run_id)}
    if forgery == "another session's token":
        form["csrf"] = token
    cookies = {SESSION_COOKIE: await site.log_in(tenant, "admin")}
    async with httpx.AsyncClient(base_url=site.url, cookies=cookies) as client:
        for path in ("/runs/selected", "/artifacts/selected"):
            assert (await client.post(path, data=form, headers=headers)).status_code == 403
    assert (await tenant.client.get(f"/api/v1/runs/{scenarios['older'].run_id}")).status_code == 200


async def test_D11_a_runs_deliveries_are_shown_with_their_reason_and_can_be_retried(
    site: Site, open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    run = scenarios["newest"]
    page = await open_page(tenant)
    await page.goto(f"/runs/{run.run_id}")
    delivery = DeliveryScenario(run).created("Data lake").started().failed()
    await site.system.publish(*delivery.everything)
    row = page.get_by_role("row", name="Data lake")
    await expect(row).to_contain_text("Failed", timeout=30_000)
    await expect(row).to_contain_text("Other content is already there.")
    await row.get_by_role("button", name="Retry the delivery to Data lake").click()
    await expect(page.get_by_role("status")).to_contain_text("Nothing is exported again")
