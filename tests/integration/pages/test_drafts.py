"""Nothing that is typed in the editor is lost: drafts, conflicts, ended sessions, deleted jobs (J4, I3)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Dialog, expect

from shared.clock import SystemClock
from tests.integration.job_api.certs import make_certificate, pem, private_pem, rsa_key
from tests.integration.job_api.world import HOURLY, Tenant
from tests.integration.pages.keyboard import tab_to
from tests.integration.pages.site import PageOpener, Site, find_axe_violations
from tests.support.wait import eventually

NEXT_YEAR = datetime.now(UTC).year + 1


async def get_single_job(tenant: Tenant) -> dict[str, Any]:
    """Return the tenant's only job."""
    items = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    assert len(items) == 1
    found: dict[str, Any] = items[0]
    return found


async def test_I3_two_users_changes_are_merged_and_only_what_both_changed_is_asked_about(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant()
    job = await tenant.job(title="Ours", schedule=HOURLY)
    page = await open_page(tenant)

    async def change_theirs(version: int, **changes: Any) -> None:
        answer = await tenant.client.patch(
            f"/api/v1/jobs/{job['id']}", json=changes, headers={"If-Match": f'"{version}"'}
        )
        assert answer.status_code == 200

    await page.goto(f"/jobs/{job['id']}/edit")
    await change_theirs(1, title="Theirs", attempts=7)
    await page.get_by_label("Description").fill("Mine")
    await page.get_by_role("button", name="Save changes").click()
    await expect(page.get_by_role("status")).to_contain_text("together with those that another user has made")
    saved = await get_single_job(tenant)
    assert (saved["title"], saved["description"], saved["attempts"], saved["version"]) == ("Theirs", "Mine", 7, 3)
    await page.goto(f"/jobs/{job['id']}/edit")
    await change_theirs(3, title="Theirs again", overlap="queue")
    await page.get_by_label("Title").fill("Mine")
    await page.get_by_role("button", name="Save changes").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_be_focused()
    await expect(alert).to_contain_text("Another user has changed this job")
    await expect(alert.get_by_role("group")).to_have_count(1)
    assert await find_axe_violations(page) == []
    await page.get_by_role("button", name="Save changes").click()
    await expect(page.locator("#error-keep-title")).to_have_text("Choose which value the job is to have.")
    assert (await get_single_job(tenant))["title"] == "Theirs again"
    await page.locator("#errors").focus()
    await tab_to(page, page.get_by_role("radio", name="Theirs: Theirs again"))
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("radio", name="Mine: Mine")).to_be_checked()
    await tab_to(page, page.get_by_role("button", name="Save changes"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row", name="Mine")).to_be_visible()
    saved = await get_single_job(tenant)
    assert (saved["title"], saved["description"], saved["overlap"], saved["version"]) == ("Mine", "Mine", "queue", 5)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
async def test_J4_nothing_typed_is_lost_going_back_and_forward_and_one_form_is_one_job(
    site: Site, open_page: PageOpener, javascript: bool
) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant, javascript=javascript)
    await page.goto("/jobs")
    await page.get_by_role("link", name="Add new job").click()
    await page.get_by_label("Title").fill("Kept")
    await page.get_by_label("Description").fill("Typed once")
    await page.get_by_label("Every").fill("99999")
    await page.get_by_label("Start at").fill(f"{NEXT_YEAR}-03-01T06:30")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#error-every")).to_be_visible()
    await page.get_by_role("link", name="Jobs", exact=True).click()
    await page.get_by_role("link", name="Add new job").click()
    await expect(page.get_by_label("Title")).to_have_value("")
    await expect(page.get_by_text("You have not saved “Kept”")).to_be_visible()
    await page.go_back()
    await page.go_back()
    await expect(page.get_by_label("Description")).to_have_value("Typed once")
    await expect(page.get_by_label("Every")).to_have_value("99999")
    await page.reload()
    await expect(page.get_by_label("Title")).to_have_value("Kept")
    await page.get_by_label("Every").fill("2")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("has been saved")
    job = await get_single_job(tenant)
    assert (job["title"], job["description"], job["schedule"]["every"]) == ("Kept", "Typed once", 2)
    await page.go_back()
    await expect(page.get_by_role("heading", name="Edit “Kept”")).to_be_visible()
    await page.get_by_label("Title").fill("Kept and changed")
    await page.get_by_role("button", name="Save changes").click()
    await expect(page.get_by_role("row", name="Kept and changed")).to_be_visible()
    job = await get_single_job(tenant)
    assert (job["title"], job["version"]) == ("Kept and changed", 2)


async def test_U1_a_session_that_ends_while_typing_asks_for_the_password_in_place_and_saves(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant)
    await page.goto("/jobs/new")
    await page.get_by_label("Title").fill("Typed in time")
    await page.get_by_label("Description").fill("Two\nlines & <b>")
    await page.get_by_role("radio", name="Immediately").check()
    await page.context.clear_cookies()
    await page.get_by_label("Every").fill("2")
    await expect(page.get_by_role("status")).to_contain_text("Your session has ended.")
    await page.get_by_label("Every").press("Enter")
    await expect(page.get_by_label("User name")).to_have_value(tenant.user)
    await expect(page.get_by_label("Password")).to_be_focused()
    assert await find_axe_violations(page) == []
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("The user name or password is incorrect.")
    await page.keyboard.type(tenant.password)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("row", name="Typed in time")).to_be_visible()
    job = await get_single_job(tenant)
    assert (job["title"], job["description"]) == ("Typed in time", "Two\nlines & <b>")
    await page.goto(f"/jobs/{job['id']}/edit")
    await page.get_by_label("Title").fill("After another login")
    login = {"user": tenant.user, "password": tenant.password, "tenant": tenant.name}
    assert (await page.request.post("/api/v1/session", data=login)).status == 201
    await page.get_by_role("button", name="Save changes").click()
    await page.get_by_role("button", name=f"Continue as {tenant.user}").click()
    await expect(page.get_by_role("row", name="After another login")).to_be_visible()


async def test_J9_a_job_deleted_while_it_is_edited_can_be_saved_as_a_new_one(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    job = await tenant.job(title="Deleted", schedule=HOURLY)
    page = await open_page(tenant)
    await page.goto(f"/jobs/{job['id']}/edit")
    await page.get_by_label("Title").fill("Reborn")
    deleted = await tenant.client.delete(f"/api/v1/jobs/{job['id']}", headers={"If-Match": '"1"'})
    assert deleted.status_code == 204
    await page.get_by_role("button", name="Save changes").click()
    await expect(page.get_by_role("alert")).to_contain_text("has been deleted meanwhile.")
    await expect(page.get_by_role("heading", name="New job")).to_be_visible()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("row", name="Reborn")).to_be_visible()
    assert (await get_single_job(tenant))["id"] != job["id"]


async def test_C1_a_certificate_is_uploaded_from_the_editor_and_leaving_it_asks(
    site: Site, open_page: PageOpener, tmp_path: Path
) -> None:
    tenant = await site.create_tenant(certificate=False)
    page = await open_page(tenant)
    await page.goto("/jobs/new")
    await page.get_by_label("Title").fill("To be encrypted")
    await page.get_by_role("radio", name="Hourly").check()
    await page.get_by_role("radio", name="Immediately").check()
    await page.get_by_role("button", name="Save", exact=True).click()
    link = page.get_by_role("alert").get_by_role("link", name="Encrypt for")
    await link.click()
    await expect(page.locator("#recipients")).to_be_focused()
    await expect(page.locator("#error-recipients")).to_be_in_viewport()
    key, file = tmp_path / "key.pem", tmp_path / "officer.pem"
    key.write_text(private_pem(rsa_key()))
    file.write_text(pem(make_certificate(now=SystemClock().now())))
    for path in (key, file):
        await page.get_by_label("Name", exact=True).fill("Officer")
        await page.get_by_label("File, in PEM or DER").set_input_files(path)
        await page.get_by_role("button", name="Upload certificate").click()
        await expect(page.get_by_label("Title")).to_have_value("To be encrypted")
        if path is key:
            await expect(page.locator("#error-certificate-file")).to_contain_text("private key")
    await expect(page.get_by_role("status")).to_contain_text("The certificate “Officer” has been uploaded.")
    assert await find_axe_violations(page) == []
    await page.get_by_label("Title").fill("Changed")
    questions: list[str] = []

    async def stay(dialog: Dialog) -> None:
        questions.append(dialog.type)
        await dialog.dismiss()

    page.once("dialog", stay)
    await page.get_by_role("link", name="Cancel").click()
    await eventually(lambda: bool(questions))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("row", name="Changed")).to_be_visible()
    assert questions == ["beforeunload"]
