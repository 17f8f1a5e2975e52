"""J11, I4: users, keys, certificates and the audit trail are filtered, sorted and paged by every column shown."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from job_api.store.lists import AUDIT, CERTIFICATES, DESTINATIONS, KEYS, USERS
from shared.http.lists import KeysetList
from tests.integration.job_api.world import NOW, Tenant, World

Row = dict[str, Any]
# Letters only, so that every collation agrees on their order; half of the names are in upper case.
NAME = "CASE n % 2 WHEN 0 THEN lower(word) ELSE upper(word) END"
ROLES = "(ARRAY['{viewer}', '{operator,downloader}', '{admin}', '{operator}', '{}'])[1 + n % 5]::text[]"
ROWS = """
    generate_series(1, $3::int) AS n,
    LATERAL (SELECT translate(md5($4::int || ' ' || n), '0123456789', 'ghijklmnop') AS word)
"""
AN_ACTOR, OBJECT_ID = f"{'a' * 8}-0000-4000-8000-000000000000", f"{'b' * 8}-0000-4000-8000-000000000003"
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A list: rows for it, with equal and absent values, and the order and filters that its fetch_all must follow."""

    path: str
    table: str
    rows: KeysetList
    fill: str
    order: Mapping[str, Callable[[Row], Any]]
    filters: tuple[tuple[dict[str, str], Callable[[Row], bool]], ...]


def at(name: str) -> Callable[[Row], datetime]:
    return lambda row: datetime.fromisoformat(row[name]) if row[name] else LATEST


def after(name: str, days: int) -> Callable[[Row], bool]:
    return lambda row: row[name] is not None and (datetime.fromisoformat(row[name]) - NOW).days >= days


def day(days: int) -> str:
    return (NOW + timedelta(days=days)).isoformat()


CASES = {
    "users": Case(
        path="/api/v1/users",
        table="app_user",
        rows=USERS,
        fill=f"""
            INSERT INTO job_api.app_user
                (user_id, tenant_id, name, name_key, password_hash, roles, disabled, created_at, issuer)
            SELECT gen_random_uuid(), $1, {NAME}, {NAME}, '', {ROLES}, n % 3 = 0,
                $2::timestamptz + n % 4 * interval '1 day',
                (ARRAY[NULL, 'https://one.test', 'https://two.test'])[1 + n % 3]
            FROM {ROWS}
        """,
        order={
            "name": lambda row: row["name"].lower(),
            "roles": lambda row: ",".join(row["roles"]),
            "disabled": lambda row: row["disabled"],
            "created_at": at("created_at"),
            "issuer": lambda row: row["issuer"] or "",
        },
        filters=(
            ({"search": "A"}, lambda row: "a" in row["name"].lower()),
            ({"role": "operator"}, lambda row: "operator" in row["roles"]),
            ({"role": "none"}, lambda row: not row["roles"]),
            ({"disabled": "true"}, lambda row: row["disabled"]),
            ({"disabled": "false"}, lambda row: not row["disabled"]),
            ({"issuer": "ONE.test"}, lambda row: row["issuer"] == "https://one.test"),
            ({"created_from": day(2)}, after("created_at", 2)),
            ({"created_until": day(2)}, lambda row: not after("created_at", 2)(row)),
            ({"disabled": "false", "role": "viewer"}, lambda row: not row["disabled"] and "viewer" in row["roles"]),
        ),
    ),
    "keys": Case(
        path="/api/v1/keys",
        table="identity",
        rows=KEYS,
        fill=f"""
            INSERT INTO job_api.identity
                (identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at)
            SELECT gen_random_uuid(), $1, (SELECT user_id FROM job_api.app_user WHERE tenant_id = $1 LIMIT 1),
                CASE n % 6 WHEN 5 THEN 'session' ELSE 'api-key' END, left({NAME}, 2), {ROLES}, '',
                $2::timestamptz + n % 4 * interval '1 day',
                CASE WHEN n % 4 > 0 THEN $2::timestamptz + (n % 4 - 1) * interval '1 day' END,
                CASE WHEN n % 7 > 4 THEN $2::timestamptz + n % 7 * interval '1 day' END
            FROM {ROWS}
        """,
        order={
            "name": lambda row: row["name"].lower(),
            "state": lambda row: row["state"],
            "roles": lambda row: ",".join(row["roles"]),
            "created_at": at("created_at"),
            "expires_at": at("expires_at"),
            "revoked_at": at("revoked_at"),
        },
        filters=(
            ({"search": "A"}, lambda row: "a" in row["name"].lower()),
            ({"state": "revoked"}, lambda row: row["revoked_at"]),
            ({"state": "expired"}, lambda row: not row["revoked_at"] and row["expires_at"] == "2026-11-24T10:30:15Z"),
            ({"state": "active"}, lambda row: not row["revoked_at"] and row["expires_at"] != "2026-11-24T10:30:15Z"),
            ({"role": "downloader"}, lambda row: "downloader" in row["roles"]),
            ({"role": "none"}, lambda row: not row["roles"]),
            ({"created_from": day(2)}, after("created_at", 2)),
            ({"created_until": day(2)}, lambda row: not after("created_at", 2)(row)),
            ({"expires_from": day(1)}, lambda row: row["expires_at"] is None or after("expires_at", 1)(row)),
            ({"expires_until": day(1)}, lambda row: row["expires_at"] and not after("expires_at", 1)(row)),
            ({"revoked_from": day(6)}, after("revoked_at", 6)),
            ({"revoked_until": day(6)}, lambda row: row["revoked_at"] and not after("revoked_at", 6)(row)),
        ),
    ),
    "certificates": Case(
        path="/api/v1/certificates",
        table="certificate",
        rows=CERTIFICATES,
        fill=f"""
            INSERT INTO job_api.certificate
                (certificate_id, tenant_id, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
                created_at, retired_at)
            SELECT gen_random_uuid(), $1, CASE WHEN n % 3 = 0 THEN {NAME} ELSE left({NAME}, 2) || n || word END,
                CASE n % 3 WHEN 0 THEN 'retired' ELSE 'active' END, 'PEM', md5(word) || md5(n || word),
                'CN=' || left(word, 1) || repeat('x', 300), 2048 * (1 + n % 3),
                $2::timestamptz - n % 4 * interval '1 day', $2::timestamptz + n % 5 * interval '1 day',
                $2::timestamptz + n % 2 * interval '1 day',
                CASE n % 3 WHEN 0 THEN $2::timestamptz + n % 6 * interval '1 day' END
            FROM {ROWS}
        """,
        order={
            "name": lambda row: row["name"].lower(),
            "state": lambda row: row["state"],
            "subject": lambda row: row["subject"].lower()[:200],
            "fingerprint": lambda row: row["fingerprint"],
            "key_bits": lambda row: row["key_bits"],
            "not_before": at("not_before"),
            "not_after": at("not_after"),
            "created_at": at("created_at"),
            "retired_at": at("retired_at"),
        },
        filters=(
            ({"search": "cn=A"}, lambda row: "cn=a" in row["subject"].lower()),
            ({"state": "active"}, lambda row: row["state"] == "active"),
            ({"state": "retired"}, lambda row: row["state"] == "retired"),
            ({"fingerprint": "A:b"}, lambda row: "ab" in row["fingerprint"]),
            ({"key_bits": "4096"}, lambda row: row["key_bits"] == 4096),
            ({"not_before_from": day(-1)}, after("not_before", -1)),
            ({"not_before_until": day(-1)}, lambda row: not after("not_before", -1)(row)),
            ({"not_after_from": day(2)}, after("not_after", 2)),
            ({"not_after_until": day(2)}, lambda row: not after("not_after", 2)(row)),
            ({"created_from": day(1)}, after("created_at", 1)),
            ({"created_until": day(1)}, lambda row: not after("created_at", 1)(row)),
            ({"retired_from": day(3)}, after("retired_at", 3)),
            ({"retired_until": day(3)}, lambda row: row["retired_at"] and not after("retired_at", 3)(row)),
        ),
    ),
    "destinations": Case(
        path="/api/v1/destinations",
        table="destination",
        rows=DESTINATIONS,
        fill=f"""
            INSERT INTO job_api.destination
                (destination_id, tenant_id, version, name, kind, state, address, key_id, sealed_credentials,
                created_at, saved_at, test_id, test_requested_at, test_ended_at, test_report, tested_at)
            SELECT gen_random_uuid(), $1, 1, left({NAME}, 2) || n || word,
                (ARRAY['s3', 'gcs', 'azure', 'sftp'])[1 + n % 4], (ARRAY['active', 'disabled'])[1 + n % 2],
                '{{}}', 'key', 'sealed', $2::timestamptz + n % 4 * interval '1 day', $2,
                CASE WHEN n % 5 > 1 THEN gen_random_uuid() END, CASE WHEN n % 5 > 1 THEN $2::timestamptz END,
                CASE WHEN n % 5 > 2 THEN $2::timestamptz END,
                CASE WHEN n % 5 > 2 THEN
                    jsonb_build_object('passed', n % 5 = 3, 'steps', '[]'::jsonb, 'host_key', NULL, 'fingerprint', NULL)
                END,
                CASE WHEN n % 5 IN (1, 3) THEN $2::timestamptz END
            FROM {ROWS}
        """,
        order={
            "name": lambda row: row["name"].lower(),
            "kind": lambda row: row["kind"],
            "state": lambda row: row["state"],
            "test_state": lambda row: row["test_state"],
            "created_at": at("created_at"),
        },
        filters=(
            ({"search": "A"}, lambda row: "a" in row["name"].lower()),
            ({"kind": "sftp"}, lambda row: row["kind"] == "sftp"),
            ({"state": "disabled"}, lambda row: row["state"] == "disabled"),
            ({"test_state": "untested"}, lambda row: row["test_state"] == "untested"),
            ({"test_state": "passed"}, lambda row: row["test_state"] == "passed"),
            ({"test_state": "failed"}, lambda row: row["test_state"] == "failed"),
            ({"created_from": day(2)}, after("created_at", 2)),
            ({"created_until": day(2)}, lambda row: not after("created_at", 2)(row)),
        ),
    ),
    "audit": Case(
        path="/api/v1/audit",
        table="audit",
        rows=AUDIT,
        fill=f"""
            INSERT INTO job_api.audit
                (tenant_id, at, actor_id, actor_name, action, object_kind, object_id, before, after, service)
            SELECT $1, $2::timestamptz + n % 4 * interval '1 day',
                CASE n % 3 WHEN 0 THEN '{AN_ACTOR}'::uuid END, left({NAME}, 2),
                (ARRAY['job.edit', 'job.create', 'user.edit'])[1 + n % 3], (ARRAY['job', 'job', 'user'])[1 + n % 3],
                ('{OBJECT_ID[:-1]}' || n % 5)::uuid,
                CASE n % 2 WHEN 0 THEN jsonb_build_object('title', 'Über alles') END,
                CASE WHEN n % 4 > 1 THEN jsonb_build_object('title', 'Nightly') END,
                (ARRAY['history', 'job-api'])[1 + n % 2]
            FROM {ROWS}
        """,
        order={
            "created_at": at("created_at"),
            "service": lambda row: row["service"],
            "actor": lambda row: row["actor"].lower(),
            "action": lambda row: row["action"],
            "object_kind": lambda row: row["object_kind"],
            "object_id": lambda row: row["object_id"],
        },
        filters=(
            ({"service": "history"}, lambda row: row["service"] == "history"),
            ({"action": "job.edit"}, lambda row: row["action"] == "job.edit"),
            ({"object_kind": "user"}, lambda row: row["object_kind"] == "user"),
            ({"object_id": OBJECT_ID}, lambda row: row["object_id"] == OBJECT_ID),
            ({"actor_id": AN_ACTOR}, lambda row: row["actor_id"] == AN_ACTOR),
            ({"actor": "A"}, lambda row: "a" in row["actor"].lower()),
            ({"search": "über ALL"}, lambda row: "Über alles" in str(row["before"])),
            ({"search": "nightly"}, lambda row: "Nightly" in str(row["after"])),
            ({"created_from": day(2)}, after("created_at", 2)),
            ({"created_until": day(2)}, lambda row: not after("created_at", 2)(row)),
            ({"object_kind": "job", "sort": "actor"}, lambda row: row["object_kind"] == "job"),
        ),
    ),
}


@pytest.fixture(params=CASES)
async def case(request: pytest.FixtureRequest, world: World, tenant: Tenant) -> Case:
    """Return each list, with rows of this tenant and of another."""
    found = CASES[request.param]
    for each in (tenant, await world.tenant()):
        await world.admin.execute(found.fill, each.tenant_id, NOW, 30, 0)
    return found


async def fetch_all(tenant: Tenant, case: Case, size: int = 200, **wanted: str) -> list[Row]:
    """Return all rows of a list, page by page."""
    found: list[Row] = []
    cursor: str | None = None
    while True:
        asked = wanted | {"limit": str(size)} | ({"cursor": cursor} if cursor else {})
        answer = await tenant.client.get(case.path, params=asked)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


async def test_J11_each_column_sorts_both_ways_across_pages(world: World, tenant: Tenant, case: Case) -> None:
    everything = await fetch_all(tenant, case)
    others = await world.admin.fetch(
        f"SELECT {case.rows.key} AS id FROM job_api.{case.table} WHERE tenant_id <> $1", tenant.tenant_id
    )
    assert len(everything) >= 25
    assert not {str(row["id"]) for row in everything} & {str(row["id"]) for row in others}
    assert set(case.order) == set(case.rows.sorts)
    for sort, key in case.order.items():
        expected = [row["id"] for row in sorted(everything, key=lambda row: (key(row), row["id"]))]
        for name, wanted in ((sort, expected), (f"-{sort}", expected[::-1])):
            assert [row["id"] for row in await fetch_all(tenant, case, size=7, sort=name)] == wanted, name


async def test_J11_each_filter_keeps_exactly_the_rows_that_match(tenant: Tenant, case: Case) -> None:
    everything = await fetch_all(tenant, case)
    assert {name for wanted, _ in case.filters for name in wanted} - {"sort"} == set(case.rows.filters)
    for wanted, fits in case.filters:
        expected = {row["id"] for row in everything if fits(row)}
        assert 0 < len(expected) < len(everything), wanted
        found = await fetch_all(tenant, case, size=11, **wanted)
        assert len(found) == len(expected), wanted
        assert {row["id"] for row in found} == expected, wanted


async def test_J11_I4_no_row_is_shown_twice_or_left_out_while_others_are_added(
    world: World, tenant: Tenant, case: Case
) -> None:
    before, rounds = {row["id"] for row in await fetch_all(tenant, case)}, itertools.count(1)
    for sort in (next(iter(case.order)), f"-{list(case.order)[-1]}"):
        seen: list[Any] = []
        cursor: str | None = None
        while len(seen) < 200:
            asked = {"limit": "9", "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = (await tenant.client.get(case.path, params=asked)).json()
            seen += [row["id"] for row in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
            await world.admin.execute(case.fill, tenant.tenant_id, NOW, 3, next(rounds))
        assert len(seen) == len(set(seen))
        assert before <= set(seen)


async def test_I4_a_cursor_of_another_order_or_another_list_is_refused(tenant: Tenant, case: Case) -> None:
    sorts = list(case.order)
    first = (await tenant.client.get(case.path, params={"limit": 1, "sort": sorts[0]})).json()
    for path, sort in ((case.path, f"-{sorts[0]}"), (case.path, sorts[1]), ("/api/v1/jobs", "created_at")):
        answer = await tenant.client.get(path, params={"limit": 1, "sort": sort, "cursor": first["next"]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


async def test_I4_invalid_list_parameters_are_refused(tenant: Tenant) -> None:
    for case in CASES.values():
        for query in ("sort=color", "sort=", "limit=0", "cursor=", "cursor=nonsense", "colour=red"):
            answer = await tenant.client.get(f"{case.path}?{query}")
            assert (answer.status_code, bool(answer.json()["errors"])) == (422, True), (case.path, query)


async def test_S6_the_instant_of_a_filter_needs_an_offset_and_may_have_any(tenant: Tenant) -> None:
    async def status(instant: str) -> int:
        return (await tenant.client.get("/api/v1/users", params={"created_from": instant})).status_code

    assert await status("2026-11-24T10:00:00+20:00") == 200
    for refused in ("2026-11-24", "2026-11-24T10:00:00", "0.5", "1795000000", "0001-01-01T00:00:00+14:00", "%00"):
        assert await status(refused) == 422, refused
