"""The pages in Chromium, over the real services: one set of processes for each module of tests.

`open_page(tenant, ...)` opens a Playwright page for a logged-in user. After the test, anything that a page wrote to the
console, requested from another host or did against its content policy fails the test.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser, async_playwright

from deploy.local.ports import free_port
from tests.integration.job_api.world import DELIVERY_KEYS, Tenant
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
    """The system's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "the tests of the pages need a browser: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def site(system: System) -> AsyncIterator[Site]:
    """The process that serves the pages; history is unavailable unless a test uses its fixture."""
    history_port = free_port()
    # The source is this same database: a test that creates the views in it gets estimates of sizes.
    source = system.databases.dsn(system.database)
    history = {"HISTORY_URL": f"http://127.0.0.1:{history_port}", "SOURCE": source}
    api = system.start("job_api", "api", history | {"DELIVERY_PUBLIC_KEY": DELIVERY_KEYS[1]})
    await api.wait_ready()
    site = Site(system, api, history_port)
    yield site
    await site.aclose()


@pytest.fixture(scope="module")
async def history(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """History's API at the address that the pages use, with its recorder and its estimates."""
    system = site.system
    site.store = store = tmp_path_factory.mktemp("store")
    settings = {"STORE": store.as_uri()}
    processes = [system.start("history", each, settings) for each in ("recorder", "estimates")]
    started = system.start("history", "api", settings | {"HTTP_PORT": str(site.history_port)})
    api = replace(started, url=f"http://127.0.0.1:{site.history_port}")
    for each in (*processes, api):
        await each.wait_ready()
    return api


@pytest.fixture(scope="module")
async def tenant(site: Site) -> Tenant:
    """A tenant that the tests of a module share."""
    return await site.create_tenant()


@pytest.fixture
async def open_page(browser: Browser, site: Site) -> AsyncIterator[PageOpener]:
    """The function that opens pages."""
    opener = PageOpener(browser, site)
    yield opener
    assert await opener.aclose() == []
