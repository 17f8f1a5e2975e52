"""Logging in and out, and the pages that each role may open."""

from playwright.async_api import expect

from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import PageOpener, find_axe_violations, measure_overflow


async def test_U1_a_user_logs_in_returns_to_the_requested_page_and_logs_out(
    open_page: PageOpener, tenant: Tenant
) -> None:
    page = await open_page(None)
    await page.goto("/preferences")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert await find_axe_violations(page) == []
    await page.get_by_label("User name").fill(tenant.user)
    await page.get_by_label("Tenant").fill(tenant.name)
    await page.get_by_label("Password").fill("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("incorrect")
    await expect(page.get_by_label("User name")).to_have_value(tenant.user)
    await expect(page.get_by_label("Password")).to_have_value("")
    await page.get_by_label("Password").fill(tenant.password)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/preferences")
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url("**/login")


async def test_U2_the_navigation_offers_permitted_pages_and_others_are_denied(
    open_page: PageOpener, tenant: Tenant
) -> None:
    page = await open_page(tenant, "downloader", width=320)
    await page.goto("/")
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    assert await links.all_inner_texts() == ["History", "Artifacts", "Preferences"]
    await page.goto("/jobs")
    await expect(page.get_by_role("heading", name="Access denied")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
    viewer = await open_page(tenant, "viewer", width=320)
    await viewer.goto("/nothing-here")
    await expect(viewer.get_by_role("heading", name="Not found")).to_be_visible()
    await expect(viewer.get_by_role("link", name="History")).to_be_visible()
    assert (await find_axe_violations(viewer), await measure_overflow(viewer)) == ([], 0)
