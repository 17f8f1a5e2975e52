"""The smoke paths in a second browser engine: every page loads, scripts run, and a job is created and suspended."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from deploy.local.reaper import Reaper
from shared.http.identity import SESSION_COOKIE
from tests.integration.job_api.world import Tenant
from tests.integration.pages.firefox import find_firefox, open_firefox
from tests.integration.pages.runs import create_scenario, finish_run, publish_runs
from tests.integration.pages.site import Site
from tests.support.system import Service

LOCAL_TIMES = "[...document.querySelectorAll('time .local-time')].every(each => each.textContent)"
SWITCH = "document.querySelector('[role=switch][aria-label^=\"From Firefox\"]')"


async def test_U4_J3_J4_J5_the_pages_work_in_firefox(
    site: Site, history: Service, tenant: Tenant, tmp_path: Path, reaper: Reaper
) -> None:
    program = find_firefox()
    assert program is not None, "the tests of the pages need a second browser: apt-get install firefox-esr"
    job = await tenant.job(title="Nightly", schedule={"kind": "daily", "start": "2026-11-20T02:30:00Z"})
    runs = [
        finish_run(create_scenario(tenant, "Nightly", job=UUID(job["id"]), ago=timedelta(days=days))) for days in (2, 1)
    ]
    await publish_runs(site, tenant, *runs)
    file = (await tenant.client.get("/api/v1/artifacts")).json()["items"][0]["id"]
    host = urlsplit(site.url).hostname
    assert host is not None
    async with open_firefox(program, tmp_path, reaper) as firefox:
        await firefox.open(f"{site.url}/login")
        assert await firefox.evaluate("document.activeElement.name") == "user"
        await firefox.set_cookie(SESSION_COOKIE, await site.log_in(tenant, "admin"), host=host)
        for path, heading in (
            ("/jobs", "Jobs"),
            (f"/jobs/{job['id']}", "Nightly"),
            ("/runs", "History"),
            (f"/runs/{runs[0].run_id}", "Nightly"),
            ("/artifacts", "Artifacts"),
            (f"/artifacts/{file}/open", "How to open this file"),
            ("/preferences", "Preferences"),
            ("/users", "Users"),
            ("/nothing-here", "Not found"),
        ):
            await firefox.open(site.url + path)
            assert await firefox.evaluate("document.querySelector('h1').textContent.trim()") == heading
            await firefox.wait_for(LOCAL_TIMES)
            width = await firefox.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, path
        await firefox.open(f"{site.url}/jobs/new")
        await firefox.evaluate("document.getElementById('title').focus()")
        await firefox.press("From Firefox")
        await firefox.evaluate("document.querySelector('[name=kind][value=hourly]').click()")
        await firefox.evaluate("document.querySelector('[name=begin][value=now]').click()")
        await firefox.wait_for("document.querySelectorAll('.scheduled-runs time').length === 5")
        await firefox.evaluate("document.querySelector('button[value=save]').click()")
        await firefox.wait_for("document.querySelector('.notice')?.textContent.includes('From Firefox')")
        await firefox.open(f"{site.url}/jobs")
        await firefox.evaluate(f"{SWITCH}.focus()")
        await firefox.press("\ue007")
        await firefox.wait_for(f"{SWITCH}?.getAttribute('aria-checked') === 'false'")
        assert firefox.faults == []
