"""Jobs over REST: J1 to J10, I1 to I4, with a real database."""

from typing import Any

import pytest

from shared.events import JobDeleted, JobSaved
from tests.integration.job_api.world import HOURLY, ONCE_LATER, ONCE_NOW, Tenant, World, draft

JOBS = "/api/v1/jobs"


def if_match(job: dict[str, Any]) -> dict[str, str]:
    return {"If-Match": f'"{job["version"]}"'}


async def test_J1_a_job_is_created_with_defaults_and_published(world: World, tenant: Tenant) -> None:
    answer = await tenant.client.post(JOBS, json=draft(title="  Nightly "))
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"{JOBS}/{job['id']}"
    assert job["title"] == "Nightly"
    assert (job["media_types"], job["split_size"], job["certificates"]) == (None, None, None)
    assert (job["timeframe"]["kind"], job["catch_up"], job["overlap"], job["state"]) == (
        "all",
        "last",
        "skip",
        "active",
    )
    assert job["next_run_at"] == "2026-11-25T06:00:00Z"
    saved = (await world.events())[-1]
    assert isinstance(saved, JobSaved)
    assert (str(saved.job_id), saved.tenant_id, saved.version) == (job["id"], tenant.tenant_id, 1)
    assert saved.settings.source_tenant == 7
    assert (await world.audit(tenant))[-1] == "job.create"
    assert (await tenant.client.get(f"{JOBS}/{job['id']}")).json() == job


async def test_J1_every_fault_is_reported_at_once(tenant: Tenant) -> None:
    body = draft(title=" ", split_size=5, media_types=["email", "telepathy"], timeframe={"kind": "last", "count": 0})
    answer = await tenant.client.post(JOBS, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("/invalid")
    fields = {fault["field"] for fault in answer.json()["errors"]}
    assert fields == {"title", "split_size", "media_types", "timeframe.count", "timeframe.unit"}


async def test_J2_info_mart_is_refused_with_its_own_problem_type_and_offered_nowhere(tenant: Tenant) -> None:
    answer = await tenant.client.post(JOBS, json=draft(source="info_mart"))
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("/source-not-offered")
    assert "contact history" in answer.json()["detail"]
    sources = (await tenant.client.get("/api/v1/sources")).json()
    assert [source["id"] for source in sources["items"]] == ["contact_history"]
    assert "info_mart" not in str(sources)
    interaction = sources["items"][0]["types"][0]
    assert {"id": "email", "title": "E-mail"} in interaction["media_types"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"schedule": {"kind": "daily", "start": "2026-11-25T06:00:00Z", "cron": "*"}}, "schedule.cron"),
        ({"version": 3}, "version"),
    ],
)
async def test_I2_unknown_fields_are_refused_with_their_names(
    tenant: Tenant, change: dict[str, Any], named: str
) -> None:
    answer = await tenant.client.post(JOBS, json=draft(**change))
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [named]


@pytest.mark.parametrize("start", ["2026-11-25T06:00:00", "tomorrow", 1795000000, "1795000000", "0.5", "2026-11-25"])
async def test_S6_a_time_without_an_offset_is_refused(tenant: Tenant, start: object) -> None:
    answer = await tenant.client.post(JOBS, json=draft(schedule={"kind": "daily", "start": start}))
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["schedule.start"]


async def test_S6_another_offset_is_converted_and_shown_as_utc(tenant: Tenant) -> None:
    job = await tenant.job(schedule={"kind": "daily", "start": "2026-11-25T06:00:00+02:00"})
    assert job["schedule"]["start"] == "2026-11-25T04:00:00Z"


async def test_J6_a_one_time_job_that_starts_immediately_is_created_suspended_and_never_resumed(
    world: World, tenant: Tenant
) -> None:
    job = await tenant.job(schedule=ONCE_NOW)
    assert (job["state"], job["state_reason"], job["next_run_at"]) == ("suspended", "one-time", None)
    answer = await tenant.client.post(f"{JOBS}/{job['id']}/resume")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/one-time-not-resumable")
    saved = (await world.events())[-1]
    assert isinstance(saved, JobSaved)
    assert (saved.state, saved.schedule.immediately, saved.version) == ("suspended", True, 1)


@pytest.mark.parametrize("schedule", [ONCE_NOW, ONCE_LATER])
async def test_J8_a_one_time_job_cannot_be_edited(tenant: Tenant, schedule: dict[str, Any]) -> None:
    job = await tenant.job(schedule=schedule)
    for answer in (
        await tenant.client.put(f"{JOBS}/{job['id']}", json=draft(), headers=if_match(job)),
        await tenant.client.patch(f"{JOBS}/{job['id']}", json={"title": "x"}, headers=if_match(job)),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/one-time-not-editable")
    assert "edit" in job["refusals"]


async def test_J5_suspending_and_resuming_work_and_can_be_repeated(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    for _ in range(2):
        answer = await tenant.client.post(f"{JOBS}/{job['id']}/suspend")
        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["state_reason"], answer.json()["version"]) == (
            "suspended",
            "user",
            2,
        )
        assert answer.json()["next_run_at"] is None
    for _ in range(2):
        answer = await tenant.client.post(f"{JOBS}/{job['id']}/resume")
        assert (answer.json()["state"], answer.json()["version"]) == ("active", 3)
        assert answer.json()["next_run_at"] == "2026-11-24T12:00:00Z"
    versions = [event.version for event in await world.events() if isinstance(event, JobSaved)]
    assert versions == [1, 2, 3]
    assert (await world.audit(tenant))[-3:] == ["job.create", "job.suspend", "job.resume"]


async def test_J10_an_edit_of_a_job_that_started_immediately_fires_nothing_again(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule={"kind": "daily", "immediately": True})
    started = job["schedule"]["start"]
    await world.clock.sleep(3600)
    changes = {"title": "Renamed", "schedule": {"every": 2}}
    answer = await tenant.client.patch(f"{JOBS}/{job['id']}", json=changes, headers=if_match(job))
    assert answer.status_code == 200, answer.text
    assert answer.json()["schedule"] == {"kind": "daily", "every": 2, "immediately": True, "start": started}


async def test_I3_a_lost_update_is_refused(tenant: Tenant) -> None:
    job = await tenant.job()
    path = f"{JOBS}/{job['id']}"
    for method in ("PUT", "PATCH"):
        body = draft(title="x") if method == "PUT" else {"title": "x"}
        missing = await tenant.client.request(method, path, json=body)
        assert missing.status_code == 428
        assert missing.json()["type"].endswith("/if-match-required")
        stale = await tenant.client.request(method, path, json=body, headers={"If-Match": '"7"'})
        assert stale.status_code == 412
        assert stale.json()["type"].endswith("/lost-update")
    assert (await tenant.client.delete(path)).status_code == 428
    assert (await tenant.client.delete(path, headers={"If-Match": '"7"'})).status_code == 412
    assert (await tenant.client.post(f"{path}/suspend", headers={"If-Match": '"7"'})).status_code == 412
    good = await tenant.client.put(path, json=draft(title="Renamed"), headers={"If-Match": 'W/"9", "1"'})
    assert (good.status_code, good.headers["etag"], good.json()["title"]) == (200, '"2"', "Renamed")
    assert (await tenant.client.patch(path, json={}, headers={"If-Match": "*"})).status_code == 200


async def test_I3_a_merge_patch_changes_what_it_names(tenant: Tenant) -> None:
    job = await tenant.job(
        description="old", split_size=1 << 20, timeframe={"kind": "last", "count": 3, "unit": "days"}
    )
    changes = {"description": None, "split_size": None, "timeframe": {"kind": "all"}, "schedule": {"every": 3}}
    answer = await tenant.client.patch(f"{JOBS}/{job['id']}", json=changes, headers=if_match(job))
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["description"], after["split_size"], after["timeframe"]["kind"]) == ("", None, "all")
    assert after["schedule"] == {"kind": "daily", "every": 3, "immediately": False, "start": "2026-11-25T06:00:00Z"}
    assert (after["title"], after["version"]) == ("Nightly", 2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"nonsense": None}, "nonsense"), ({"schedule": {"cron": None}}, "schedule.cron"), ({"title": None}, "title")],
)
async def test_I2_a_patch_with_unknown_or_missing_fields_is_refused(
    tenant: Tenant, changes: dict[str, Any], named: str
) -> None:
    job = await tenant.job()
    answer = await tenant.client.patch(f"{JOBS}/{job['id']}", json=changes, headers=if_match(job))
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == [named]


async def test_I3_a_repeated_request_acts_once(world: World, tenant: Tenant) -> None:
    key = {"Idempotency-Key": "one"}
    first = await tenant.client.post(JOBS, json=draft(), headers=key)
    await world.clock.sleep(60)
    again = await tenant.client.post(JOBS, json=draft(), headers=key)
    assert again.status_code == 201
    assert (again.json(), again.headers["etag"], again.headers["location"]) == (
        first.json(),
        first.headers["etag"],
        first.headers["location"],
    )
    assert len((await tenant.client.get(JOBS)).json()["items"]) == 1
    other = await tenant.client.post(JOBS, json=draft(title="Other"), headers=key)
    assert other.status_code == 409
    assert other.json()["type"].endswith("/idempotency-conflict")


async def test_I3_a_refused_request_does_not_use_up_its_key(tenant: Tenant) -> None:
    key = {"Idempotency-Key": "one"}
    assert (await tenant.client.post(JOBS, json=draft(title=""), headers=key)).status_code == 422
    assert (await tenant.client.post(JOBS, json=draft(), headers=key)).status_code == 201


async def test_J9_a_deleted_job_is_gone_and_its_deletion_published(world: World, tenant: Tenant) -> None:
    job = await tenant.job()
    answer = await tenant.client.delete(f"{JOBS}/{job['id']}", headers=if_match(job))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await tenant.client.get(f"{JOBS}/{job['id']}")).status_code == 404
    deleted = (await world.events())[-1]
    assert isinstance(deleted, JobDeleted)
    assert (str(deleted.job_id), deleted.tenant_id, deleted.version) == (job["id"], tenant.tenant_id, 2)
    assert (await world.audit(tenant))[-1] == "job.delete"


@pytest.mark.parametrize(
    "sort", ["title", "-title", "created_at", "-created_at", "-last_run_at", "next_run_at", "state"]
)
async def test_I4_pages_hold_every_job_once_while_jobs_are_added(world: World, tenant: Tenant, sort: str) -> None:
    made = {(await tenant.job(title=f"Job {number % 4}"))["id"] for number in range(11)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        wanted = {"limit": "3", "sort": sort} | ({"cursor": cursor} if cursor else {})
        page = (await tenant.client.get(JOBS, params=wanted)).json()
        seen += [job["id"] for job in page["items"]]
        await tenant.job(title="Job 1")
        await world.clock.sleep(1)
        cursor = page["next"]
        if cursor is None or len(seen) > 60:
            break
    assert len(seen) == len(set(seen)), "no job appears twice"
    assert made <= set(seen), "no existing job is left out"


async def test_J11_the_list_filters_and_searches_on_the_server(tenant: Tenant) -> None:
    await tenant.job(title="Contacts of the week", type="contact")
    await tenant.job(title="Everything, now", schedule=ONCE_NOW, description="100 % of it")

    async def titles(**wanted: str) -> list[str]:
        answer = await tenant.client.get(JOBS, params=wanted)
        assert answer.status_code == 200, answer.text
        return [job["title"] for job in answer.json()["items"]]

    assert await titles(type="contact") == ["Contacts of the week"]
    assert await titles(state="suspended") == ["Everything, now"]
    assert await titles(search="100 %") == ["Everything, now"]
    assert await titles(search="WEEK") == ["Contacts of the week"]
    assert await titles(status="running") == []
    assert await titles(sort="title", status="none") == ["Contacts of the week", "Everything, now"]
    assert await titles(schedule="once") == ["Everything, now"]
    assert await titles(sort="schedule") == ["Contacts of the week", "Everything, now"]
    assert await titles(next_run_until="2026-11-25T06:00:01Z") == ["Contacts of the week"]
    assert await titles(next_run_until="2026-11-25T06:00:00Z") == []
    assert await titles(last_run_from="2026-11-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "sort=color",
        "cursor=nonsense",
        "cursor=W10",
        "colour=red",
        "search=%00",
        "last_run_from=2026-11-24",
        "last_run_from=0.5",
        "next_run_until=1795000000",
    ],
)
async def test_I4_invalid_list_parameters_are_refused(tenant: Tenant, query: str) -> None:
    answer = await tenant.client.get(f"{JOBS}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_I4_a_cursor_of_another_order_is_refused(tenant: Tenant) -> None:
    for _ in range(2):
        await tenant.job()
    page = (await tenant.client.get(JOBS, params={"limit": 1, "sort": "title"})).json()
    answer = await tenant.client.get(JOBS, params={"limit": 1, "sort": "-title", "cursor": page["next"]})
    assert answer.status_code == 422
