"""Destinations: D1 to D4 and U3 over the API, with real sealing, a real database, and the deliverers' own key."""

import asyncio
import hashlib
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from job_api.domain.destination_fields import compute_fingerprint
from shared.events import (
    DestinationDeleted,
    DestinationSaved,
    DestinationTested,
    JobSaved,
    RunDestinationTest,
    RunNow,
)
from shared.events.values import DestinationTestStep
from shared.sealing import CredentialsOwner, Unsealer
from tests.integration.job_api.world import DELIVERY_KEYS, NOW, Tenant, World
from tests.unit.job_api.test_destinations import ED25519, KEYS, ROLE

PATH = "/api/v1/destinations"
ANY = {"If-Match": "*"}
BUCKET: dict[str, Any] = {"kind": "s3", "address": {"bucket": "acme-history", "region": "eu-central-1"}}
SECRETS = {
    "s3": KEYS | {"secret_access_key": "planted-s3-secret"},
    "sftp": {"password": "planted-sftp-password"},
}


async def finish_test(world: World, destination: dict[str, Any], tenant: Tenant, **changes: Any) -> None:
    """Let a deliverer's result of the latest test arrive."""
    steps = (DestinationTestStep(name="write", state="failed", code="no-bucket", message="There is no such bucket."),)
    result: dict[str, Any] = {
        "destination_id": UUID(destination["id"]),
        "tenant_id": tenant.tenant_id,
        "test_id": UUID(destination["latest_test"]["id"]),
        "version": destination["version"],
        "passed": False,
        "steps": steps,
        "host_key": None,
        "fingerprint": None,
        "at": NOW,
    }
    service = next(each for each in world.app.state.services.values() if hasattr(each, "apply_tests"))
    await service.apply_tests([DestinationTested(**result | changes)])


async def start_test(tenant: Tenant, destination: dict[str, Any]) -> dict[str, Any]:
    answer = await tenant.client.post(f"{PATH}/{destination['id']}/test")
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def read(tenant: Tenant, destination: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await tenant.client.get(f"{PATH}/{destination['id']}")).json()
    return found


async def test_D1_D2_a_destination_is_published_with_credentials_that_only_deliverers_can_open(
    world: World, tenant: Tenant
) -> None:
    made = await tenant.destination(name=" Data lake ", credentials=SECRETS["s3"], **BUCKET)
    assert (made["name"], made["state"], made["version"], made["test_state"]) == ("Data lake", "active", 1, "untested")
    assert await read(tenant, made) == made
    saved = (await world.events())[-1]
    assert isinstance(saved, DestinationSaved)
    assert (str(saved.destination_id), saved.address.bucket, saved.kind) == (made["id"], "acme-history", "s3")
    owner = CredentialsOwner(tenant.tenant_id, saved.destination_id)
    assert Unsealer([DELIVERY_KEYS[0]]).open(saved.credentials, owner) == SECRETS["s3"]
    assert (await world.audit(tenant))[-1] == "destination.create"


async def test_D1_a_role_is_assumed_with_the_external_id_of_the_tenant(world: World, tenant: Tenant) -> None:
    address = BUCKET["address"] | ROLE
    made = [await each.destination(kind="s3", address=address, credentials=None) for each in (tenant, tenant)]
    other = await (await world.tenant()).destination(kind="s3", address=address, credentials=None)
    external = (await tenant.client.get("/api/v1/tenant")).json()["external_id"]
    assert [each["address"]["external_id"] for each in made] == [external, external]
    assert other["address"]["external_id"] not in {external, None}
    own = await tenant.client.post(PATH, json={"name": "x", "kind": "s3", "address": address | {"external_id": "mine"}})
    assert [each["field"] for each in own.json()["errors"]] == ["address.external_id"]


async def test_D2_a_planted_secret_is_in_no_answer_table_event_log_audit_or_metric(
    world: World, tenant: Tenant, capfd: pytest.CaptureFixture[str]
) -> None:
    """Over every way in: accepted, refused by form and by rule, repeated, changed, tested, listed, deleted."""
    client, answers = tenant.client, []
    planted = {value for secrets in SECRETS.values() for value in secrets.values() if value.startswith("planted")}
    secret, wrong = min(planted), dict.fromkeys(["private_key", "service_account_key", "account_key"], max(planted))
    for kind, secrets in SECRETS.items():
        address = BUCKET["address"] if kind == "s3" else {"host": "sftp.example.com", "user_name": "u"}
        body = {"name": kind, "kind": kind, "address": address, "credentials": secrets}
        made = await client.post(PATH, json=body, headers={"Idempotency-Key": kind})
        where = f"{PATH}/{made.json()['id']}"
        ill_formed = (sorted(planted), secret, {"password": {"a": secret}}, {"password": secret * 5_000}, wrong)
        answers += [
            made,
            await client.post(PATH, json=body, headers={"Idempotency-Key": kind}),
            *[await client.post(PATH, json=body | {"name": "n", "credentials": each}) for each in ill_formed],
            await client.post(PATH, content=json.dumps(body)[:-3]),
            await client.patch(where, json={"credentials": secrets}, headers=ANY),
            *[await client.patch(where, json={"credentials": each}, headers=ANY) for each in ill_formed],
            await client.post(f"{where}/test"),
            await client.get(where),
            await client.get(PATH),
            await client.delete(where, headers=ANY),
            await client.get("/api/v1/audit"),
            await client.get("/metrics"),
        ]
    assert {201, 200, 202, 204, 422} <= {each.status_code for each in answers}
    texts = [each.text for each in answers] + [str(each.headers) for each in answers]
    tables = await world.admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'job_api'")
    for row in tables:
        table = row["tablename"]
        texts.append(await world.admin.fetchval(f"SELECT string_agg(e::text, '') FROM job_api.{table} AS e") or "")
    texts += [repr(each) for each in await world.events()] + list(capfd.readouterr())
    for secret in planted:
        assert not [text for text in texts if secret in text], secret


async def test_D2_an_idempotency_record_does_not_give_a_guessable_password_away(world: World, tenant: Tenant) -> None:
    """Its fingerprint is keyed with the caller's token: a reader of the table cannot try passwords against it."""
    body = json.dumps(
        {"name": "a", "kind": "sftp", "address": {"host": "a.test", "user_name": "u"}, "credentials": {"password": "1"}}
    )
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    first, again = [await tenant.client.post(PATH, content=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.json()) == (201, first.json())
    plain = hashlib.sha256(f"POST {PATH}\n{body}".encode()).hexdigest()
    assert await world.admin.fetchval("SELECT fingerprint FROM job_api.idempotency WHERE key = 'k'") != plain
    conflict = await tenant.client.post(PATH, content=body.replace("1", "2"), headers=headers)
    assert conflict.json()["type"].endswith("/idempotency-conflict")


async def test_D1_I3_a_change_needs_the_version_and_another_recipient_the_credentials_again(
    world: World, tenant: Tenant
) -> None:
    made = await tenant.destination()
    where, other = f"{PATH}/{made['id']}", {"address": {"host": "elsewhere.example.com"}}
    assert (await tenant.client.patch(where, json={"name": "b"})).status_code == 428
    assert (await tenant.client.patch(where, json={"name": "b"}, headers={"If-Match": '"7"'})).status_code == 412
    refused = await tenant.client.patch(where, json=other, headers=ANY)
    assert [each["field"] for each in refused.json()["errors"]] == ["credentials"]
    before = (await world.events())[-1]
    disabled = await tenant.client.patch(where, json={"state": "disabled"}, headers={"If-Match": '"1"'})
    assert (disabled.json()["state"], disabled.headers["etag"]) == ("disabled", '"2"')
    moved = await tenant.client.patch(where, json=other | {"credentials": {"password": "p"}}, headers=ANY)
    assert (moved.json()["address"]["host"], moved.json()["address"]["path"]) == ("elsewhere.example.com", "incoming")
    after = (await world.events())[-1]
    assert isinstance(before, DestinationSaved)
    assert isinstance(after, DestinationSaved)
    assert (after.version, after.credentials != before.credentials) == (3, True)
    cleared = await tenant.client.patch(where, json={"address": {"path": None}}, headers=ANY)
    assert cleared.json()["address"]["path"] is None
    assert (await world.audit(tenant))[-3:] == ["destination.edit"] * 3


async def test_D9_a_private_address_is_refused_at_save(tenant: Tenant) -> None:
    for kind, address in (
        ("sftp", {"host": "10.0.0.7", "user_name": "u"}),
        ("s3", BUCKET["address"] | {"endpoint": "http://192.168.1.1:9000"}),
        ("s3", BUCKET["address"] | {"endpoint": "https://[::ffff:127.0.0.1]:9000"}),
    ):
        body = {"name": "n", "kind": kind, "address": address, "credentials": SECRETS[kind]}
        answer = await tenant.client.post(PATH, json=body)
        assert answer.status_code == 422
        assert "SLUICE_DELIVERY_ALLOWED_NETWORKS" in answer.json()["errors"][0]["message"]


async def test_D3_a_test_is_requested_and_its_result_shown_step_by_step(world: World, tenant: Tenant) -> None:
    made = await tenant.destination()
    first = await start_test(tenant, made)
    second = await start_test(tenant, made)
    command = (await world.events())[-1]
    assert isinstance(command, RunDestinationTest)
    assert (str(command.test_id), command.version) == (second["latest_test"]["id"], 1)
    assert second["latest_test"]["ended_at"] is None
    await finish_test(world, first, tenant, passed=True)
    assert await read(tenant, made) == second, "the result of an earlier test changes nothing"
    await finish_test(world, second, tenant)
    await finish_test(world, second, tenant, passed=True)
    failed = await read(tenant, made)
    assert (failed["test_state"], failed["tested_at"]) == ("failed", None)
    assert failed["latest_test"]["steps"][0]["message"] == "There is no such bucket."
    passed = await start_test(tenant, made)
    await finish_test(world, passed, tenant, passed=True, steps=())
    assert (await read(tenant, made))["test_state"] == "passed"
    renamed = await tenant.client.patch(f"{PATH}/{made['id']}", json={"name": "renamed"}, headers=ANY)
    assert renamed.json()["test_state"] == "passed", "the same storage under another name"
    changed = await tenant.client.patch(f"{PATH}/{made['id']}", json={"address": {"path": "elsewhere"}}, headers=ANY)
    assert (changed.json()["test_state"], changed.json()["latest_test"]) == ("untested", None)
    other = await world.tenant()
    await finish_test(world, passed, other, passed=True)
    assert (await read(tenant, made))["test_state"] == "untested", "another tenant's event changes nothing"


async def test_D1_the_host_key_that_a_test_has_shown_is_pinned_once_it_is_confirmed(
    world: World, tenant: Tenant
) -> None:
    made = await start_test(tenant, await tenant.destination())
    where, fingerprint = f"{PATH}/{made['id']}/trust", compute_fingerprint(ED25519)
    early = await tenant.client.post(where, json={"fingerprint": fingerprint}, headers=ANY)
    assert early.status_code == 422
    await finish_test(world, made, tenant, host_key=ED25519, fingerprint=fingerprint)
    wrong = await tenant.client.post(where, json={"fingerprint": "SHA256:other"}, headers=ANY)
    assert wrong.status_code == 422
    trusted = await tenant.client.post(where, json={"fingerprint": fingerprint}, headers={"If-Match": '"1"'})
    assert (trusted.json()["address"]["host_key"], trusted.json()["version"]) == (ED25519, 2)
    saved = (await world.events())[-1]
    assert isinstance(saved, DestinationSaved)
    assert saved.address.host_key == ED25519
    again = await start_test(tenant, made)
    changed = ED25519.replace("AAAAAAAA", "AAAAAAAB")
    await finish_test(world, again, tenant, host_key=changed, fingerprint=compute_fingerprint(changed))
    refused = await tenant.client.post(where, json={"fingerprint": compute_fingerprint(changed)}, headers=ANY)
    assert "enter the credentials again" in refused.json()["errors"][0]["message"], "it may be another server"


async def test_D4_a_jobs_destinations_are_frozen_and_keep_them_from_being_deleted(world: World, tenant: Tenant) -> None:
    made = [await tenant.destination(), await tenant.destination()]
    delivery = {"destinations": [each["id"] for each in made], "template": "{type}/{run}/{file}", "keep_days": 0}
    job = await tenant.job(title="To the lake", delivery=delivery)
    assert job["delivery"] == delivery | {"overwrite": False, "within_hours": 24}
    saved = (await world.events())[-1]
    assert isinstance(saved, JobSaved)
    assert saved.settings.delivery is not None
    assert [str(each) for each in saved.settings.delivery.destinations] == delivery["destinations"]
    where = f"/api/v1/jobs/{job['id']}"
    assert (await tenant.client.get(where)).json() == job
    await tenant.client.post(f"{where}/run")
    command = (await world.events())[-1]
    assert isinstance(command, RunNow)
    assert command.settings == saved.settings
    refused = await tenant.client.delete(f"{PATH}/{made[0]['id']}", headers=ANY)
    assert (refused.status_code, refused.json()["jobs"]) == (409, [job["id"]])
    assert "'To the lake'" in refused.json()["detail"]
    copy = await tenant.client.post(f"{where}/clone", json={"delivery": {"within_hours": 48}})
    assert copy.json()["delivery"] == job["delivery"] | {"within_hours": 48}
    for each in (where, f"/api/v1/jobs/{copy.json()['id']}"):
        emptied = await tenant.client.patch(each, json={"delivery": None}, headers=ANY)
        assert emptied.json()["delivery"] is None
    deleted = await tenant.client.delete(f"{PATH}/{made[0]['id']}", headers=ANY)
    assert deleted.status_code == 204
    gone = (await world.events())[-1]
    assert isinstance(gone, DestinationDeleted)
    assert (str(gone.destination_id), gone.version) == (made[0]["id"], 2)
    kind = "SELECT kind FROM job_api.deletion WHERE object_id = $1"
    assert await world.admin.fetchval(kind, UUID(made[0]["id"])) == "destination"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"destinations": [str(uuid4())]}, "delivery.destinations.0"),
        ({"template": "../{job}/{slot}/{file}"}, "delivery.template"),
        ({"template": "{job}/{slot}"}, "delivery.template"),
        ({"template": "{date}/{file}"}, "delivery.template"),
        ({"within_hours": 0}, "delivery.within_hours"),
        ({"keep_days": 31}, "delivery.keep_days"),
    ],
)
async def test_D4_what_would_leave_the_prefix_or_is_unknown_is_refused_at_save(
    tenant: Tenant, changes: dict[str, Any], field: str
) -> None:
    body = {"title": "t", "source": "contact_history", "type": "contact", "schedule": {"kind": "hourly"}}
    body |= {"delivery": {"destinations": []} | changes, "schedule": {"kind": "hourly", "immediately": True}}
    answer = await tenant.client.post("/api/v1/jobs", json=body)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_U3_D4_a_foreign_destination_is_like_one_that_does_not_exist(world: World, tenant: Tenant) -> None:
    foreign = await (await world.tenant()).destination()
    body = {"title": "t", "source": "contact_history", "type": "contact", "delivery": {"destinations": [foreign["id"]]}}
    answer = await tenant.client.post("/api/v1/jobs", json=body | {"schedule": {"kind": "hourly", "immediately": True}})
    assert [each["message"] for each in answer.json()["errors"]] == ["there is no destination with this id"]


async def test_D4_a_job_saved_while_its_destination_is_deleted_leaves_no_job_without_it(tenant: Tenant) -> None:
    """Whichever comes first, the other is refused."""
    for _ in range(5):
        made = await tenant.destination()
        body = {
            "title": "t",
            "source": "contact_history",
            "type": "contact",
            "delivery": {"destinations": [made["id"]]},
        }
        saved, deleted = await asyncio.gather(
            tenant.client.post("/api/v1/jobs", json=body | {"schedule": {"kind": "daily", "immediately": True}}),
            tenant.client.delete(f"{PATH}/{made['id']}", headers=ANY),
        )
        assert (saved.status_code, deleted.status_code) in {(201, 409), (422, 204)}
