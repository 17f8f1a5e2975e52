"""What clients see: how soon an event is visible, how lists scale, and live updates to a thousand clients."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID, uuid4

import asyncpg
import httpx

from shared import auth, codec, events
from shared.clock import SystemClock
from shared.kafka import Producer
from tests.support.system import Service, System
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario

TENANT = uuid4()


async def create_client(system: System, api: Service) -> tuple[httpx.AsyncClient, str]:
    """Return a client with an API key that the API accepts, and its token."""
    identity_id = uuid4()
    token = auth.create_token(identity_id)
    await system.publish(
        events.IdentitySaved(
            identity_id=identity_id,
            kind="api-key",
            tenant_id=TENANT,
            user_id=uuid4(),
            name="bench",
            roles=("operator",),
            secret_hash=auth.hash_secret(token.secret),
            expires_at=None,
            revoked=False,
            version=1,
        )
    )
    client = httpx.AsyncClient(base_url=api.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    async def is_accepted() -> bool:
        return (await client.get("/api/v1/runs", params={"limit": 1})).status_code == 200

    await eventually(is_accepted, timeout=600)
    return client, str(token)


async def measure_visibility_p99(system: System, client: httpx.AsyncClient, *, seconds: int = 10) -> float:
    """Return the 99th percentile of seconds from sending an event to seeing its run, at 1,000 events per second."""
    checks: list[asyncio.Task[float]] = []
    async with Producer.open(system.kafka, name="bench") as producer:
        for number in range(seconds * 20):
            next_at = time.perf_counter() + 0.05
            scenarios = [RunScenario(tenant_id=TENANT).triggered().queued() for _ in range(25)]
            batch = [event for scenario in scenarios for event in scenario.everything]
            checks.append(asyncio.create_task(_time_until_visible(client, scenarios[number % 25].run_id)))
            await producer.send(codec.encode(event, source="bench", at=SystemClock().now()) for event in batch)
            await asyncio.sleep(max(0.0, next_at - time.perf_counter()))
    return percentile([await check for check in checks])


async def measure_list_p99(
    client: httpx.AsyncClient, requests: int, *, sorts: Sequence[str] = ("-created_at",)
) -> float:
    """Return the 99th percentile of seconds for a page of the run list and the next one, in each order in turn."""
    durations = []
    for number in range(requests):
        params = {"limit": "50", "sort": sorts[number % len(sorts)]}
        started = time.perf_counter()
        page = (await client.get("/api/v1/runs", params=params)).json()
        durations.append(time.perf_counter() - started)
        started = time.perf_counter()
        (await client.get("/api/v1/runs", params=params | {"cursor": page["next"]})).raise_for_status()
        durations.append(time.perf_counter() - started)
    return percentile(durations)


async def insert_runs(system: System, runs: int) -> None:
    """Insert ended runs of 1,000 jobs of the tenant into the log; its indexes are created afterwards."""
    database = await asyncpg.connect(system.owner_dsn("history"))
    found = await database.fetch(
        "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = 'history' AND tablename = 'run' AND indexname <> 'run_pkey'"
    )
    await database.execute("SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 1")
    await database.execute("SET synchronous_commit = off")
    for index in found:
        await database.execute(f"DROP INDEX {index['indexname']}")
    await database.execute("ALTER TABLE run DROP CONSTRAINT run_pkey")
    await database.execute(
        """
        INSERT INTO run (run_id, job_id, tenant_id, version, state, created_at, title, source, type, life_state,
            life_token, life_seq, first_at, queued_at, started_at, attempt_started_at, ended_at, rows, files,
            recipients)
        SELECT gen_random_uuid(), md5((n % 1000)::text)::uuid, $1, nextval('run_version'), state, at,
            'Filled ' || n % 1000, 'contact_history', 'interaction', state, 1, 3, at, at, at, at,
            at + (n * 7919 % 3600) * interval '1 second', n * 7919 % 1000003, (state = 'succeeded')::integer, '[]'
        FROM generate_series(1, $2::bigint) AS n, LATERAL (
            SELECT now() - n * interval '1 second' AS at,
                CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END AS state
        ) AS course
        """,
        TENANT,
        runs,
    )
    await database.execute("ALTER TABLE run ADD PRIMARY KEY (run_id)")
    for index in found:
        await database.execute(index["indexdef"])
    await database.execute("VACUUM (ANALYZE) run")
    await database.close()


async def measure_sse_p99(system: System, api: Service, token: str, *, clients: int = 1000, updates: int = 20) -> float:
    """Return the 99th percentile of seconds from sending an update to its arrival at each of the clients."""
    scenario = RunScenario(tenant_id=TENANT).triggered().queued().started()
    await system.publish(*scenario.everything)
    host, port = api.url.removeprefix("http://").split(":")
    arrivals: list[float] = []
    sent: dict[int, float] = {}
    readers = [asyncio.create_task(_follow((host, int(port)), token, sent, arrivals)) for _ in range(clients)]

    async def all_connected() -> bool:
        return await api.metric("sluice_live_clients") >= clients

    await eventually(all_connected, timeout=120)
    async with Producer.open(system.kafka, name="bench") as producer:
        for number in range(1, updates + 1):
            scenario.progressed(number, total=1000)
            sent[number] = time.perf_counter()
            await producer.send([codec.encode(scenario.progress[-1], source="bench", at=SystemClock().now())])
            expected = number * clients
            with suppress(AssertionError):  # later arrivals are missing from the result
                await eventually(lambda expected=expected: len(arrivals) >= expected, timeout=5)  # type: ignore[misc]
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return percentile(arrivals) if len(arrivals) >= 0.99 * clients * updates else float("inf")


async def _follow(address: tuple[str, int], token: str, sent: dict[int, float], arrivals: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    while line := await reader.readline():
        if b'"units_done":' in line:
            number = int(line.partition(b'"units_done":')[2].partition(b",")[0])
            if number in sent:
                arrivals.append(time.perf_counter() - sent[number])


async def _time_until_visible(client: httpx.AsyncClient, run_id: UUID) -> float:
    started = time.perf_counter()

    async def is_visible() -> bool:
        return (await client.get(f"/api/v1/runs/{run_id}")).status_code == 200

    await eventually(is_visible)
    return time.perf_counter() - started


def percentile(values: list[float], fraction: float = 0.99) -> float:
    """Return a quantile of measured values."""
    return sorted(values)[min(len(values) - 1, int(fraction * len(values)))]
