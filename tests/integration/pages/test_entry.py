"""The door, and who gets where."""

from playwright.async_api import expect

from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import PageOpener, audited, too_wide


async def test_U1_somebody_logs_in_from_the_page_they_wanted_and_out_again(
    open_page: PageOpener, tenant: Tenant
) -> None:
    page = await open_page(None)
    await page.goto("/preferences")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert await audited(page) == []
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


async def test_U2_the_bar_offers_what_somebody_may_see_and_the_rest_is_refused_in_words(
    open_page: PageOpener, tenant: Tenant
) -> None:
    page = await open_page(tenant, "downloader", width=320)
    await page.goto("/")
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    assert await links.all_inner_texts() == ["History", "Artifacts", "Preferences"]
    await page.goto("/jobs")
    await expect(page.get_by_role("heading", name="Access denied")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    assert (await audited(page), await too_wide(page)) == ([], 0)
    stranger = await open_page(tenant, "viewer", width=320)
    await stranger.goto("/nothing-here")
    await expect(stranger.get_by_role("heading", name="Not found")).to_be_visible()
    await expect(stranger.get_by_role("link", name="History")).to_be_visible()
    assert (await audited(stranger), await too_wide(stranger)) == ([], 0)
