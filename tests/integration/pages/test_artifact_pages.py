"""Artifacts: listing, downloading, sharing and deleting files."""

import zipfile
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.integration.job_api.world import Tenant
from tests.integration.pages.keyboard import tab_to_name
from tests.integration.pages.runs import FILE, create_scenario, finish_run, publish_runs
from tests.integration.pages.site import PageOpener, Site, find_axe_violations, measure_overflow
from tests.support.system import Service
from tests.unit.history.scenarios import RunScenario

Scenarios = dict[str, RunScenario]


@pytest.fixture(scope="module")
async def scenarios(site: Site, history: Service, tenant: Tenant) -> Scenarios:
    """Runs with files, by name."""
    published = {
        "set": finish_run(create_scenario(tenant, "Twelve parts"), 12),
        "single": finish_run(create_scenario(tenant, "One file", ago=timedelta(hours=1))),
        "large": finish_run(create_scenario(tenant, "Many parts", ago=timedelta(hours=2)), 101),
        "aged": finish_run(create_scenario(tenant, "Expiring soon", ago=timedelta(days=28, hours=1)), 2),
    }
    await publish_runs(site, tenant, *published.values())
    return published


async def test_A1_files_are_listed_with_days_remaining_and_grouped_into_sets(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant)
    await page.goto("/artifacts")
    for column in ("Job", "Type", "Files", "Created", "Size", "Days remaining", "State"):
        await expect(page.get_by_role("columnheader", name=column)).to_be_visible()
    row = page.get_by_role("row").filter(has_text="Twelve parts")
    for text in ("Interactions", "12 of 12", "36.0 KiB", "30 of 30", "Available", "your time"):
        await expect(row).to_contain_text(text)
    await expect(page.get_by_role("row").filter(has_text="Expiring soon")).to_contain_text("2 of 30")
    await page.get_by_role("link", name="Size").click()
    await expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "ascending")
    await page.goto("/artifacts")
    await page.get_by_label("Job or file name contains").fill("twelve")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=twelve**")
    assert await page.locator("tbody tr").count() == 1
    await page.get_by_role("link", name="Show each file").click()
    assert await page.locator("tbody tr").count() == 12
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
    await page.set_viewport_size({"width": 320, "height": 700})
    assert await measure_overflow(page) == 0


async def test_A1_a_set_is_downloaded_as_a_zip_and_a_single_file_as_it_is(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios, tmp_path: Path
) -> None:
    page = await open_page(tenant, "downloader")
    await page.goto("/artifacts")
    await page.get_by_role("row").filter(has_text="Twelve parts").get_by_role("checkbox").check()
    await expect(page.get_by_text("12 selected")).to_be_visible()
    async with page.expect_download() as zipped:
        await page.get_by_role("button", name="Download", exact=True).click()
    await (await zipped.value).save_as(tmp_path / "files.zip")
    with zipfile.ZipFile(tmp_path / "files.zip") as archive:
        assert len(archive.namelist()) == 12
        assert {archive.read(name) for name in archive.namelist()} == {FILE}
    single = page.get_by_role("row").filter(has_text="One file")
    async with page.expect_download() as alone:
        await single.get_by_role("link", name="Download").click()
    await (await alone.value).save_as(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == FILE
    await page.reload()
    await expect(single).to_contain_text("1 download")


async def test_A1_more_than_a_hundred_files_at_once_are_refused_with_a_notice(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant)
    await page.goto("/artifacts")
    await page.get_by_role("row").filter(has_text="Many parts").get_by_role("checkbox").check()
    await expect(page.get_by_text("101 selected, at most 100 at once")).to_be_visible()
    button = page.get_by_role("button", name="Download", exact=True)
    await expect(button).to_have_attribute("title", "Select at most 100 files.")
    await page.get_by_role("row").filter(has_text="Many parts").get_by_role("checkbox").uncheck()
    await expect(button).to_have_attribute("title", "Select a file first: tick the box at the start of its row.")
    page = await open_page(tenant, javascript=False)
    await page.goto("/artifacts")
    await page.get_by_role("row").filter(has_text="Many parts").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Download", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("At most 100 files can be selected at once.")
    await expect(page.get_by_role("row").filter(has_text="Many parts").get_by_role("checkbox")).to_be_checked()


async def test_A1_files_are_downloaded_and_deleted_with_the_keyboard_alone(
    open_page: PageOpener, site: Site, tenant: Tenant, scenarios: Scenarios
) -> None:
    scenario = finish_run(create_scenario(tenant, "To be deleted"), 2)
    await publish_runs(site, tenant, scenario)
    page = await open_page(tenant)
    await page.goto("/artifacts")
    await page.get_by_label("Job or file name contains").focus()
    await page.keyboard.type("to be deleted")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=to+be+deleted**")
    await tab_to_name(page, "Select Interaction-")
    await page.keyboard.press("Space")
    await tab_to_name(page, "Download Interaction-")
    async with page.expect_download() as fetched:
        await page.keyboard.press("Enter")
    assert (await fetched.value).suggested_filename == "sluice-files.zip"
    await tab_to_name(page, "Delete", backwards=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Delete these 2 files?")).to_be_visible()
    await expect(page.locator(".subjects li")).to_have_count(2)
    assert await find_axe_violations(page) == []
    await tab_to_name(page, "Delete 2 files")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("Files deleted: 2.")
    await expect(page.locator("tbody tr")).to_contain_text("0 of 2")
    await expect(page.locator("tbody tr")).to_contain_text("Deleted")
    assert site.store is not None
    assert list((site.store / "runs" / str(scenario.run_id) / "1").iterdir()) == []


async def test_A3_a_short_lived_link_downloads_one_file_without_a_login(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    page = await open_page(tenant, javascript=False)
    await page.goto("/artifacts")
    await page.get_by_role("row").filter(has_text="Twelve parts").get_by_role("checkbox").check()
    await page.get_by_role("row").filter(has_text="One file").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Create link").click()
    await expect(page.get_by_role("alert")).to_contain_text("Select exactly one file")
    await expect(page.get_by_role("row").filter(has_text="Twelve parts").get_by_role("checkbox")).to_be_checked()
    await page.get_by_role("row").filter(has_text="Twelve parts").get_by_role("checkbox").uncheck()
    await page.get_by_role("row").filter(has_text="One file").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Create link").click()
    address = await page.get_by_label("Link", exact=True).input_value()
    await expect(page.get_by_text("can download the file without a login until")).to_be_visible()
    assert await measure_overflow(page) == 0
    async with httpx.AsyncClient() as client:
        answer = await client.get(address)
    assert (answer.status_code, answer.content) == (200, FILE)
    assert "repr-digest" in answer.headers


async def test_U2_denied_downloads_and_deletions_are_explained(
    open_page: PageOpener, tenant: Tenant, scenarios: Scenarios
) -> None:
    reasons = {
        "downloader": {"Delete": "This requires the role operator; ask an administrator."},
        "viewer": {
            "Download": "This requires the role downloader or operator; ask an administrator.",
            "Create link": "This requires the role downloader or operator; ask an administrator.",
            "Delete": "This requires the role operator; ask an administrator.",
        },
    }
    for role, denied in reasons.items():
        page = await open_page(tenant, role)  # type: ignore[arg-type]
        await page.goto("/artifacts")
        await page.get_by_role("row").filter(has_text="One file").get_by_role("checkbox").check()
        for name in ("Download", "Create link", "Delete"):
            button = page.get_by_role("button", name=name, exact=True)
            if name in denied:
                await expect(button).to_have_attribute("aria-disabled", "true")
                await expect(button).to_have_attribute("title", denied[name])
            else:
                await expect(button).not_to_have_attribute("aria-disabled", "true")
        assert await find_axe_violations(page) == []
    assert await page.get_by_role("link", name="Download").count() == 0
    single = (await tenant.client.get("/api/v1/artifacts", params={"search": "One file"})).json()["items"][0]["id"]
    await page.goto(f"/artifacts/{single}")
    await expect(page.get_by_role("heading", name="Access denied")).to_be_visible()
