"""Previews, estimates, clones and runs requested now: J4, J12, S2 to S5, S10."""

from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from job_api.app import HistoryClients, create_web_app
from job_api.source import SourceStatistics
from shared.events import JobSaved, RunNow
from shared.lifecycle import Health
from shared.timetable import derive_request_run_id
from tests.integration.job_api.world import HOURLY, ONCE_LATER, ONCE_NOW, Tenant, World, draft
from tests.support.servers import Databases

JOBS = "/api/v1/jobs"


@pytest.mark.parametrize(
    ("schedule", "slots"),
    [
        (
            {"kind": "hourly", "every": 5, "start": "2026-11-24T12:00:00Z"},
            ["11-24T15:00", "11-24T20:00", "11-25T00:00", "11-25T05:00", "11-25T10:00"],
        ),
        ({"kind": "once", "start": "2026-11-24T12:00:00+01:00"}, ["11-24T11:00"]),
        ({"kind": "daily", "start": "2026-11-01T10:30:15Z"}, [f"11-{day}T10:30" for day in range(24, 29)]),
    ],
)
async def test_J12_the_next_five_slots_of_an_unsaved_schedule(
    tenant: Tenant, schedule: dict[str, Any], slots: list[str]
) -> None:
    answer = await tenant.client.post(f"{JOBS}/preview", json={"schedule": schedule})
    assert answer.status_code == 200, answer.text
    assert [slot[5:16] for slot in answer.json()["slots"]] == slots


async def test_S4_an_immediate_start_shows_now_and_then_the_grid(tenant: Tenant) -> None:
    body = {"schedule": {"kind": "hourly", "every": 4, "immediately": True}, "count": 2}
    answer = (await tenant.client.post(f"{JOBS}/preview", json=body)).json()
    assert answer["slots"] == ["2026-11-24T10:30:15Z", "2026-11-24T12:00:00Z"]
    assert answer["schedule_words"] == "every 4 hours from 00:00 UTC"


async def test_J12_the_faults_of_an_invalid_schedule_name_its_fields(tenant: Tenant) -> None:
    body = {"schedule": {"kind": "once", "start": "2020-01-01T00:00:00Z"}}
    answer = await tenant.client.post(f"{JOBS}/preview", json=body)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["schedule.start"]


async def test_J12_without_a_source_there_is_a_reason_and_no_error(tenant: Tenant) -> None:
    answer = await tenant.client.post(f"{JOBS}/estimate", json=draft())
    assert answer.status_code == 200
    assert answer.json()["rows"] is None
    assert "not connected" in answer.json()["reason"]


async def estimate(world: World, tenant: Tenant, source: str, **changes: Any) -> dict[str, Any]:
    app = create_web_app(world.pools, clock=world.clock, health=Health(), source=SourceStatistics(source))
    bearer = {"Authorization": f"Bearer {tenant.token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=bearer) as client:
        answer = await client.post(f"{JOBS}/estimate", json=draft(**changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def test_J12_the_estimate_comes_from_the_sources_statistics(
    world: World, tenant: Tenant, postgres: Databases
) -> None:
    source = await postgres.create()
    database = await asyncpg.connect(source)
    await database.execute(
        """
        CREATE SCHEMA contact_history;
        CREATE TABLE contact_history.interaction AS
            SELECT n::text AS id, 7 AS tenant_id, CASE WHEN n % 10 = 0 THEN 'chat' ELSE 'email' END AS media_type_id,
                timestamptz '2026-01-01' + n * interval '1 hour' AS start_date, repeat('x', 100) AS text
            FROM generate_series(1, 5000) AS n;
        CREATE TABLE contact_history.attachment AS
            SELECT n::text AS id, 7 AS tenant_id, (n * 10)::text AS entity_id, sha512(n::text::bytea) AS content
            FROM generate_series(1, 500) AS n;
        ALTER TABLE contact_history.attachment ALTER content SET STORAGE EXTERNAL;
        UPDATE contact_history.attachment SET content = convert_to(repeat(encode(content, 'hex'), 800), 'UTF8');
        ANALYZE contact_history.interaction, contact_history.attachment;
        """
    )
    everything = await estimate(world, tenant, source)
    assert 4500 < everything["rows"] < 5500
    # 500 attachments of 102,400 bytes, in base64: by far the most of the export, and none of it in the statistics.
    assert 450 < everything["attachments"] < 550
    assert 500 * 102_400 * 4 / 3 * 0.9 < everything["bytes"] < 500 * 102_400 * 4 / 3 * 1.15
    chats = await estimate(world, tenant, source, media_types=["chat"])
    assert 300 < chats["rows"] < 800
    assert 30 < chats["attachments"] < 80
    fixed = {"kind": "fixed", "start": "2026-01-01T00:00:00Z", "end": "2026-01-11T10:00:00Z"}
    assert 100 < (await estimate(world, tenant, source, timeframe=fixed))["rows"] < 500
    await estimate(world, tenant, source, timeframe={"kind": "last", "count": 2, "unit": "months"})
    broken = await estimate(world, tenant, source, type="contact")
    assert (broken["rows"], broken["reason"]) == (None, "The source could not answer.")
    await database.execute("BEGIN; LOCK TABLE contact_history.interaction")
    slow = await estimate(world, tenant, source)
    assert slow["reason"] == "The source did not answer in time."
    await database.close()


async def test_J12_an_unreachable_source_is_a_reason(world: World, tenant: Tenant) -> None:
    found = await estimate(world, tenant, "postgresql://nobody:x@127.0.0.1:9/none")
    assert found["reason"] == "The source is temporarily unavailable."


async def test_J4_a_clone_has_all_settings_except_those_changed(world: World, tenant: Tenant) -> None:
    job = await tenant.job(description="for us", split_size=1 << 20, media_types=["email"], schedule=HOURLY)
    answer = await tenant.client.post(f"{JOBS}/{job['id']}/clone", json={"title": "Copy", "split_size": None})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"] != job["id"]
    assert (made["title"], made["split_size"], made["version"]) == ("Copy", None, 1)
    for name in ("description", "media_types", "schedule", "timeframe", "state"):
        assert made[name] == job[name]
    assert isinstance((await world.events())[-1], JobSaved)
    assert (await world.audit(tenant))[-1] == "job.create"


async def test_J4_a_one_time_job_can_be_cloned_and_runs_again(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=ONCE_NOW)
    await world.clock.sleep(3600)
    made = (await tenant.client.post(f"{JOBS}/{job['id']}/clone")).json()
    assert (made["schedule"]["start"], made["state_reason"]) == ("2026-11-24T11:30:15Z", "one-time")
    planned = await tenant.job(schedule=ONCE_LATER)
    await world.clock.sleep(3600)
    path = f"{JOBS}/{planned['id']}/clone"
    refused = await tenant.client.post(path, json={})
    assert [fault["field"] for fault in refused.json()["errors"]] == ["schedule.start"]
    moved = await tenant.client.post(path, json={"schedule": {"start": "2026-12-01T00:00:00Z"}})
    assert moved.status_code == 201, moved.text


async def test_J4_a_runs_frozen_settings_make_a_job(world: World, tenant: Tenant) -> None:
    frozen = {
        "title": "Frozen",
        "source": "contact_history",
        "type": "contact",
        "source_tenant": 7,
        "media_types": None,
        "timeframe": {"kind": "all", "start": None, "end": None, "count": None, "unit": None},
        "split_size": 1048576,
        "certificates": None,
        "compression": "small",
        "cipher": "aes-256-gcm",
        "attempts": 3,
    }
    mine = "0192f0c1-7b1e-5000-8000-000000000001"

    async def run(request: Request) -> Response:
        assert request.headers["authorization"] == f"Bearer {tenant.token}", "sent with the caller's credentials"
        known = request.path_params["run_id"] == mine
        return JSONResponse({"settings": frozen} if known else {}, 200 if known else 404)

    elsewhere = httpx.ASGITransport(Starlette(routes=[Route("/api/v1/runs/{run_id}", run)]))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://history") as history:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), history=HistoryClients(history))
        bearer = {"Authorization": f"Bearer {tenant.token}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=bearer) as client:
            answer = await client.post(f"{JOBS}/from-run/{mine}", json={"title": "Again"})
            assert answer.status_code == 201, answer.text
            made = answer.json()
            assert (made["title"], made["type"], made["compression"], made["attempts"]) == (
                "Again",
                "contact",
                "small",
                3,
            )
            assert made["schedule"]["immediately"]
            other = await client.post(f"{JOBS}/from-run/0192f0c1-7b1e-5000-8000-000000000002", json={})
            assert other.status_code == 404


async def test_S10_run_now_requests_one_run_and_leaves_the_schedule_unchanged(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    await tenant.client.post(f"{JOBS}/{job['id']}/suspend")
    headers = {"Idempotency-Key": "now"}
    first, again = [await tenant.client.post(f"{JOBS}/{job['id']}/run", headers=headers) for _ in range(2)]
    assert (first.status_code, again.json()) == (202, first.json())
    commands = [event for event in await world.events() if isinstance(event, RunNow)]
    assert [str(derive_request_run_id(each.request_id)) for each in commands] == [first.json()["run_id"]]
    assert (commands[0].settings.title, commands[0].job_version, str(commands[0].job_id)) == ("Nightly", 2, job["id"])
    after = (await tenant.client.get(f"{JOBS}/{job['id']}")).json()
    assert (after["state"], after["version"], after["next_run_at"]) == ("suspended", 2, None)
    assert (await world.audit(tenant))[-1] == "job.run"


@pytest.mark.parametrize("schedule", [ONCE_NOW, ONCE_LATER])
async def test_S10_a_one_time_job_cannot_be_run_now(tenant: Tenant, schedule: dict[str, Any]) -> None:
    job = await tenant.job(schedule=schedule)
    answer = await tenant.client.post(f"{JOBS}/{job['id']}/run")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/one-time-not-run-now")
