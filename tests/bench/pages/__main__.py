"""`make bench-pages`: the cost of the page with the list of jobs, for a tenant with 10,000 jobs.

It measures the time to the first byte of the page and of the JSON list with the same jobs, alternately and over one
connection each; the weight of a first visit with all assets; requests to other hosts; and the time until the page can
be used at Chromium's "Slow 3G", with the assets cached from the login page. The last line of the output is JSON.
"""

import argparse
import asyncio
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import uvloop
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from shared.http.identity import SESSION_COOKIE
from tests.bench.api.__main__ import create_database
from tests.bench.api.serving import serving
from tests.bench.catalogue import PAGES
from tests.bench.report import conclude, parse_arguments, print_line
from tests.support.servers import Databases

LIST = "/api/v1/jobs?limit=50"
# "Slow 3G" in Chromium's developer tools: bytes per second, and milliseconds added to each request.
SLOW_3G = {"offline": False, "downloadThroughput": 50_000, "uploadThroughput": 50_000, "latency": 2000}


async def measure_first_byte(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, token: str
) -> float:
    """Send one request, read its response, and return the seconds until its first byte."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: bench",
        f"Cookie: {SESSION_COOKIE}={token}",
        "Accept-Encoding: gzip",
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode())
    began = time.perf_counter()
    head = await reader.readuntil(b"\r\n")
    spent = time.perf_counter() - began
    assert b" 200 " in head, head
    rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(int(line.split(":")[1]) for line in rest.split("\r\n") if line.startswith("content-length"))
    await reader.readexactly(length)
    return spent


async def compare_first_bytes(port: int, token: str, times: int) -> tuple[float, float]:
    """Return the median seconds to the first byte of the page and of the JSON list."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    found: dict[str, list[float]] = {"/jobs": [], LIST: []}
    for turn in range(times + 20):
        for path, connection in zip(found, connections, strict=True):
            spent = await measure_first_byte(*connection, path, token)
            if turn >= 20:
                found[path].append(spent)
    for _, writer in connections:
        writer.close()
    return statistics.median(found["/jobs"]), statistics.median(found[LIST])


async def wait_until_usable(page: Page) -> None:
    """Wait until every row is shown and the script has run, so that the toolbar asks for a selection."""
    await page.locator("tbody tr").nth(49).wait_for()
    await page.locator("[data-action=edit][aria-disabled=true]").first.wait_for(state="attached")


async def measure_visits(browser: Browser, origin: str, token: str) -> dict[str, float]:
    """Measure a first visit, and over a slow connection a visit that comes from the login page."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": origin}])
    weight, others = await weigh_visit(context, origin)
    page = await context.new_page()
    await page.goto(f"{origin}/login", wait_until="networkidle")
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", SLOW_3G)
    began = time.perf_counter()
    await page.goto(f"{origin}/jobs", wait_until="commit")
    await wait_until_usable(page)
    spent = time.perf_counter() - began
    await context.close()
    return {"weight_kb": weight / 1000, "other_hosts": float(others), "slow_3g_s": spent}


async def weigh_visit(context: BrowserContext, origin: str) -> tuple[int, int]:
    """Return the bytes of a first visit as transferred, and the number of requests to other hosts."""
    page, foreign, sizes = await context.new_page(), list[str](), list[int]()
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")

    def add_size(event: dict[str, Any]) -> None:
        sizes.append(int(event["encodedDataLength"]))

    def check_host(request: Request) -> None:
        if not request.url.startswith((origin, "data:")):
            foreign.append(request.url)

    session.on("Network.loadingFinished", add_size)
    page.on("request", check_host)
    await page.goto(f"{origin}/jobs", wait_until="load")
    await wait_until_usable(page)
    await page.close()
    return sum(sizes), len(foreign)


async def measure(given: argparse.Namespace, dsns: list[str], key: str) -> dict[str, float]:
    """Start the server, and return what is measured, by name."""
    async with serving(dsns) as (api, _):
        # An API key works as the session cookie: both are bearer tokens of the same form.
        page, json_list = await compare_first_bytes(api, key, given.times)
        print_line(f"first byte: page {page * 1000:.2f} ms, JSON list {json_list * 1000:.2f} ms")
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            found = await measure_visits(browser, f"http://127.0.0.1:{api}", key)
            await browser.close()
        return {"ttfb_ratio": page / json_list, "page_ms": page * 1000, "json_ms": json_list * 1000} | found


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=300)
    given = parse_arguments(parser, PAGES)
    with Reaper() as reaper:
        folder: Path = reaper.temporary_folder("sluice-bench-")
        server = Postgres(folder / "postgres", reaper)
        dsns, key = await create_database(Databases(server.start()), given.jobs, 1)
        found = await measure(given, dsns, key)
        server.stop()
    conclude(PAGES, found, is_smallest=given.smallest)


if __name__ == "__main__":
    uvloop.run(main())
