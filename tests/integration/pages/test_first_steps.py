"""From a new tenant to its first opened file, and what a downloader and a lost visitor see (C1, P2, P3, A3, U2)."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from playwright.async_api import Page, expect

from job_api.pages.kit.commands import certificate_commands, opening_commands
from shared.clock import SystemClock
from shared.events import CertificateSaved
from shared.events.runs import RunStarted
from shared.http.identity import SESSION_COOKIE
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.world import Tenant
from tests.integration.pages.keyboard import tab_to, tab_to_name
from tests.integration.pages.runs import create_scenario, publish_runs
from tests.integration.pages.site import PASSWORD, PageOpener, Site, find_axe_violations, measure_overflow
from tests.support.listener import Listener
from tests.support.system import Service
from tests.support.wait import eventually

DAILY = {"kind": "daily", "start": "2026-11-20T02:30:00Z"}


async def find_faults(page: Page) -> list[str]:
    return [*await find_axe_violations(page), *(["it is too wide"] if await measure_overflow(page) else [])]


async def read_steps(page: Page) -> list[bool]:
    """Return which of the first steps are done."""
    names = [await each.get_attribute("class") or "" for each in await page.locator(".step").all()]
    return ["done" in each for each in names]


async def test_C1_A3_four_steps_lead_a_new_tenant_to_its_first_file_with_the_keyboard_alone(
    site: Site, history: Service, open_page: PageOpener
) -> None:
    tenant = await site.create_tenant(certificate=False)
    page = await open_page(tenant)
    await page.goto("/jobs")
    assert await read_steps(page) == [False] * 4
    printed = [text.strip() for text in await page.locator("pre.command").all_inner_texts()]
    assert printed == [each.text for each in certificate_commands()]
    assert await find_faults(page) == []
    await tab_to(page, page.get_by_role("button", name="Copy the command for Linux"))
    await page.keyboard.press("Enter")
    await expect(page.locator(".copied").nth(1)).not_to_be_empty()
    await tab_to(page, page.get_by_role("link", name="Upload a certificate"))
    await page.keyboard.press("Enter")
    await tab_to(page, page.locator("#certificate-name"))
    await page.keyboard.type("Officer & Söhne")
    await page.locator("#pem").fill(pem(make_certificate(now=SystemClock().now())))
    await tab_to(page, page.get_by_role("button", name="Upload"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text(
        "The certificate “Officer & Söhne” has been uploaded."
    )
    assert await read_steps(page) == [True, True, False, False]
    job = await tenant.job(title="First", schedule=DAILY)
    certificate = (await tenant.client.get("/api/v1/certificates")).json()["items"][0]
    run = create_scenario(tenant, "First", job=UUID(job["id"])).triggered().queued().started()
    (*_, started) = run.runs
    assert isinstance(started, RunStarted)
    run.runs[-1] = replace(started, recipients=(certificate["fingerprint"], "ab" * 32))
    await publish_runs(site, tenant, run.succeeded(1, 10, packed=3072))
    await page.goto("/jobs")
    assert await read_steps(page) == [True, True, True, False]
    await page.goto("/artifacts")
    await tab_to_name(page, "How to open")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="How to open this file")).to_be_visible()
    (file,) = (await tenant.client.get("/api/v1/artifacts")).json()["items"]
    await expect(page.get_by_text("A certificate that is no longer kept")).to_be_visible()
    printed = [text.strip() for text in await page.locator("pre.command").all_text_contents()]
    for command in opening_commands(file["name"], "officer-s-hne"):
        assert command.text in printed
    assert any(file["sha256"] in text for text in printed)
    assert await find_faults(page) == []
    assert (await tenant.client.get(f"/api/v1/artifacts/{file['id']}/content")).status_code == 200
    await page.goto("/jobs")

    async def are_gone() -> bool:
        await page.reload()
        return await page.locator(".step").count() == 0

    await eventually(are_gone)
    await page.goto("/preferences")
    row = page.get_by_role("row").filter(has_text="Officer")
    await expect(row).to_contain_text("1 job")
    await expect(row).not_to_contain_text("never used")
    async with page.expect_download() as fetched:
        await page.goto(f"/runs/{run.run_id}")
        await page.get_by_role("link", name="Download the manifest").click()
    assert (await fetched.value).suggested_filename == "manifest.json"


async def test_U2_a_downloader_begins_in_artifacts_and_a_session_that_ended_elsewhere_says_so(
    site: Site, history: Service, open_page: PageOpener, tenant: Tenant
) -> None:
    body = {"name": "dora", "password": PASSWORD, "roles": ["downloader"]}
    assert (await tenant.client.post("/api/v1/users", json=body)).status_code == 201
    page = await open_page(None)
    await page.goto("/login")
    for label, value in (("User name", "dora"), ("Tenant", tenant.name), ("Password", PASSWORD)):
        await page.get_by_label(label).fill(value)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/artifacts")
    await expect(page.locator(".account")).to_contain_text(tenant.name)
    for path, words in (
        ("/runs/123", "This address names no run"),
        ("/artifacts/123/open", "This address names no file"),
        (f"/jobs/{tenant.tenant_id}", "Access denied"),
        (f"/runs/{tenant.tenant_id}", "Not found"),
    ):
        await page.goto(path)
        await expect(page.locator("main")).to_contain_text(words)
    cookies = await page.context.cookies()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    # As in another browser, which still has the cookie.
    await page.context.add_cookies([each for each in cookies if each["name"] == SESSION_COOKIE])  # type: ignore[misc]
    await page.goto("/artifacts")
    await expect(page.get_by_role("status")).to_have_text("Your session has ended. Log in again to continue.")
    assert await find_faults(page) == []


async def test_C2_retiring_a_certificate_says_what_fails_and_lets_a_successor_take_its_place(
    site: Site, open_page: PageOpener
) -> None:
    tenant, now = await site.create_tenant(), SystemClock().now()
    body = {"name": "Old", "pem": pem(make_certificate(now=now, ends=timedelta(days=12), name="old"))}
    old = (await tenant.client.post("/api/v1/certificates", json=body)).json()["id"]
    job = await tenant.job(title="Depends on it", schedule=DAILY, certificates=[old])
    await tenant.job(title="Names none", schedule=DAILY)
    page = await open_page(tenant)
    await page.goto("/jobs")
    await expect(page.get_by_role("row").filter(has_text="Depends on it")).to_contain_text("“Old” expires in 11 days")
    await page.goto("/preferences")
    row = page.get_by_role("row").filter(has_text="Old")
    await expect(row).to_contain_text("2 jobs")
    await expect(row).to_contain_text("never used")
    await tab_to_name(page, "Retire Old")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("the runs of this job will fail")
    await expect(page.get_by_role("alert")).to_contain_text("Depends on it")
    assert await find_faults(page) == []
    await tab_to(page, page.get_by_label("Successor"))
    await page.keyboard.type("Data")
    async with Listener(site.system.kafka, "sluice.certificates") as published:
        await tab_to_name(page, "Retire certificate")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("The certificate “Old” is retired.")
        await published.find(lambda event: isinstance(event, CertificateSaved) and event.state == "retired")
    changed = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()
    assert changed["certificates"] == [tenant.certificate]
    assert changed["version"] == 2
