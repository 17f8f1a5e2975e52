"""Preferences and users: certificates, passwords, API keys and roles; and an outage of the database."""

import re
from datetime import timedelta

import httpx
import pytest
from playwright.async_api import FilePayload, Page, expect

from shared.clock import SystemClock
from shared.events.values import Role
from tests.integration.job_api.certs import der, make_certificate, pem, private_pem, rsa_key
from tests.integration.pages.site import PASSWORD, PageOpener, Site, find_axe_violations, measure_overflow

XSS = "<img src=x onerror=alert(1)>"


async def test_C1_certificates_are_uploaded_rejected_with_a_reason_and_retired(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant(certificate=False)
    page = await open_page(tenant, "operator")
    await page.goto("/jobs")
    await expect(page.get_by_text("No certificate is active")).to_be_visible()
    await page.get_by_role("link", name="Certificates").click()
    now, name, text = SystemClock().now(), page.get_by_label("Name"), page.get_by_label("Or its text")
    await name.fill(XSS)
    await text.fill(private_pem(rsa_key()))
    await page.get_by_role("button", name="Upload").click()
    await expect(page.locator("#error-pem")).to_contain_text("contains a private key")
    await expect(name).to_have_value(XSS)
    await expect(text).to_have_value("")
    assert "PRIVATE KEY" not in await page.content()
    await text.fill(pem(make_certificate(now=now)))
    await page.get_by_role("button", name="Upload").click()
    await expect(page.get_by_role("status")).to_contain_text("has been uploaded.")
    await expect(page.get_by_role("row").filter(has_text=XSS)).to_contain_text("Expires in 364 days")
    await name.fill("From a file")
    content = der(make_certificate(now=now, key=rsa_key(3072), name="file"))
    await page.get_by_label("File: PEM, DER or PKCS#7").set_input_files(
        FilePayload(name="officer.der", mimeType="application/x-x509-ca-cert", buffer=content)
    )
    await page.get_by_role("button", name="Upload").click()
    await expect(page.get_by_role("row", name="From a file")).to_contain_text("RSA 3072")
    await page.get_by_role("link", name="Retire From a file").click()
    assert await find_axe_violations(page) == []
    await page.get_by_role("button", name="Retire certificate").click()
    await expect(page.get_by_role("row", name="From a file")).to_contain_text("Retired")
    assert await find_axe_violations(page) == []


async def test_C2_pages_warn_of_certificates_that_will_expire(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    now = SystemClock().now()
    for days in (0.5, 6.5, 29.5, 31.5):
        body = {
            "name": f"Good for {days}",
            "pem": pem(make_certificate(now=now, ends=timedelta(days=days), name=f"officer {days}")),
        }
        assert (await tenant.client.post("/api/v1/certificates", json=body)).status_code == 201
    page = await open_page(tenant)
    for path in ("/jobs", "/jobs/new", "/preferences"):
        await page.goto(path)
        assert [text.split(". Upload")[0] for text in await page.locator(".warning").all_inner_texts()][:3] == [
            "The certificate “Good for 0.5” expires within a day",
            "The certificate “Good for 6.5” expires in 6 days",
            "The certificate “Good for 29.5” expires in 29 days",
        ]
        await expect(page.get_by_text("The certificate “Good for 31.5”")).to_have_count(0)
        assert await find_axe_violations(page) == []


async def test_U4_changing_the_password_ends_the_users_other_sessions(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    page, elsewhere = await open_page(tenant, "viewer", width=320), await open_page(tenant, "viewer")
    async with httpx.AsyncClient(base_url=site.url, timeout=20) as client:
        name = (await client.get("/api/v1/me", cookies=await read_cookies(page))).json()["name"]
        login = {"user": name, "password": PASSWORD, "tenant": tenant.name}
        other = (await client.post("/api/v1/session", json=login)).cookies["sluice_session"]
    await elsewhere.context.add_cookies([{"name": "sluice_session", "value": other, "url": site.url}])
    await page.goto("/preferences")
    await expect(page.get_by_role("heading", name="API keys")).to_have_count(0)
    await expect(page.get_by_role("button", name="Upload")).to_have_count(0)
    for current, new, repeat, fault in (
        ("wrong password", "another long one", "another long one", "#error-current"),
        (PASSWORD, "short", "short", "#error-password"),
        (PASSWORD, "another long one", "another lone one", "#error-repeat"),
    ):
        await page.get_by_label("Current password").fill(current)
        await page.get_by_label("New password", exact=False).first.fill(new)
        await page.get_by_label("Repeat new password").fill(repeat)
        await page.get_by_role("button", name="Change password").click()
        await expect(page.locator(fault)).to_be_in_viewport()
        await expect(page.locator(fault.replace("error-", ""))).to_be_focused()
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_label("New password", exact=False).first.fill("another long one")
    await page.get_by_label("Repeat new password").fill("another long one")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_role("status")).to_contain_text("Your password has been changed.")
    await elsewhere.goto("/preferences")
    await expect(elsewhere.get_by_role("heading", name="Log in")).to_be_visible()


async def read_cookies(page: Page) -> dict[str, str]:
    return {each["name"]: each["value"] for each in await page.context.cookies()}


async def test_U4_a_key_is_shown_once_works_and_is_revoked(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant)
    await page.goto("/preferences")
    await page.get_by_role("button", name="Create key").click()
    await expect(page.locator("#error-key-name")).to_be_visible()
    await expect(page.locator("#error-roles")).to_be_visible()
    keys = page.locator("#keys")
    await keys.get_by_label("Name").fill(XSS)
    await keys.get_by_label("Viewer").check()
    await keys.get_by_label("Valid for").fill("30")
    await page.get_by_role("button", name="Create key").click()
    token = await page.locator("#token").inner_text()
    assert await find_axe_violations(page) == []
    client = site.open_client(token)
    assert (await client.get("/api/v1/me")).json()["roles"] == ["viewer"]
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("was created earlier")
    assert token not in await page.content()
    await page.get_by_role("link", name="Done").click()
    assert token not in await page.content()
    await page.get_by_role("row").filter(has_text=XSS).get_by_role("link").click()
    await page.get_by_role("button", name="Revoke key").click()
    await expect(page.get_by_role("row").filter(has_text=XSS)).to_contain_text("Revoked")
    assert (await client.get("/api/v1/me")).status_code == 401


async def test_U2_an_administrator_adds_a_user_changes_roles_and_disables_the_user(
    site: Site, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant, width=320)
    await page.goto("/users")
    assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
    await page.locator("#name").fill(XSS)
    await page.get_by_label("Viewer").check()
    await page.locator("#password").fill("short")
    await page.get_by_role("button", name="Add user").click()
    await expect(page.locator("#error-password")).to_contain_text("At least 10 characters")
    await expect(page.locator("#name")).to_have_value(XSS)
    await expect(page.get_by_label("Viewer")).to_be_checked()
    await page.get_by_role("button", name="Add user").click()
    password = await page.locator("code#password").inner_text()
    assert await find_axe_violations(page) == []
    login = {"user": XSS, "password": password, "tenant": tenant.name}
    async with httpx.AsyncClient(base_url=site.url, timeout=20) as client:
        assert (await client.post("/api/v1/session", json=login)).status_code == 201
        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("row").filter(has_text=XSS).get_by_role("link", name="Change").click()
        await page.get_by_label("Operator").check()
        await page.get_by_role("switch", name="Disabled").check()
        assert (await find_axe_violations(page), await measure_overflow(page)) == ([], 0)
        await page.get_by_role("button", name="Save").click()
        row = page.get_by_role("row").filter(has_text=XSS)
        await expect(row).to_contain_text("Disabled")
        await expect(row).to_contain_text("operator, viewer")
        assert (await client.post("/api/v1/session", json=login)).status_code == 401
    await page.get_by_role("link", name=tenant.user, exact=True).click()
    await page.get_by_label("Administrator").uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#error-roles")).to_contain_text("This is the last administrator")


async def test_U2_U4_an_administrator_sets_a_users_password(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    body = {"name": "ben", "password": PASSWORD, "roles": ["viewer"]}
    assert (await tenant.client.post("/api/v1/users", json=body)).status_code == 201
    ben, page = await open_page(None), await open_page(tenant)

    async def log_in(password: str) -> None:
        await ben.goto("/login?next=/preferences")
        for label, value in (("User name", "ben"), ("Tenant", tenant.name), ("Password", password)):
            await ben.get_by_label(label).fill(value)
        await ben.keyboard.press("Enter")

    await log_in(PASSWORD)
    await expect(ben.get_by_role("heading", name="Preferences")).to_be_visible()
    await page.goto("/users")
    await page.get_by_role("link", name="Change ben").click()
    await page.get_by_label("New password").fill("short")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#error-password")).to_contain_text("At least 10 characters")
    await page.get_by_label("New password").fill("set by an administrator")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_contain_text("The user “ben” has been saved.")
    await expect(page.get_by_role("row").filter(has_text="ben")).to_contain_text("viewer")
    await ben.reload()
    await expect(ben.get_by_role("heading", name="Log in")).to_be_visible()
    await log_in(PASSWORD)
    await expect(ben.get_by_role("alert")).to_contain_text("incorrect")
    await log_in("set by an administrator")
    await expect(ben.get_by_role("heading", name="Preferences")).to_be_visible()


@pytest.mark.parametrize("role", ["operator", "downloader", "viewer"])
async def test_U2_only_administrators_manage_users_and_keys(site: Site, open_page: PageOpener, role: Role) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant, role)
    await page.goto("/users")
    await expect(page.get_by_role("heading", name="Access denied")).to_be_visible()
    await page.goto("/preferences")
    token = await page.locator("input[name=csrf]").first.get_attribute("value")
    for path in ("/users", "/preferences/keys"):
        answer = await page.request.post(path, form={"csrf": token or "", "name": "x", "role": "admin"}, headers=SAME)
        assert answer.status == 403, path


SAME = {"Sec-Fetch-Site": "same-origin"}


async def test_pages_report_an_outage_of_the_database_and_when_to_retry(site: Site, open_page: PageOpener) -> None:
    tenant = await site.create_tenant()
    page = await open_page(tenant)
    await page.goto("/jobs")
    await site.system.close_database()
    try:
        answer = await page.goto("/jobs")
        assert answer is not None
        assert (answer.status, answer.headers.get("retry-after")) == (503, "5")
        await expect(page.get_by_role("heading", name="Service Unavailable")).to_be_visible()
        await expect(page.get_by_text(re.compile("Reload the page in a moment"))).to_be_visible()
        await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        assert await find_axe_violations(page) == []
    finally:
        await site.system.reopen_database()
    await page.goto("/jobs")
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
