"""A part of the product, or all of it, on a database and a Kafka of its own: real processes that a test may kill."""

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.ports import free_port
from deploy.local.processes import ChildProcess, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from shared import codec, events
from shared.clock import SystemClock
from shared.kafka import Producer
from shared.kafka.admin import create_topics
from shared.postgres import migrate
from shared.provision import ProvisionSettings, provision
from shared.settings import KafkaSettings
from shared.topics import Topic
from tests.support.servers import Databases
from tests.support.wait import eventually

ROLES = ("job_api", "scheduler", "exporter", "history")
PASSWORD = "test-password"
PARTITIONS = 4


@dataclass
class System:
    """Addresses of one system under test, and what was started of it."""

    folder: Path
    kafka: str
    databases: Databases
    database: str
    reaper: Reaper
    _running: list["Service"] = field(default_factory=list)

    @classmethod
    async def prepare(
        cls, folder: Path, kafka: str, databases: Databases, reaper: Reaper, services: Sequence[str] = ROLES
    ) -> "System":
        """Make a database with roles, schemas and tables, and the topics."""
        admin = await databases.fresh()
        passwords = {f"{role}_password": PASSWORD for role in ROLES}
        await provision(ProvisionSettings(admin_dsn=admin, **passwords))
        await create_topics(KafkaSettings(kafka_bootstrap=kafka, kafka_partitions=PARTITIONS))
        system = cls(folder, kafka, databases, admin.rpartition("/")[2], reaper)
        for service in services:
            await migrate(system.dsn(service), service)
        return system

    def dsn(self, role: str) -> str:
        """Return the address of the database for one service's role."""
        return self.databases.dsn(self.database, role=role, password=PASSWORD)

    def start(self, package: str, command: str, extra: Mapping[str, str] | None = None) -> "Service":
        """Start a process of a service; what else its settings need is in `extra`: the service's without its prefix."""
        port = free_port()
        prefix = f"SLUICE_{package.upper()}_"
        environment = {
            "SLUICE_KAFKA_BOOTSTRAP": self.kafka,
            "SLUICE_LOG_FORMAT": "console",
            f"{prefix}POSTGRES": self.dsn(package),
            f"{prefix}HTTP_PORT": str(port),
            **{name if name.startswith("SLUICE_") else prefix + name: value for name, value in (extra or {}).items()},
        }
        name = f"{package}-{command}-{secrets.token_hex(3)}"
        process = ChildProcess(
            ProcessSpec(
                name=name,
                argv=[sys.executable, "-m", package, command],
                environment=plain_environment(environment),
                log=self.folder / f"{name}.log",
                folder=self.folder,
            ),
            self.reaper,
        )
        service = Service(process, f"http://127.0.0.1:{port}")
        self._running.append(service)
        return service

    async def publish(self, *told: events.Event) -> None:
        """Put events on their topics, as another service would."""
        async with Producer.open(self.kafka, name="test") as producer:
            await producer.send(codec.encode(event, source="test", at=SystemClock().now()) for event in told)

    async def publish_raw(self, topic: str, value: bytes, headers: Mapping[str, bytes]) -> None:
        """Put something on a topic that no service would send."""
        async with Producer.open(self.kafka, name="test") as producer:
            await producer.send([codec.Record(topic, b"x", value, tuple(headers.items()))])

    async def all_taken(self, group: str, *topics: Topic) -> bool:
        """Return whether a group of consumers has taken in all that is on some topics."""
        # It looks at the group's offsets without becoming one of its members.
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=group, enable_auto_commit=False) as looking:
            places = [TopicPartition(topic.name, number) for topic in topics for number in range(PARTITIONS)]
            looking.assign(places)
            ends = await looking.end_offsets(places)
            taken = {place: await looking.committed(place) or 0 for place in places}
        return all(taken[place] >= end for place, end in ends.items())

    async def fetch(self, role: str, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database in one service's role."""
        connection = await asyncpg.connect(self.dsn(role))
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def shut_database(self) -> None:
        """Let nobody into this system's database, and throw out who is in it, as if it were away."""
        await self._allow(0)

    async def open_database(self) -> None:
        """Let everybody in again."""
        await self._allow(-1)

    async def _allow(self, connections: int) -> None:
        connection = await asyncpg.connect(self.databases.admin_dsn)
        try:
            await connection.execute(f'ALTER DATABASE "{self.database}" CONNECTION LIMIT {connections}')
            ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
            if connections == 0:
                await connection.fetch(ending, self.database)
        finally:
            await connection.close()

    def stop(self) -> None:
        """Stop what still runs."""
        for service in self._running:
            service.process.stop()


@dataclass
class Service:
    """One started process."""

    process: ChildProcess
    url: str

    async def ready(self) -> None:
        """Wait until it answers that it is ready; an end by itself fails at once, with the end of its log."""

        async def check() -> bool:
            code = self.process.exit_code()
            if code is not None:
                raise RuntimeError(f"{self.process.spec.name} ended with {code}:\n{self.log()[-4000:]}")
            async with httpx.AsyncClient() as client:
                try:
                    return (await client.get(f"{self.url}/readyz", timeout=10)).status_code == 200
                except httpx.TransportError:
                    return False

        await eventually(check, timeout=120)

    def log(self) -> str:
        """Return what it has logged so far."""
        return self.process.spec.log.read_text(errors="replace")

    async def metric(self, name: str, **labels: str) -> float:
        """Return one sample of its metrics; 0.0 where there is none."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        wanted = "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}" if labels else ""
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name}{wanted} ")]
        return float(found[0]) if found else 0.0
