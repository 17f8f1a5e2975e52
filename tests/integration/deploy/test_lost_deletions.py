"""What was deleted, revoked or retired while services were down stays so, also after compaction.

The broker compacts within seconds and drops tombstones at once, as if the services had been down for months.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from history.store.identities import IdentityStore
from shared import events
from shared.auth import Token, hash_secret
from shared.clock import SystemClock
from shared.events import CertificateSaved, IdentitySaved, JobSaved, Schedule
from shared.kafka.reading import read_topic
from shared.postgres import open_pool
from shared.topics import CERTIFICATES, COMMANDS, IDENTITIES, JOBS, TOPIC_OF, TRIGGERS
from tests.contract.samples import TENANT, samples
from tests.support.kafka_faults import CLEANER, compact_eagerly
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

COMPACTED = (JOBS, CERTIFICATES, IDENTITIES)
SECRET = "s" * 43


E = TypeVar("E", JobSaved, CertificateSaved, IdentitySaved)


def sample(kind: type[E]) -> E:
    return next(event for event in samples() if isinstance(event, kind))


@pytest.fixture(scope="module")
def eager_kafka(reaper: Reaper, servers_folder: Path) -> Iterator[str]:
    """Run a Kafka that compacts as soon as it can."""
    server = Kafka(servers_folder / "kafka-eager", reaper, extra=CLEANER)
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
async def eager(
    eager_kafka: str, postgres: Databases, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    system = await System.prepare(tmp_path_factory.mktemp("logs"), eager_kafka, postgres, reaper)
    await compact_eagerly(eager_kafka, COMPACTED)
    yield system
    system.stop()


async def start_all(system: System, store: str) -> list[Service]:
    started = [
        system.start("scheduler", "run"),
        system.start("exporter", "run", {"STORE": store, "SOURCE": system.databases.dsn(system.database)}),
        system.start("history", "recorder", {"STORE": store}),
    ]
    await asyncio.gather(*(each.wait_ready() for each in started))
    return started


async def read_kept(system: System) -> dict[tuple[str, bytes | None], list[str]]:
    """Return the types of the messages that are left, by topic and key."""
    kept: dict[tuple[str, bytes | None], list[str]] = {}
    for topic in COMPACTED:
        async for record in read_topic(system.kafka, topic.name):
            kind = dict(record.headers)["ce_type"].decode().removeprefix("sluice.")
            kept.setdefault((topic.name, record.key), []).append(kind)
    return kept


async def wait_until_compacted(system: System, changed: dict[UUID, str]) -> None:
    """Wait until compaction has left just the given type for each of these keys."""

    async def is_compacted() -> bool:
        # Only segments that are not being written are compacted: further messages begin new ones.
        now = SystemClock().now()
        fillers: list[Any] = [
            replace(sample(JobSaved), job_id=uuid4(), state="suspended", saved_at=now),
            replace(sample(CertificateSaved), certificate_id=uuid4(), state="retired"),
            replace(sample(IdentitySaved), identity_id=uuid4(), revoked=True),
        ]
        await system.publish(*fillers, *(spread(each, number) for each in fillers for number in range(12)))
        kept = {key: kinds for (_, key), kinds in (await read_kept(system)).items()}
        return all(kept.get(str(key).encode()) == [kind] for key, kind in changed.items())

    await eventually(is_compacted, timeout=90)


def spread(event: Any, number: int) -> events.Event:
    """Return the event under another key, so that every partition gets some."""
    moved: events.Event = replace(event, **{TOPIC_OF[type(event)].key: UUID(int=number + 1)})
    return moved


async def test_R2_S7_what_was_deleted_during_an_outage_stays_deleted_after_compaction(
    eager: System, tmp_path: Path
) -> None:
    system, now = eager, SystemClock().now()
    yearly = Schedule(kind="hourly", start=now + timedelta(days=900))
    job, retired_job = (
        replace(sample(JobSaved), job_id=uuid4(), schedule=yearly, saved_at=now, version=1) for _ in range(2)
    )
    retired, removed = (
        replace(sample(CertificateSaved), certificate_id=uuid4(), state="active", version=1) for _ in range(2)
    )
    revoked, ended = (
        replace(
            sample(IdentitySaved),
            identity_id=uuid4(),
            secret_hash=hash_secret(SECRET),
            expires_at=None,
            revoked=False,
            version=1,
        )
        for _ in range(2)
    )
    running = await start_all(system, tmp_path.as_uri())
    await system.publish(job, retired_job, retired, removed, revoked, ended)
    scheduled = "SELECT job_id FROM schedule WHERE next_slot IS NOT NULL"
    await eventually(
        lambda: system.fetch("history", "SELECT 1 FROM identity WHERE identity_id = $1", ended.identity_id)
    )

    async def are_known() -> bool:
        known = {row["job_id"] for row in await system.fetch("scheduler", scheduled)}
        active = await system.fetch("exporter", "SELECT 1 FROM certificate WHERE active")
        return {job.job_id, retired_job.job_id} <= known and len(active) == 2

    await eventually(are_known)
    for each in running:
        each.process.stop()
    # While they are down, a slot of each job falls due ...
    await system.fetch("scheduler", "UPDATE schedule SET next_slot = greatest(since, now() - interval '1 minute')")
    # ... and everything is deleted, revoked or retired.
    about: Any = {"tenant_id": TENANT, "version": 2, "deleted_at": now}
    await system.publish(
        events.JobDeleted(job_id=job.job_id, **about),
        replace(retired_job, state="suspended", state_reason="user", version=2, saved_at=now),
        replace(retired, state="retired", version=2),
        events.CertificateDeleted(certificate_id=removed.certificate_id, **about),
        replace(revoked, revoked=True, version=2),
        events.IdentityDeleted(identity_id=ended.identity_id, **about),
    )
    await wait_until_compacted(
        system,
        {
            job.job_id: "job.deleted.v2",
            retired_job.job_id: "job.saved.v1",
            retired.certificate_id: "certificate.saved.v1",
            removed.certificate_id: "certificate.deleted.v1",
            revoked.identity_id: "identity.saved.v1",
            ended.identity_id: "identity.deleted.v1",
        },
    )
    await start_all(system, tmp_path.as_uri())
    await eventually(lambda: system.has_consumed_all("sluice.scheduler", JOBS, COMMANDS))
    decided = "SELECT job_id, fate, reason FROM slot WHERE job_id = $1"
    await eventually(lambda: system.fetch("scheduler", decided, job.job_id))
    fates = {(row["fate"], row["reason"]) for row in await system.fetch("scheduler", decided, job.job_id)}
    assert fates == {("skipped", "ended")}
    triggered = [record async for record in read_topic(system.kafka, TRIGGERS.name)]
    kinds = {dict(record.headers)["ce_type"] for record in triggered if record.key == str(job.job_id).encode()}
    assert kinds <= {b"sluice.slot.skipped.v1"}

    async def are_retired() -> bool:
        return not await system.fetch("exporter", "SELECT 1 FROM certificate WHERE active")

    await eventually(are_retired)
    async with open_pool(system.dsn("history"), size=1, name="test") as pool:
        identities = IdentityStore(pool)

        async def are_refused() -> bool:
            tokens = [Token(each.identity_id, SECRET) for each in (revoked, ended)]
            return [await identities.authenticate(token) for token in tokens] == [None, None]

        await eventually(are_refused)


async def test_J9_an_older_version_behind_a_deletion_revives_nothing(eager: System, tmp_path: Path) -> None:
    system, now = eager, SystemClock().now()
    about: Any = {"tenant_id": TENANT, "version": 5, "deleted_at": now}
    known_to_nobody = replace(
        sample(JobSaved),
        job_id=uuid4(),
        schedule=Schedule(kind="once", start=now, immediately=True),
        version=4,
        saved_at=now,
    )
    certificate = replace(sample(CertificateSaved), certificate_id=uuid4(), state="active", version=4)
    identity = replace(sample(IdentitySaved), identity_id=uuid4(), version=4, revoked=False)
    await system.publish(
        events.JobDeleted(job_id=known_to_nobody.job_id, **about),
        known_to_nobody,
        events.CertificateDeleted(certificate_id=certificate.certificate_id, **about),
        certificate,
        events.IdentityDeleted(identity_id=identity.identity_id, **about),
        identity,
    )
    running = await start_all(system, tmp_path.as_uri())
    await eventually(lambda: system.has_consumed_all("sluice.scheduler", JOBS))
    await eventually(lambda: system.has_consumed_all("sluice.exporter", JOBS, CERTIFICATES))
    await eventually(lambda: system.has_consumed_all("sluice.history.recorder", IDENTITIES))
    assert await system.fetch("scheduler", "SELECT 1 FROM schedule WHERE job_id = $1", known_to_nobody.job_id) == []
    found = "SELECT active FROM certificate WHERE certificate_id = $1"
    assert [row["active"] for row in await system.fetch("exporter", found, certificate.certificate_id)] == [False]
    found_identity = "SELECT revoked, version FROM identity WHERE identity_id = $1"
    (row,) = await system.fetch("history", found_identity, identity.identity_id)
    assert (row["revoked"], row["version"]) == (True, 5)
    # A tombstone ends it: nothing is kept of what was deleted long ago.
    await system.publish(
        events.JobTombstone(job_id=known_to_nobody.job_id),
        events.CertificateTombstone(certificate_id=certificate.certificate_id),
        events.IdentityTombstone(identity_id=identity.identity_id),
    )

    async def is_forgotten() -> bool:
        return not (
            await system.fetch("scheduler", "SELECT 1 FROM deleted_job")
            or await system.fetch("exporter", found, certificate.certificate_id)
            or await system.fetch("history", found_identity, identity.identity_id)
        )

    await eventually(is_forgotten)
    for each in running:
        each.process.stop()
