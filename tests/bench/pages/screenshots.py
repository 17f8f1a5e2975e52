"""`make screenshots`: a picture of each page, light and dark, of a system that has had a day's work, in a folder."""

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
from tests.bench.pages.scenes import busy_day
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
WIDTH, HEIGHT = 1280, 800


@asynccontextmanager
async def site(folder: Path, reaper: Reaper) -> AsyncIterator[Site]:
    """Run the job API and history, which serve the pages."""
    kafka, postgres = Kafka(folder / "kafka", reaper), Postgres(folder / "postgres", reaper, durable=False)
    where, dsn = kafka.start(), postgres.start()
    (folder / "logs").mkdir()
    system = await System.prepare(folder / "logs", where, Databases(dsn), reaper, services=("job_api", "history"))
    store, port = folder / "store", free_port()
    store.mkdir()
    settings = {"STORE": store.as_uri()}
    parts = [system.start("history", each, settings) for each in ("recorder", "estimates")]
    history = system.start("history", "api", settings | {"HTTP_PORT": str(port)})
    api = system.start("job_api", "api", {"HISTORY_URL": f"http://127.0.0.1:{port}"})
    for each in (*parts, replace(history, url=f"http://127.0.0.1:{port}"), api):
        await each.wait_ready()
    made = Site(system, api, port, store)
    yield made
    await made.aclose()
    system.stop()
    kafka.stop()
    postgres.stop()


async def jobs_of(tenant: Tenant) -> list[UUID]:
    """Make jobs, and return their ids."""
    start = f"{SystemClock().now().year + 1}-01-01T01:00:00Z"
    made = []
    for title, schedule in JOBS:
        kind = "contact" if title.startswith("Contacts") else "interaction"
        made.append(UUID((await tenant.job(title=title, type=kind, schedule=schedule | {"start": start}))["id"]))
    return made


async def pictures(browser: Browser, site: Site, tenant: Tenant, folder: Path) -> None:
    """Take the pictures; the last run of the day is still going on."""
    jobs = await jobs_of(tenant)
    runs = await busy_day(site, tenant, jobs[0])
    pages = {
        "jobs": "/jobs",
        "editor": f"/jobs/new?clone={jobs[0]}",
        "history": "/runs",
        "run": f"/runs/{runs['watched'].run_id}",
        "run-failed": f"/runs/{runs['failed'].run_id}",
        "run-in-progress": f"/runs/{runs['running'].run_id}",
        "artifacts": "/artifacts",
        "preferences": "/preferences",
        "users": "/users",
        "not-found": "/nothing-here",
    }
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page = await _window(browser, site, scheme)
        await _taken(page, "/login", folder / f"login-{scheme}.png")
        cookie = {"name": SESSION_COOKIE, "value": await site.session(tenant, "admin"), "url": site.url}
        await page.context.add_cookies([cookie])  # type: ignore[list-item]
        for name, path in pages.items():
            await _taken(page, path, folder / f"{name}-{scheme}.png")
        page = await _window(browser, site, scheme)
        cookie["value"] = await site.session(tenant, "downloader")
        await page.context.add_cookies([cookie])  # type: ignore[list-item]
        await _taken(page, "/jobs", folder / f"access-denied-{scheme}.png")


async def _window(browser: Browser, site: Site, scheme: Literal["light", "dark"]) -> Page:
    context = await browser.new_context(
        base_url=site.url,
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    return await context.new_page()


async def _taken(page: Page, path: str, target: Path) -> None:
    await page.goto(path)
    # The script has written the viewer's own time, where there is one to write.
    await page.wait_for_function("[...document.querySelectorAll('time .local')].every(each => each.textContent)")
    await page.screenshot(path=target)
    sys.stdout.write(f"{target}\n")


async def main() -> None:
    """Run a system, let it work, and look at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with Reaper() as reaper:
        async with (
            site(reaper.temporary_folder("sluice-screenshots-"), reaper) as running,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            await pictures(browser, running, await running.tenant(), given.folder)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
