"""The pages of destinations: D1 to D3 as plain links and forms, without a word of the credentials."""

import re
from typing import Any

import httpx

from job_api.domain.destination_fields import compute_fingerprint
from tests.integration.job_api.test_destinations_api import finish_test, read
from tests.integration.job_api.test_pages import log_in, token_of
from tests.integration.job_api.world import Tenant, World
from tests.unit.job_api.test_destinations import ED25519

PATH = "/preferences/destinations"
SECRET = "planted-page-password"
SERVER = {"kind": "sftp", "name": "Archive", "host": "sftp.example.com", "user_name": "sluice", "password": SECRET}


async def send(client: httpx.AsyncClient, address: str, /, **fields: str) -> httpx.Response:
    return await client.post(address, data=fields | await token_of(client))


async def find_version(client: httpx.AsyncClient, path: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', (await client.get(path)).text)
    assert found is not None
    return found[1]


async def test_D1_D2_D3_a_destination_is_added_tested_trusted_changed_disabled_and_deleted(
    world: World, tenant: Tenant
) -> None:
    client, texts = await log_in(world, tenant), list[str]()
    for kind in ("s3", "gcs", "azure", "sftp"):
        form = await client.get(f"{PATH}/new?kind={kind}")
        assert (form.status_code, f'name="kind" value="{kind}"' in form.text) == (200, True)
    external = (await tenant.client.get("/api/v1/tenant")).json()["external_id"]
    assert external in (await client.get(f"{PATH}/new?kind=s3")).text
    refused = await send(client, PATH, **SERVER | {"host": "10.0.0.1", "port": "x", "name": "<b>"})
    assert (refused.status_code, refused.text.count('aria-invalid="true"')) == (422, 1), "the first fault is the port"
    assert "&lt;b&gt;" in refused.text
    made = await send(client, PATH, **SERVER)
    where = made.headers["location"]
    assert where.startswith(f"{PATH}/")
    again = await send(client, PATH, **SERVER)
    assert "Another destination is named" in again.text
    texts += [refused.text, again.text, (await client.get(where)).text]
    assert "No test has passed" in texts[-1]

    assert (await send(client, f"{where}/test")).headers["location"] == f"{where}#test"
    destination: dict[str, Any] = {"id": where.rpartition("/")[2]}
    destination = await read(tenant, destination)
    assert "has not arrived yet" in (await client.get(where)).text
    fingerprint = compute_fingerprint(ED25519)
    await finish_test(world, destination, tenant, host_key=ED25519, fingerprint=fingerprint)
    shown = (await client.get(where)).text
    assert "There is no such bucket." in shown
    assert fingerprint in shown
    wrong = await send(client, f"{where}/trust", fingerprint="SHA256:x", version="1")
    assert wrong.status_code == 422
    trusted = await send(client, f"{where}/trust", fingerprint=fingerprint, version="1")
    assert trusted.status_code == 303
    assert (await read(tenant, destination))["address"]["host_key"] == ED25519

    stale = await send(client, where, **SERVER | {"version": "1"})
    assert "Another user has changed this destination" in stale.text
    kept = SERVER | {"password": "", "version": "2", "host_key": ED25519, "path": "incoming", "name": "Archive 2"}
    saved = await send(client, where, **kept)
    assert saved.status_code == 303
    moved = await send(client, where, **kept | {"host": "other.example.com", "version": "3"})
    assert "enter them again" in moved.text.lower()
    await send(client, f"{where}/state", action="disable", version="3")
    disabled = await read(tenant, destination)
    assert (disabled["state"], disabled["name"], disabled["address"]["path"]) == ("disabled", "Archive 2", "incoming")
    listed = (await client.get(PATH)).text
    assert "Archive 2" in listed

    job = await tenant.job(title="To the archive", delivery={"destinations": [destination["id"]]})
    assert "Archive 2" in (await client.get(f"{where}/delete")).text
    in_use = await send(client, f"{where}/delete", version="4")
    assert "To the archive" in in_use.text
    await tenant.client.patch(f"/api/v1/jobs/{job['id']}", json={"delivery": None}, headers={"If-Match": "*"})
    gone = await send(client, f"{where}/delete", version=await find_version(client, where))
    assert (gone.status_code, gone.headers["location"]) == (303, PATH)
    assert not [text for text in [*texts, shown, stale.text, moved.text, listed] if SECRET in text]


async def test_U2_operators_see_destinations_and_only_administrators_change_them(world: World, tenant: Tenant) -> None:
    destination = await tenant.destination()
    where = f"{PATH}/{destination['id']}"
    await tenant.client.post(
        "/api/v1/users", json={"name": "olga", "roles": ["operator"], "password": "correct horse battery"}
    )
    client = world.client(None, **{"Sec-Fetch-Site": "same-origin"})
    await client.post("/login", data={"user": "olga", "tenant": tenant.name, "password": "correct horse battery"})
    for path in (PATH, where):
        page = await client.get(path)
        assert page.status_code == 200
        assert "/new?kind=" not in page.text
    for path in (f"{PATH}/new", f"{where}/delete"):
        assert (await client.get(path)).status_code == 403
    for path in (PATH, where, f"{where}/state", f"{where}/test", f"{where}/trust", f"{where}/delete"):
        assert (await send(client, path, version="1", kind="sftp")).status_code == 403, path


async def test_D4_the_editor_offers_the_destinations_and_keeps_what_is_ticked(world: World, tenant: Tenant) -> None:
    client, made = await log_in(world, tenant), [await tenant.destination(name=name) for name in ("Lake", "Archive")]
    blank = (await client.get("/jobs/new", follow_redirects=True)).text
    assert blank.count('name="destinations"') == 2
    form = {"title": "To both", "source": "contact_history", "type": "interaction", "all_media": "yes", "kind": "daily"}
    form |= {"every": "1", "begin": "at", "start": "2026-11-25T06:00", "timeframe": "all", "split": "none"}
    chosen = {"destinations": [each["id"] for each in made], "within_hours": "48", "template": "{run}/{file}"}
    await client.post("/jobs/new", data=form | chosen | {"action": "save"} | await token_of(client))
    (job,) = (await tenant.client.get("/api/v1/jobs")).json()["items"]
    assert set(job["delivery"]["destinations"]) == {each["id"] for each in made}
    assert (job["delivery"]["within_hours"], job["delivery"]["template"]) == (48, "{run}/{file}")
    editor = (await client.get(f"/jobs/{job['id']}/edit", follow_redirects=True)).text
    assert len(re.findall(r'name="destinations" value="[0-9a-f-]+" checked', editor)) == 2
