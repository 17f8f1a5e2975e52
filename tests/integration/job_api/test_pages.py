"""The pages work as plain links and forms, and enforce authentication and roles."""

import re
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route

from job_api.pages.app import PagesMount
from tests.integration.job_api.world import HOURLY, ONCE_NOW, Tenant, World

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


async def log_in(world: World, tenant: Tenant) -> httpx.AsyncClient:
    client = world.client(None, **SAME_SITE)
    form = {"user": tenant.user, "password": tenant.password, "next": "/jobs?sort=title"}
    answer = await client.post("/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?sort=title")
    return client


async def token_of(client: httpx.AsyncClient) -> dict[str, str]:
    """Return the hidden fields of a form of this session, as the page contains them."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/preferences")).text)
    assert found is not None
    return {"csrf": found[1]}


async def test_U1_a_visitor_without_a_session_is_led_to_the_login_page_and_back(world: World) -> None:
    answer = await world.client().get("/jobs?sort=title")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/jobs%3Fsort%3Dtitle")
    page = await world.client().get(answer.headers["location"])
    assert 'value="/jobs?sort=title"' in page.text


async def test_U1_a_failed_login_keeps_what_was_entered_except_the_password(world: World, tenant: Tenant) -> None:
    form = {"user": tenant.user, "tenant": "<b>", "password": "secret-typed"}
    answer = await world.client(None, **SAME_SITE).post("/login", data=form)
    assert answer.status_code == 401
    assert tenant.user in answer.text
    assert "&lt;b&gt;" in answer.text
    assert "secret-typed" not in answer.text


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "/\\evil.test", ""])
async def test_U4_the_login_leads_to_our_own_pages_only(world: World, tenant: Tenant, elsewhere: str) -> None:
    form = {"user": tenant.user, "password": tenant.password, "next": elsewhere}
    answer = await world.client(None, **SAME_SITE).post("/login", data=form)
    assert answer.headers["location"] == "/"


async def test_U4_every_page_has_a_strict_policy_and_nothing_inline(world: World, tenant: Tenant) -> None:
    client = await log_in(world, tenant)
    await tenant.job(title="<script>alert(1)</script>")
    for path in ("/login", "/jobs", "/runs", "/nothing", "/static/sluice.js"):
        answer = await client.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'self';"), path
        assert not re.search(r"<script>|<style|style=|\son[a-z]+=", answer.text), path


async def test_J3_the_list_shows_jobs_and_the_slider_is_a_form(world: World, tenant: Tenant) -> None:
    client = await log_in(world, tenant)
    job = await tenant.job(title="Every four hours", schedule=HOURLY)
    once = await tenant.job(title="Once", schedule=ONCE_NOW)
    page = (await client.get("/jobs")).text
    for words in ("Every four hours", "every 4 hours from 00:00 UTC", "2026-11-24 12:00 UTC", "Not run yet"):
        assert words in page
    assert 'aria-disabled="true" title="This job runs once' in page
    form = {"next": "/jobs?sort=title"} | await token_of(client)
    answer = await client.post(f"/jobs/{job['id']}/suspend", data=form)
    shown = f"/jobs?sort=title&shown={job['id']}#job-{job['id']}"
    assert (answer.status_code, answer.headers["location"]) == (303, shown)
    assert (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["state"] == "suspended"
    refused = await client.post(f"/jobs/{once['id']}/resume", data=form)
    assert refused.status_code == 409
    assert "clone it" in refused.text


async def test_U4_a_form_of_another_site_changes_nothing(world: World, tenant: Tenant) -> None:
    client = await log_in(world, tenant)
    job = await tenant.job(schedule=HOURLY)
    address, token = f"/jobs/{job['id']}/suspend", await token_of(client)
    forged = [
        await client.post(address, headers={"Sec-Fetch-Site": "cross-site"}, data=token),
        await client.post(address),
        await client.post(address, data={"csrf": token["csrf"][:-1] + "x"}),
        await client.post(address, data=await token_of(await log_in(world, tenant))),
    ]
    assert [answer.status_code for answer in forged] == [403] * 4
    assert (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["state"] == "active"


async def test_U3_another_tenants_job_is_not_found_on_pages_too(world: World, tenant: Tenant) -> None:
    other = await world.tenant()
    job = await other.job(title="Secret of others")
    client = await log_in(world, tenant)
    assert "Secret of others" not in (await client.get("/jobs")).text
    answer = await client.post(f"/jobs/{job['id']}/suspend", data=await token_of(client))
    assert (answer.status_code, "Not found" in answer.text) == (404, True)


async def test_U2_without_the_role_a_page_says_access_denied(world: World, tenant: Tenant) -> None:
    token = await tenant.key("downloader")
    client = world.client(None, Cookie=f"sluice_session={token}")
    answer = await client.get("/jobs")
    assert (answer.status_code, "Access denied" in answer.text) == (403, True)


async def test_the_history_page_reports_an_unavailable_history(world: World, tenant: Tenant) -> None:
    client = await log_in(world, tenant)
    assert "temporarily unavailable" in (await client.get("/runs")).text


async def test_logging_out_ends_the_session(world: World, tenant: Tenant) -> None:
    client = await log_in(world, tenant)
    cookie = client.cookies["sluice_session"]
    assert (await client.post("/logout", data=await token_of(client))).headers["location"] == "/login"
    answer = await world.client(None, Cookie=f"sluice_session={cookie}").get("/jobs")
    assert answer.status_code == 303


def forms_of(world: World) -> list[str]:
    """Return the address of every form that changes something, except the login form, which has no session yet."""
    pages = next(route for route in world.app.router.routes if isinstance(route, PagesMount))
    found = [route.path for route in pages.routes if isinstance(route, Route) and "POST" in (route.methods or ())]
    return [
        re.sub(r"\{[^}]*:uuid\}", UNKNOWN_ID, path).replace("{part}", "schedule") for path in found if path != "/login"
    ]


async def test_U4_every_form_is_refused_without_its_token_and_from_another_site(world: World, tenant: Tenant) -> None:
    client, addresses = await log_in(world, tenant), forms_of(world)
    assert len(addresses) > 15
    token = await token_of(client)
    for address in addresses:
        for data, site in (({}, "same-origin"), ({"csrf": "forged"}, "same-origin"), (token, "cross-site")):
            answer = await client.post(address, data=data, headers={"Sec-Fetch-Site": site})
            assert answer.status_code == 403, (address, data, site)


async def test_U3_no_page_shows_another_tenants_objects(world: World, tenant: Tenant) -> None:
    other = await world.tenant()
    job, key = await other.job(title="Secret of others", schedule=HOURLY), await other.client.get("/api/v1/keys")
    user = (await other.client.get("/api/v1/users")).json()["items"][0]["id"]
    client = await log_in(world, tenant)
    token = await token_of(client)
    asked = [f"/jobs/{job['id']}/edit", f"/jobs/{job['id']}/delete", f"/jobs/new?job_id={job['id']}", f"/users/{user}"]
    asked.append(f"/preferences/certificates/{other.certificate}/retire")
    for address in asked:
        answer = await client.get(address)
        assert (answer.status_code, "Secret of others" in answer.text) == (404, False), address
    sent = [f"/jobs/{job['id']}/{verb}" for verb in ("suspend", "resume", "edit", "delete")]
    sent += [f"/users/{user}", f"/preferences/certificates/{other.certificate}/retire"]
    sent += [f"/preferences/keys/{key.json()['items'][0]['id']}/revoke"]
    for address in sent:
        answer = await client.post(address, data=token)
        assert (answer.status_code, "Secret of others" in answer.text) == (404, False), address
    answer = await client.post("/jobs/selected", data=token | {"job": job["id"], "action": "run"})
    assert answer.status_code == 404
    assert (await other.client.get("/api/v1/me")).status_code == 200


async def test_J2_the_info_mart_is_refused_with_its_reason_and_not_offered(world: World, tenant: Tenant) -> None:
    client = await log_in(world, tenant)
    assert "info_mart" not in (await client.get("/jobs/new", follow_redirects=True)).text
    form = {"title": "x", "source": "info_mart", "begin": "now", "kind": "once", "all_media": "yes", "action": "save"}
    answer = await client.post("/jobs/new", data=form | await token_of(client), follow_redirects=True)
    assert [each.status_code for each in answer.history] == [303]
    assert "Info Mart is not supported as a source" in answer.text


async def test_J4_the_same_form_sent_twice_makes_one_job_and_a_changed_one_another(
    world: World, tenant: Tenant
) -> None:
    client = await log_in(world, tenant)
    form = {"title": "Twice", "begin": "now", "kind": "hourly", "every": "4", "all_media": "yes", "action": "save"}
    form |= await token_of(client)
    for each in (form, form, form | {"title": "Changed"}):
        assert (await client.post("/jobs/new", data=each)).status_code == 303
    items = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    assert sorted(job["title"] for job in items) == ["Changed", "Twice"]


async def test_J4_a_draft_is_its_users_own_and_becomes_one_job(world: World, tenant: Tenant) -> None:
    client, draft = await log_in(world, tenant), str(uuid4())
    form = {"title": "Drafted", "begin": "now", "kind": "once", "all_media": "yes", "draft": draft, "every": "1"}
    assert (await client.post(f"/jobs/drafts/{draft}", data=form | await token_of(client))).status_code == 204
    other = await world.tenant()
    stranger = await log_in(world, other)
    assert "Drafted" in (await client.get(f"/jobs/new?draft={draft}")).text
    assert "Drafted" not in (await stranger.get(f"/jobs/new?draft={draft}")).text
    for title in ("Drafted", "Drafted", "Another title of a job that runs once"):
        answer = await client.post("/jobs/new", data=form | {"title": title} | await token_of(client))
        assert answer.status_code == 303
    assert [job["title"] for job in (await tenant.client.get("/api/v1/jobs")).json()["items"]] == ["Drafted"]
    assert "runs once, so it cannot be changed" in (await client.get(answer.headers["location"])).text
    assert (await client.get(f"/jobs/new?draft={draft}")).headers["location"].startswith("/jobs/")


async def test_J10_an_edit_of_a_job_that_started_immediately_starts_nothing_again(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule={"kind": "hourly", "every": 5, "immediately": True})
    await world.clock.sleep(600)
    client = await log_in(world, tenant)
    page = (await client.get(f"/jobs/{job['id']}/edit", follow_redirects=True)).text
    assert '<time datetime="2026-11-24T15:00:00+00:00">' in page
    assert '<time datetime="2026-11-24T10:' not in page
    form = {"title": "Renamed", "kind": "hourly", "every": "5", "begin": "now", "all_media": "yes", "version": "1"}
    answer = await client.post(f"/jobs/{job['id']}/edit", data=form | await token_of(client))
    assert answer.status_code == 303
    now = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (now["title"], now["schedule"]["start"]) == ("Renamed", job["schedule"]["start"])


async def test_an_internal_error_is_a_plain_page_with_header_and_policy(world: World, tenant: Tenant) -> None:
    cookie = (await log_in(world, tenant)).cookies["sluice_session"]
    await world.admin.execute("ALTER TABLE job_api.job RENAME TO gone")
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        answer = await client.get("/jobs", headers={"Cookie": f"sluice_session={cookie}"})
    assert answer.status_code == 500
    assert "The error has been logged" in answer.text
    assert "Traceback" not in answer.text
    assert 'href="/preferences"' in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
