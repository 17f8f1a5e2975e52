"""`make bench-pages`: what the Jobs page costs with 10,000 jobs in the tenant.

Time to first byte beside the JSON list of the same page in the same run, asked in turns over one connection each; the
weight of a first visit with everything; requests to other hosts; and how long until the page can be used at Chromium's
"Slow 3G", style and script known from the login page as for everybody who has logged in. The last line is JSON.
"""

import argparse
import asyncio
import json
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
from tests.bench.api.__main__ import create_database, print_line
from tests.bench.api.serving import serving
from tests.support.servers import Databases

WANTED = {"ttfb_ratio": 2.0, "weight_kb": 150.0, "other_hosts": 0.0, "slow_3g_s": 3.0}
LIST = "/api/v1/jobs?limit=50"
# What Chromium's own tools call "Slow 3G": bytes a second, and milliseconds added to each request.
SLOW_3G = {"offline": False, "downloadThroughput": 50_000, "uploadThroughput": 50_000, "latency": 2000}


async def first_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, token: str) -> float:
    """Ask once; return the seconds until the first byte of the answer, and read the rest."""
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


async def in_turns(port: int, token: str, times: int) -> tuple[float, float]:
    """Return the median seconds to the first byte of the page and of the JSON list."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    found: dict[str, list[float]] = {"/jobs": [], LIST: []}
    for turn in range(times + 20):
        for path, connection in zip(found, connections, strict=True):
            spent = await first_byte(*connection, path, token)
            if turn >= 20:
                found[path].append(spent)
    for _, writer in connections:
        writer.close()
    return statistics.median(found["/jobs"]), statistics.median(found[LIST])


async def usable(page: Page) -> None:
    """Wait until every job is there and the script has run: the toolbar waits for a job to be chosen."""
    await page.locator("tbody tr").nth(49).wait_for()
    await page.locator("#chosen [data-for=edit][aria-disabled]").wait_for()


async def visited(browser: Browser, origin: str, token: str) -> dict[str, float]:
    """Visit the page as a newcomer, then over a slow line as a user who comes from the login page."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": origin}])
    weight, others = await weighed(context, origin)
    page = await context.new_page()
    await page.goto(f"{origin}/login", wait_until="networkidle")
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", SLOW_3G)
    began = time.perf_counter()
    await page.goto(f"{origin}/jobs", wait_until="commit")
    await usable(page)
    spent = time.perf_counter() - began
    await context.close()
    return {"weight_kb": weight / 1000, "other_hosts": float(others), "slow_3g_s": spent}


async def weighed(context: BrowserContext, origin: str) -> tuple[int, int]:
    """Return the bytes of a first visit as they come over the line, and how many requests went elsewhere."""
    page, elsewhere, sizes = await context.new_page(), list[str](), list[int]()
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")

    def loaded(event: dict[str, Any]) -> None:
        sizes.append(int(event["encodedDataLength"]))

    def asked(request: Request) -> None:
        if not request.url.startswith((origin, "data:")):
            elsewhere.append(request.url)

    session.on("Network.loadingFinished", loaded)
    page.on("request", asked)
    await page.goto(f"{origin}/jobs", wait_until="load")
    await usable(page)
    await page.close()
    return sum(sizes), len(elsewhere)


async def measured(given: argparse.Namespace, dsn: str, key: str) -> dict[str, float]:
    """Start the server and measure."""
    async with serving(dsn) as (api, _):
        # An API key is taken where a session is: both are bearer tokens of the same form.
        page, listed = await in_turns(api, key, given.times)
        print_line(f"first byte: page {page * 1000:.2f} ms, JSON list {listed * 1000:.2f} ms")
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            found = await visited(browser, f"http://127.0.0.1:{api}", key)
            await browser.close()
        return {"ttfb_ratio": page / listed, "page_ms": page * 1000, "json_ms": listed * 1000} | found


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=300)
    given = parser.parse_args()
    with Reaper() as reaper:
        folder: Path = reaper.temporary_folder("sluice-bench-")
        server = Postgres(folder / "postgres", reaper)
        dsn, key = await create_database(Databases(server.start()), given.jobs, 1)
        found = await measured(given, dsn, key)
        server.stop()
    for name, wanted in WANTED.items():
        print_line(f"{name:>12} {found[name]:8.3f}  <= {wanted}  {'yes' if found[name] <= wanted else 'NO'}")
    print_line(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    uvloop.run(main())
