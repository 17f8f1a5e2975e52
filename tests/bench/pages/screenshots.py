"""`make screenshots`: a screenshot of each page, light and dark and in several sizes, with a plausible history."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal
from uuid import UUID

from playwright.async_api import Browser, Page, async_playwright

from deploy.local.kafka import Kafka
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from shared.clock import SystemClock
from shared.http.identity import SESSION_COOKIE
from tests.bench.pages.scenes import publish_history
from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import Site
from tests.support.servers import Databases
from tests.support.system import System

JOBS = (
    ("Nightly interactions", {"kind": "daily", "every": 1}),
    ("Contacts for the CRM", {"kind": "hourly", "every": 4}),
    ("Archive for the regulator", {"kind": "monthly", "every": 1}),
    ("Weekly sample", {"kind": "weekly", "every": 2}),
)
SIZES = {"1440": (1440, 900, 1), "768": (768, 1024, 1), "375": (375, 812, 1), "zoom": (720, 450, 2)}
"""Width and height in CSS pixels and device pixels per CSS pixel; `zoom` is a screen of 1440 pixels at 200 %."""
Scheme = Literal["light", "dark"]
LOOKS: tuple[tuple[str, Scheme], ...] = (
    ("1440", "light"),
    ("1440", "dark"),
    *((each, "light") for each in list(SIZES)[1:]),
)


@asynccontextmanager
async def open_site(folder: Path, reaper: Reaper) -> AsyncIterator[Site]:
    """Run the job API and history, which the pages show."""
    kafka, postgres = Kafka(folder / "kafka", reaper), Postgres(folder / "postgres", reaper, durable=False)
    where, dsn = kafka.start(), postgres.start()
    (folder / "logs").mkdir()
    system = await System.prepare(folder / "logs", where, Databases(dsn), reaper)
    store, port = folder / "store", free_port()
    store.mkdir()
    settings = {"STORE": store.as_uri()}
    parts = [system.start("history", each, settings) for each in ("recorder", "estimates")]
    history = system.start("history", "api", settings | {"HTTP_PORT": str(port)})
    api = system.start("job_api", "api", {"HISTORY_URL": f"http://127.0.0.1:{port}"})
    for each in (*parts, replace(history, url=f"http://127.0.0.1:{port}"), api):
        await each.wait_ready()
    site = Site(system, api, port, store)
    yield site
    await site.aclose()
    system.stop()
    kafka.stop()
    postgres.stop()


async def create_jobs(tenant: Tenant) -> list[UUID]:
    """Create jobs, and return their ids."""
    start = f"{SystemClock().now().year + 1}-01-01T01:00:00Z"
    job_ids = []
    for title, schedule in JOBS:
        kind = "contact" if title.startswith("Contacts") else "interaction"
        job = await tenant.job(title=title, type=kind, schedule=schedule | {"start": start})
        job_ids.append(UUID(job["id"]))
    return job_ids


async def take_screenshots(browser: Browser, site: Site, tenant: Tenant, folder: Path) -> None:
    """Take the screenshots, while the latest run is in progress."""
    jobs = await create_jobs(tenant)
    runs = await publish_history(site, tenant, jobs[0])
    file = (await tenant.client.get("/api/v1/artifacts", params={"limit": 1})).json()["items"][0]["id"]
    new = await site.create_tenant(certificate=False)
    pages = {
        "jobs": "/jobs",
        "jobs-marked": f"/jobs?shown={jobs[1]}#job-{jobs[1]}",
        "jobs-delete-several": f"/jobs/delete?job={jobs[0]}&job={jobs[2]}&job={jobs[3]}",
        "job": f"/jobs/{jobs[0]}",
        "job-delete": f"/jobs/{jobs[3]}/delete",
        "editor": f"/jobs/new?job_id={jobs[0]}",
        "history": "/runs",
        "run": f"/runs/{runs['followed'].run_id}",
        "run-failed": f"/runs/{runs['failed'].run_id}",
        "run-in-progress": f"/runs/{runs['running'].run_id}",
        "artifacts": "/artifacts",
        "opening": f"/artifacts/{file}/open",
        "certificate-retire": f"/preferences/certificates/{tenant.certificate}/retire",
        "preferences": "/preferences",
        "users": "/users",
        "not-found": "/nothing-here",
    }
    for size, scheme in LOOKS:
        look = f"{size}-{scheme}"
        page = await _open_page(browser, site, size, scheme)
        await _take(page, "/login", folder / f"login-{look}.png")
        cookie = {"name": SESSION_COOKIE, "value": await site.log_in(tenant, "admin"), "url": site.url}
        await page.context.add_cookies([cookie])  # type: ignore[list-item]
        for name, path in pages.items():
            await _take(page, path, folder / f"{name}-{look}.png")
        await _take_forms(page, folder, look)
        for name, reader in (("access-denied", tenant), ("first-steps", new)):
            page = await _open_page(browser, site, size, scheme)
            cookie["value"] = await site.log_in(reader, "downloader" if reader is tenant else "admin")
            await page.context.add_cookies([cookie])  # type: ignore[list-item]
            await _take(page, "/jobs", folder / f"{name}-{look}.png")


async def _take_forms(page: Page, folder: Path, look: str) -> None:
    """Take the pages that a form leads to: a selection, a refused job, and a session that has ended."""
    await page.goto("/jobs")
    for box in (await page.locator("tr[data-job] input[type=checkbox]").all())[:2]:
        await box.check()
    await _save(page, folder / f"jobs-selected-{look}.png")
    await page.goto("/jobs/new")
    await page.get_by_label("Every").fill("0")
    await page.get_by_label("Title").press("Enter")
    await page.locator("#errors").wait_for()
    await _save(page, folder / f"editor-refused-{look}.png")
    await page.context.clear_cookies()
    await page.get_by_label("Title").press("Enter")
    await page.locator("#interrupted").wait_for()
    await _save(page, folder / f"session-ended-{look}.png")


async def _open_page(browser: Browser, site: Site, size: str, scheme: Scheme) -> Page:
    width, height, scale = SIZES[size]
    context = await browser.new_context(
        base_url=site.url,
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    return await context.new_page()


async def _take(page: Page, path: str, target: Path) -> None:
    await page.goto(path)
    # Wait until the script has written the viewer's local times.
    await page.wait_for_function("[...document.querySelectorAll('time .local-time')].every(each => each.textContent)")
    await _save(page, target)


async def _save(page: Page, target: Path) -> None:
    await page.screenshot(path=target, full_page=True)
    sys.stdout.write(f"{target}\n")


async def main() -> None:
    """Run the services, publish a history, and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the screenshots")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with Reaper() as reaper:
        async with (
            open_site(reaper.temporary_folder("sluice-screenshots-"), reaper) as running,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            await take_screenshots(browser, running, await running.create_tenant(), given.folder)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
