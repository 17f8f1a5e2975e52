"""The lists of users, certificates and API keys: sorted and filtered by their columns, with and without a script."""

from datetime import timedelta

from playwright.async_api import Page, expect

from shared.clock import SystemClock
from tests.integration.job_api.certs import make_certificate, pem, rsa_key
from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import PASSWORD, PageOpener, Site, find_axe_violations, measure_overflow


async def read_names(page: Page, part: str = "main") -> list[str]:
    """Return the names of a list's rows."""
    return [text.split("\n")[0] for text in await page.locator(f"{part} tbody th").all_inner_texts()]


async def read_sortable_columns(page: Page, part: str = "main") -> list[str]:
    """Return the labels of the columns that the list can be sorted by."""
    found = page.locator(f"{part} thead").get_by_role("columnheader").filter(has=page.get_by_role("link"))
    return [text.strip(" ↑↓") for text in await found.all_inner_texts()]


async def create_user(tenant: Tenant, name: str, *roles: str) -> str:
    answer = await tenant.client.post("/api/v1/users", json={"name": name, "password": PASSWORD, "roles": roles})
    assert answer.status_code == 201, answer.text
    user_id: str = answer.json()["id"]
    return user_id


async def create_certificate(tenant: Tenant, name: str, *, days: float = 365, bits: int = 2048) -> str:
    certificate = make_certificate(now=SystemClock().now(), ends=timedelta(days=days), key=rsa_key(bits), name=name)
    answer = await tenant.client.post("/api/v1/certificates", json={"name": name, "pem": pem(certificate)})
    assert answer.status_code == 201, answer.text
    certificate_id: str = answer.json()["id"]
    return certificate_id


async def test_J11_users_without_a_script(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant(certificate=False)
    for name, roles in (("Zoe", ["operator"]), ("bob", ["viewer"]), ("Carl", [])):
        user = await create_user(tenant, name, *roles)
    await tenant.client.patch(f"/api/v1/users/{user}", json={"disabled": True})
    page = await open_page(tenant, javascript=False)
    await page.goto("/users")
    assert await read_sortable_columns(page) == ["Name", "State", "Roles", "Added"]
    header = page.get_by_role("columnheader", name="Name")
    await expect(header).to_have_attribute("aria-sort", "ascending")
    assert await read_names(page) == [tenant.user, "bob", "Carl", "Zoe"]
    await page.get_by_role("link", name="Name").click()
    await expect(header).to_have_attribute("aria-sort", "descending")
    assert await read_names(page) == ["Zoe", "Carl", "bob", tenant.user]
    for column, first in (("Roles", "Carl"), ("Added", tenant.user), ("State", None)):
        await page.get_by_role("link", name=column, exact=True).click()
        await expect(page.get_by_role("columnheader", name=column)).to_have_attribute("aria-sort", "ascending")
        assert first is None or (await read_names(page))[0] == first
    assert (await read_names(page))[-1] == "Carl"
    for label, option, query, matches in (
        ("Role", "Viewer", "role=viewer", ["bob"]),
        ("Role", "No role", "role=none", ["Carl"]),
        ("State", "Disabled", "disabled=true", ["Carl"]),
    ):
        await page.get_by_label(label, exact=True).select_option(option)
        await page.get_by_role("button", name="Filter").click()
        await page.wait_for_url(f"**{query}**")
        assert await read_names(page) == matches
        assert "sort=disabled" in page.url
    await page.get_by_label("Search the users").fill("no such name")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("No users match this filter.")).to_be_visible()
    await page.get_by_role("link", name="Show all users").click()
    await expect(page.locator("tbody tr")).to_have_count(4)
    await page.get_by_label("Added: up to and including this day (UTC)").fill("2020-01-01")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("No users match this filter.")).to_be_visible()


async def test_J11_the_lists_of_certificates_and_keys_are_independent(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    await create_certificate(tenant, "Escrow", days=12, bits=3072)
    old = await create_certificate(tenant, "Former officer")
    await tenant.client.post(f"/api/v1/certificates/{old}/retire")
    for number in range(51):
        body = {"name": f"Key {number:02}", "roles": ["viewer"] if number else ["operator"], "days": 400 - number}
        assert (await tenant.client.post("/api/v1/keys", json=body)).status_code == 201
    page, part = await open_page(tenant), "#certificates"
    await page.goto("/preferences")
    assert await read_sortable_columns(page, part) == ["Name", "State", "Valid until", "Key", "SHA-256 fingerprint"]
    assert await read_sortable_columns(page, "#keys") == ["Name", "State", "Roles", "Created", "Expires"]
    await page.locator(part).get_by_role("link", name="Valid until").click()
    await page.wait_for_url("**certificates_sort=not_after#certificates")
    assert (await read_names(page, part))[0] == "Escrow"
    await page.get_by_label("State of the certificate").select_option("Retired")
    await page.wait_for_url("**certificates_state=retired**")
    assert await read_names(page, part) == ["Former officer"]
    await page.get_by_label("State of the certificate").select_option("Expires within 30 days")
    await page.wait_for_url("**certificates_state=expiring**")
    assert await read_names(page, part) == ["Escrow"]
    await page.locator("#keys").get_by_role("link", name="Expires").click()
    await page.wait_for_url("**keys_sort=expires_at#keys")
    assert (await read_names(page, part), (await read_names(page, "#keys"))[:2]) == (["Escrow"], ["Key 50", "Key 49"])
    await page.get_by_role("navigation", name="Pages of the keys").get_by_role("link", name="Next page").click()
    await page.wait_for_url("**keys_cursor=**")
    assert (await read_names(page, part), len(await read_names(page, "#keys"))) == (["Escrow"], 2)
    await page.get_by_label("Role of the key").select_option("Operator")
    await page.wait_for_url("**keys_role=operator**")
    assert (await read_names(page, part), await read_names(page, "#keys")) == (["Escrow"], ["Key 00"])
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)


async def test_J11_a_filter_without_matches_can_be_removed(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    await create_certificate(tenant, "Escrow", bits=3072)
    page = await open_page(tenant, width=320)
    await page.goto("/preferences")
    await page.get_by_label("Key size in bits").fill("3072")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**certificates_key_bits=3072**")
    assert await read_names(page, "#certificates") == ["Escrow"]
    for part, label in (("certificates", "Fingerprint contains"), ("keys", "Search the keys")):
        await page.get_by_label(label).fill("00:11:22:33:44:55:66")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(f"No {part} match this filter.")).to_be_visible()
        assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
        await page.get_by_role("link", name=f"Show all {part}").click()
        await expect(page.get_by_text(f"No {part} match this filter.")).to_have_count(0)
    await expect(page.locator("#certificates tbody tr")).to_have_count(2)
    answer = await page.goto("/preferences?keys_sort=color")
    assert answer is not None
    assert answer.status == 422
