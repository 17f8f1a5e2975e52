"""The pages in a real Chromium, over the real system: one for each module of tests.

`open_page(tenant, ...)` gives a Playwright page of a logged-in user. When the test ends, whatever a page wrote to
the console, asked of another host or did against its content policy makes the test fail.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser, async_playwright

from deploy.local.ports import free_port
from shared.postgres import migrate
from tests.integration.job_api.world import Tenant
from tests.integration.pages.site import PageOpener, Site
from tests.support.system import Service, System

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Return the system's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "the tests of the pages need a browser: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def site(system: System) -> AsyncIterator[Site]:
    """Return the process that serves the pages; history is unavailable unless a test starts it."""
    await migrate(system.dsn("job_api"), "job_api")
    history_port = free_port()
    # The source is this very database: a test that makes the view in it is given estimates.
    source = system.databases.dsn(system.database)
    api = system.start("job_api", "api", {"HISTORY_URL": f"http://127.0.0.1:{history_port}", "SOURCE": source})
    await api.wait_ready()
    site = Site(system, api, history_port)
    yield site
    await site.aclose()


@pytest.fixture(scope="module")
async def history(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Return history's API, running where the pages look for it, with its recorder and its estimates."""
    system = site.system
    await migrate(system.dsn("history"), "history")
    site.store = store = tmp_path_factory.mktemp("store")
    settings = {"STORE": store.as_uri()}
    parts = [system.start("history", each, settings) for each in ("recorder", "estimates")]
    started = system.start("history", "api", settings | {"HTTP_PORT": str(site.history_port)})
    api = replace(started, url=f"http://127.0.0.1:{site.history_port}")
    for each in (*parts, api):
        await each.wait_ready()
    return api


@pytest.fixture(scope="module")
async def tenant(site: Site) -> Tenant:
    """Return a tenant of this module's tests."""
    return await site.tenant()


@pytest.fixture
async def open_page(browser: Browser, site: Site) -> AsyncIterator[PageOpener]:
    """Return the function that opens pages."""
    opener = PageOpener(browser, site)
    yield opener
    assert await opener.aclose() == []
