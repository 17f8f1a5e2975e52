"""A PostgreSQL that vanishes without closing its connections is noticed, and everything comes back after it."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared import postgres
from shared.limited_connection import LimitedConnection, limit_stalls
from shared.postgres import PostgresUnavailable, check_connection, connect, connection, open_pool, transaction
from shared.postgres_listener import Listener
from tests.support.faulty_proxy import FaultyProxy, open_faulty_proxy
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

LIMIT = 30.0
NOTIFICATIONS = "PostgreSQL's notifications do not arrive"


@pytest.fixture
def proxy(postgres: Databases) -> Iterator[FaultyProxy]:
    with open_faulty_proxy(postgres.admin_dsn) as opened:
        yield opened


async def test_every_connection_has_limits_of_tcp(database: str) -> None:
    async with connect(database, name="test") as single, open_pool(database, size=1, name="test") as pool:
        async with connection(pool) as pooled:
            assert await pooled.fetchval("SHOW tcp_user_timeout") == "30000"
            assert await pooled.fetchval("SHOW tcp_keepalives_idle") == "15"
        assert isinstance(single, LimitedConnection)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        limit_stalls(client)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_a_command_without_an_answer_ends_and_so_does_its_transaction(
    proxy: FaultyProxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(postgres, "_ACQUIRE_SECONDS", 1.0)
    monkeypatch.setattr(postgres, "_RELEASE_SECONDS", 0.5)
    async with open_pool(proxy.redirect(database), size=1, name="test") as pool:
        async with transaction(pool) as first:
            assert await first.fetchval("SELECT 1") == 1
        proxy.stall()
        for _ in range(2):
            with pytest.raises(PostgresUnavailable):
                await asyncio.wait_for(fetch_in_transaction(pool), LIMIT)
        assert await asyncio.wait_for(check_connection(pool), LIMIT) == "PostgreSQL does not answer"
        proxy.resume()
        await eventually(lambda: has_recovered(pool))


async def fetch_in_transaction(pool: postgres.Pool) -> None:
    async with transaction(pool) as database:
        await database.fetchval("SELECT 1")


async def has_recovered(pool: postgres.Pool) -> bool:
    return await check_connection(pool) is None


async def test_a_listener_is_connected_again_after_its_server_vanished(proxy: FaultyProxy, database: str) -> None:
    payloads: list[str] = []
    stopping = asyncio.Event()
    listener = Listener(proxy.redirect(database), {"news": payloads.append}, patience=0.5)
    assert listener.find_fault() is not None
    running = asyncio.create_task(listener.run(stopping))
    await eventually(lambda: listener.find_fault() is None)
    assert payloads == [""], "notifications may have been missed before"
    await notify(database, "one")
    await eventually(lambda: payloads == ["", "one"])
    for fault in (proxy.stall, proxy.cut):
        payloads.clear()
        fault()
        await eventually(lambda: (listener.find_fault() or "").startswith(NOTIFICATIONS) or payloads == [""])
        proxy.resume()
        await eventually(lambda: "" in payloads and listener.find_fault() is None)
        await notify(database, "two")
        await eventually(lambda: payloads[-1] == "two")
    stopping.set()
    await asyncio.wait_for(running, LIMIT)


async def notify(database: str, payload: str) -> None:
    async with connect(database, name="test") as sender:
        await sender.execute("SELECT pg_notify('news', $1)", payload)


async def test_every_process_reports_a_vanished_postgresql_and_recovers(
    system: System, postgres: Databases, tmp_path: Path
) -> None:
    with open_faulty_proxy(postgres.admin_dsn) as proxy:

        def start(package: str, command: str, **settings: str) -> Service:
            return system.start(package, command, {"POSTGRES": proxy.redirect(system.dsn(package)), **settings})

        store = tmp_path.as_uri()
        services = [
            start("job_api", "api", POSTGRES_SYSTEM=proxy.redirect(system.dsn("job_api_system"))),
            start("scheduler", "run"),
            start("exporter", "run", STORE=store, SOURCE=system.dsn("exporter")),
            start("history", "api", STORE=store),
        ]
        await asyncio.gather(*(each.wait_ready() for each in services))
        assert await count_listeners(system) == 6
        proxy.stall()
        await eventually(lambda: all_report(services), timeout=90)
        assert await asyncio.wait_for(asyncio.gather(*map(is_alive, services)), LIMIT) == [True] * len(services)
        proxy.cut()
        proxy.resume()
        await asyncio.gather(*(each.wait_ready() for each in services))
        await eventually(lambda: has_all_listeners(system))
        for each in services:
            assert each.process.stop() == 0, each.log()


async def all_report(services: list[Service]) -> bool:
    async with httpx.AsyncClient(timeout=LIMIT) as client:
        answers = [(await client.get(f"{each.url}/readyz")).text for each in services]
    return all(NOTIFICATIONS in text for text in answers)


async def is_alive(service: Service) -> bool:
    async with httpx.AsyncClient(timeout=LIMIT) as client:
        return (await client.get(f"{service.url}/livez")).is_success


async def has_all_listeners(system: System) -> bool:
    return await count_listeners(system) == 6


async def count_listeners(system: System) -> int:
    """Return the listening connections: four outboxes, the exporters' and the live updates'."""
    counting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'listener' AND datname = $1"
    async with connect(system.databases.admin_dsn, name="test") as database:
        return int(await database.fetchval(counting, system.database))
