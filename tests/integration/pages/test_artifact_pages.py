"""Artifacts, as a user downloads, shares and deletes files in a browser."""

import zipfile
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.integration.job_api.world import Tenant
from tests.integration.pages.runs import FILE, finished, publish_runs, story_of
from tests.integration.pages.site import PageOpener, Site, audited, too_wide
from tests.support.system import Service
from tests.unit.history.scenarios import RunScenario

Stories = dict[str, RunScenario]


@pytest.fixture(scope="module")
async def stories(site: Site, history: Service, tenant: Tenant) -> Stories:
    """Return runs with files."""
    made = {
        "set": finished(story_of(tenant, "Twelve parts"), 12),
        "single": finished(story_of(tenant, "One file", ago=timedelta(hours=1))),
        "large": finished(story_of(tenant, "Many parts", ago=timedelta(hours=2)), 101),
        "aged": finished(story_of(tenant, "Nearly over", ago=timedelta(days=28, hours=1)), 2),
    }
    await publish_runs(site, tenant, *made.values())
    return made


async def test_A1_files_are_listed_with_their_days_and_sets_as_one(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant)
    await page.goto("/artifacts")
    for head in ("Job", "Type", "Files", "Created", "Size", "Days remaining", "State"):
        await expect(page.get_by_role("columnheader", name=head)).to_be_visible()
    whole = page.get_by_role("row").filter(has_text="Twelve parts")
    for words in ("Interactions", "12 of 12", "36.0 KiB", "30 of 30", "Available", "your time"):
        await expect(whole).to_contain_text(words)
    await expect(page.get_by_role("row").filter(has_text="Nearly over")).to_contain_text("2 of 30")
    await page.get_by_role("link", name="Size").click()
    await expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "ascending")
    await page.goto("/artifacts")
    await page.get_by_label("Job or file name contains").fill("twelve")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=twelve**")
    assert await page.locator("tbody tr").count() == 1
    await page.get_by_role("link", name="Show each file").click()
    assert await page.locator("tbody tr").count() == 12
    assert (await audited(page), await too_wide(page)) == ([], 0)
    await page.set_viewport_size({"width": 320, "height": 700})
    assert await too_wide(page) == 0


async def test_A1_a_set_is_downloaded_as_one_zip_and_one_file_as_itself(
    open_page: PageOpener, tenant: Tenant, stories: Stories, tmp_path: Path
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


async def test_A1_more_than_a_hundred_files_at_once_are_refused_in_words(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant)
    await page.goto("/artifacts")
    await page.get_by_role("row").filter(has_text="Many parts").get_by_role("checkbox").check()
    await expect(page.get_by_text("101 selected, at most 100 at once")).to_be_visible()
    await page.get_by_role("button", name="Download", exact=True).click()
    await expect(page.get_by_text("At most 100 files can be selected at once.")).to_be_visible()


async def test_A1_files_are_downloaded_and_deleted_by_keyboard_alone(
    open_page: PageOpener, site: Site, tenant: Tenant, stories: Stories
) -> None:
    story = finished(story_of(tenant, "To be deleted"), 2)
    await publish_runs(site, tenant, story)
    page = await open_page(tenant)
    await page.goto("/artifacts")
    await page.get_by_label("Job or file name contains").focus()
    await page.keyboard.type("to be deleted")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=to+be+deleted**")
    await reach(page, "Select Interaction-")
    await page.keyboard.press("Space")
    await reach(page, "Download Interaction-")
    async with page.expect_download() as fetched:
        await page.keyboard.press("Enter")
    assert (await fetched.value).suggested_filename == "sluice-files.zip"
    await reach(page, "Delete", backwards=True)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Delete these 2 files?")).to_be_visible()
    assert await audited(page) == []
    await reach(page, "Delete 2 files")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("Files deleted: 2.")
    await expect(page.locator("tbody tr")).to_contain_text("0 of 2")
    await expect(page.locator("tbody tr")).to_contain_text("Deleted")
    assert site.store is not None
    assert list((site.store / "runs" / str(story.run_id) / "1").iterdir()) == []


async def reach(page: Page, name: str, *, backwards: bool = False) -> None:
    """Press Tab until what has the focus bears a name that begins so; what is focused can be seen to be."""
    for _ in range(60):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        found = await page.evaluate(
            "() => { const it = document.activeElement; const style = getComputedStyle(it);"
            " return [(it.ariaLabel ?? it.textContent ?? '').trim(), style.outlineStyle] }"
        )
        if found[0].startswith(name):
            assert found[1] != "none", f"{name} does not show that it has the focus"
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")


async def test_A3_a_short_lived_link_downloads_one_file_without_a_login(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    page = await open_page(tenant, javascript=False)
    await page.goto("/artifacts")
    await page.get_by_role("row").filter(has_text="Twelve parts").get_by_role("checkbox").check()
    await page.get_by_role("row").filter(has_text="One file").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Create link").click()
    await expect(page.get_by_text("Select exactly one file")).to_be_visible()
    await page.get_by_role("row").filter(has_text="One file").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Create link").click()
    address = await page.get_by_label("Link", exact=True).input_value()
    await expect(page.get_by_text("can download the file without a login until")).to_be_visible()
    assert await too_wide(page) == 0
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(address)
    assert (answer.status_code, answer.content) == (200, FILE)
    assert "repr-digest" in answer.headers


async def test_U2_who_may_not_download_or_delete_is_told_why(
    open_page: PageOpener, tenant: Tenant, stories: Stories
) -> None:
    why = {
        "downloader": {"Delete": "This requires the role operator; ask an administrator."},
        "viewer": {
            "Download": "This requires the role downloader or operator; ask an administrator.",
            "Create link": "This requires the role downloader or operator; ask an administrator.",
            "Delete": "This requires the role operator; ask an administrator.",
        },
    }
    for role, refused in why.items():
        page = await open_page(tenant, role)  # type: ignore[arg-type]
        await page.goto("/artifacts")
        for name in ("Download", "Create link", "Delete"):
            button = page.get_by_role("button", name=name, exact=True)
            if name in refused:
                await expect(button).to_have_attribute("aria-disabled", "true")
                await expect(button).to_have_attribute("title", refused[name])
            else:
                await expect(button).not_to_have_attribute("aria-disabled", "true")
        assert await audited(page) == []
    assert await page.get_by_role("link", name="Download").count() == 0
    single = (await tenant.client.get("/api/v1/artifacts", params={"search": "One file"})).json()["items"][0]["id"]
    await page.goto(f"/artifacts/{single}")
    await expect(page.get_by_role("heading", name="Access denied")).to_be_visible()
