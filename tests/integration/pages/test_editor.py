"""The editor of jobs: new, cloned and changed ones, with and without a script, and against attacks."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Page, expect

from tests.integration.job_api.world import HOURLY, ONCE_NOW, Tenant
from tests.integration.pages.keyboard import tab_to
from tests.integration.pages.site import PageOpener, Site, find_axe_violations, measure_overflow

XSS = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}"
NEXT_YEAR = datetime.now(UTC).year + 1


async def get_single_job(tenant: Tenant) -> dict[str, Any]:
    items = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    assert len(items) == 1
    found: dict[str, Any] = items[0]
    return found


async def test_J4_a_job_is_created_cloned_and_edited_with_the_keyboard_alone(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant)
    await page.goto("/jobs")
    await tab_to(page, page.get_by_role("link", name="Add new job"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Title")).to_be_focused()
    await page.keyboard.type("By keyboard")
    await tab_to(page, page.get_by_role("radio", name="Daily"))
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("radio", name="Hourly")).to_be_checked()
    await tab_to(page, page.get_by_label("Every"))
    await page.keyboard.type("4")
    await tab_to(page, page.get_by_role("radio", name="At a date and time"))
    await page.keyboard.press("ArrowLeft")
    await tab_to(page, page.get_by_role("button", name="Save", exact=True))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("has been saved.")
    job = await get_single_job(tenant)
    assert (job["title"], job["schedule_words"]) == ("By keyboard", "every 4 hours from 00:00 UTC")
    await tab_to(page, page.get_by_role("checkbox", name="By keyboard"))
    await page.keyboard.press("Space")
    await tab_to(page, page.get_by_label("More ways to add a job"), backwards=True)
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("button", name="Clone selected"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Title")).to_have_value("Copy of By keyboard")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("The clone")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row", name="The clone")).to_contain_text("every 4 hours from 00:00 UTC")
    await tab_to(page, page.get_by_role("checkbox", name="The clone"))
    await page.keyboard.press("Space")
    await tab_to(page, page.get_by_role("button", name="Edit"), backwards=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Edit “The clone”")).to_be_visible()
    await tab_to(page, page.get_by_label("Description"))
    await page.keyboard.type("Changed by keyboard")
    await tab_to(page, page.get_by_role("button", name="Save changes"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row", name="The clone")).to_contain_text("Changed by keyboard")


async def test_J12_the_preview_shows_the_next_slots_in_utc_and_local_time(
    open_page: PageOpener, tenant: Tenant
) -> None:
    page = await open_page(tenant, zone="America/New_York")
    await page.goto("/jobs/new")
    assert await find_axe_violations(page) == []
    preview = page.locator("#preview-schedule")
    await page.get_by_role("radio", name="Hourly").check()
    await page.get_by_label("Every").fill("5")
    await page.get_by_label("Start at").fill(f"{NEXT_YEAR}-03-01T06:30")
    await expect(preview).to_contain_text("Every 5 hours from 00:00 UTC")
    slots = [line.split("\n")[0] for line in await preview.get_by_role("listitem").all_inner_texts()]
    assert slots == [f"{NEXT_YEAR}-03-0{day} UTC" for day in ("1 10:00", "1 15:00", "1 20:00", "2 00:00", "2 05:00")]
    await expect(preview.get_by_role("listitem").first).to_contain_text("05:00 your time")
    await expect(page.locator("output[for=start]")).to_contain_text("01:30 your time")
    await page.get_by_role("radio", name="Once").check()
    await expect(preview.get_by_role("listitem")).to_have_count(1)
    await page.get_by_label("Start at").fill("2020-01-01T00:00")
    await expect(preview).to_contain_text(re.compile("is in the past", re.IGNORECASE))
    await expect(page.locator("#preview-size")).to_contain_text("A job can be saved without an estimate.")


SOURCE = """
CREATE SCHEMA contact_history;
CREATE TABLE contact_history.interaction AS
    SELECT n::text AS id, {number} AS tenant_id, CASE WHEN n % 10 = 0 THEN 'chat' ELSE 'email' END AS media_type_id,
        timestamptz '2026-01-01' + n * interval '1 hour' AS start_date, repeat('x', 100) AS text
    FROM generate_series(1, 5000) AS n;
CREATE TABLE contact_history.attachment AS
    SELECT n::text AS id, {number} AS tenant_id, (n * 10)::text AS entity_id, 'a.bin' AS name, 30000 AS size,
        (SELECT string_agg(gen_random_uuid()::text, '')::bytea FROM generate_series(1, 834), (SELECT n)) AS content
    FROM generate_series(1, 500) AS n;
ANALYZE contact_history.interaction, contact_history.attachment;
"""


async def test_J12_the_size_estimate_follows_the_form(site: Site, open_page: PageOpener, tenant: Tenant) -> None:
    page = await open_page(tenant)
    await page.goto("/jobs/new")
    size = page.locator("#preview-size")
    await expect(size).to_contain_text("A job can be saved without an estimate.")
    database = await asyncpg.connect(site.system.databases.dsn(site.system.database))
    number = await database.fetchval("SELECT source_tenant FROM job_api.tenant WHERE tenant_id = $1", tenant.tenant_id)
    await database.execute(SOURCE.format(number=number))
    await database.close()
    await page.get_by_label("Title").fill("Everything")
    await expect(size).to_contain_text(
        re.compile(r"[45],\d{3} rows and \d{3} attachments, \d\d\.\d MiB before compression")
    )
    await page.get_by_label("All media types").uncheck()
    await page.get_by_label("Chat").check()
    await expect(size).to_contain_text(
        re.compile(r"^\s*\d{3} rows and \d\d attachments, \d\.\d MiB before compression")
    )


async def test_P2_a_split_size_too_large_for_openssl_shows_a_warning(open_page: PageOpener, tenant: Tenant) -> None:
    page = await open_page(tenant)
    await page.goto("/jobs/new")
    await page.get_by_role("radio", name="Split into numbered files").check()
    await page.get_by_label("Maximum size of each file").fill("1.5")
    await expect(page.locator("#preview-size")).to_contain_text("OpenSSL's own command cannot decrypt such a file")
    await page.get_by_label("Maximum size of each file").fill("1")
    await expect(page.locator("#preview-size")).not_to_contain_text("OpenSSL")


async def test_S1_the_form_shows_only_fields_that_apply(open_page: PageOpener, tenant: Tenant) -> None:
    page = await open_page(tenant, javascript=False)
    await page.goto("/jobs/new")
    every, start, media = (
        page.get_by_label("Every"),
        page.get_by_label("Start at"),
        page.get_by_label("All media types"),
    )
    await expect(every).to_be_visible()
    await page.get_by_role("radio", name="Once").check()
    await expect(every).to_be_hidden()
    await page.get_by_role("radio", name="Immediately").check()
    await expect(start).to_be_hidden()
    await expect(page.get_by_label("E-mail")).to_be_hidden()
    await media.uncheck()
    await expect(page.get_by_label("E-mail")).to_be_visible()
    await page.get_by_role("radio", name="Contacts").check()
    await expect(media).to_be_hidden()
    await expect(page.locator("#fixed_end")).to_be_hidden()
    await page.get_by_role("radio", name="Fixed interval").check()
    await expect(page.locator("#fixed_end")).to_be_visible()


async def test_J1_errors_are_shown_next_to_their_fields_and_no_input_is_lost(
    open_page: PageOpener, tenant: Tenant
) -> None:
    page = await open_page(tenant, width=320)
    await page.goto("/jobs/new")
    await page.get_by_label("Title").fill("   ")
    await page.get_by_label("Description").fill("Two\nlines")
    await page.get_by_label("All media types").uncheck()
    await page.get_by_role("radio", name="Hourly").check()
    await page.get_by_label("Every").fill("25")
    await page.get_by_label("Start at").fill(f"{NEXT_YEAR}-03-01T06:30")
    await page.get_by_role("radio", name="Fixed interval").check()
    await page.locator("#fixed_start").fill("2026-02-01T00:00")
    await page.locator("#fixed_end").fill("2026-01-01T00:00")
    await page.get_by_role("radio", name="Split into numbered files").check()
    await page.get_by_label("Maximum size of each file").fill("0.5")
    await page.get_by_label("Unit of size").select_option("MiB")
    await page.get_by_role("radio", name="Selected certificates only").check()
    await page.get_by_text("Advanced settings").click()
    await page.get_by_label("Attempts").fill("many")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert")).to_be_focused()
    for name in ("title", "media", "every", "fixed_end", "split_number", "certificates", "attempts"):
        await expect(page.locator(f"#error-{name}")).to_be_visible()
    await expect(page.get_by_label("Title")).to_have_attribute("aria-describedby", "error-title")
    for label, value in {
        "Description": "Two\nlines",
        "Every": "25",
        "Start at": f"{NEXT_YEAR}-03-01T06:30",
        "Maximum size of each file": "0.5",
    }.items():
        await expect(page.get_by_label(label)).to_have_value(value)
    await expect(page.locator("#fixed_end")).to_have_value("2026-01-01T00:00")
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)


async def test_J8_a_one_time_job_cannot_be_edited(open_page: PageOpener, tenant: Tenant) -> None:
    once = await tenant.job(title="Just once", schedule=ONCE_NOW)
    page = await open_page(tenant)
    await page.goto(f"/jobs/{once['id']}/edit")
    await expect(page.get_by_text("A job that runs once cannot be edited: clone it, or delete it.")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await page.goto(f"/jobs/new?job_id={once['id']}")
    await expect(page.get_by_role("radio", name="Immediately")).to_be_checked()


async def test_a_job_is_created_checked_edited_and_deleted_without_a_script(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant, javascript=False)
    await page.goto("/jobs")
    await page.get_by_role("link", name="Add new job").click()
    await page.get_by_label("Title").fill("By hand")
    await page.get_by_label("All media types").uncheck()
    await page.get_by_label("Chat").check()
    await page.get_by_label("Start at").fill(f"{NEXT_YEAR}-03-01T06:30")
    await page.get_by_role("button", name="Check").click()
    await expect(page.locator("#preview-schedule").get_by_role("listitem")).to_have_count(5)
    await expect(page.get_by_label("Chat")).to_be_checked()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("has been saved.")
    job = await get_single_job(tenant)
    assert (job["media_types"], job["schedule"]["start"]) == (["chat"], f"{NEXT_YEAR}-03-01T06:30:00Z")
    await page.get_by_role("button", name="Edit").click()
    await expect(page.get_by_role("alert")).to_contain_text("Select a job first")
    await page.get_by_role("checkbox", name="By hand").check()
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Title").fill("By hand again")
    await page.get_by_role("button", name="Save changes").click()
    await page.get_by_role("switch", name="By hand again is active").click()
    await expect(page.get_by_role("row", name="By hand again")).to_contain_text("Suspended")
    await page.get_by_role("checkbox", name="By hand again").check()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete job").click()
    await expect(page.get_by_text("There are no jobs yet.")).to_be_visible()


async def test_U4_input_is_escaped_everywhere(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant)
    page.on("dialog", lambda dialog: asyncio.ensure_future(reject(dialog)))
    dialogs: list[str] = []

    async def reject(dialog: Any) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    await page.goto("/jobs/new")
    await page.get_by_label("Title").fill(XSS)
    await page.get_by_label("Description").fill(XSS)
    await page.get_by_label("Every").fill(XSS)
    await page.get_by_role("radio", name="Immediately").check()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_label("Title")).to_have_value(XSS)
    await expect(page.get_by_label("Every")).to_have_value(XSS)
    await page.get_by_label("Every").fill("1")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("row").filter(has_text=XSS)).to_be_visible()
    for path in (f"/jobs?search={XSS}", f"/jobs?source={XSS}", f"/login?next={XSS}", f"/jobs/new?next={XSS}"):
        await page.goto(path)
        assert await page.locator("img[src=x], main script").count() == 0
    job = await get_single_job(tenant)
    for path in (f"/jobs/{job['id']}/edit", f"/jobs/{job['id']}/delete", f"/jobs/new?job_id={job['id']}"):
        await page.goto(path)
        assert await page.locator("img[src=x], main script").count() == 0
        await expect(page.get_by_text("49", exact=True)).to_have_count(0)
    assert dialogs == []


FORGED = """async ([path, fields]) => (await fetch(path, {
  method: "POST", redirect: "manual", body: new URLSearchParams(fields)
})).status"""


@pytest.mark.parametrize("path", ["suspend", "delete", "edit"])
async def test_U4_a_forged_form_is_refused(open_page: PageOpener, tenant: Tenant, path: str) -> None:
    job = await tenant.job(title="Untouched", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto("/jobs")
    for fields in ({}, {"csrf": "0" * 16 + "." + "0" * 64}, {"csrf": ""}):
        assert await page.evaluate(FORGED, [f"/jobs/{job['id']}/{path}", fields]) == 403
    assert await submit_cross_site(page, f"/jobs/{job['id']}/{path}") == 403
    current = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (current["version"], current["state"]) == (1, "active")


async def submit_cross_site(page: Page, path: str) -> int:
    """Submit a form as from a page of another site: with the browser's cookies, and even with a valid token."""
    token = await page.locator("input[name=csrf]").first.get_attribute("value")
    answer = await page.request.post(
        path, form={"csrf": token or ""}, headers={"Sec-Fetch-Site": "cross-site"}, max_redirects=0
    )
    return answer.status
