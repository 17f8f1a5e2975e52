"""The product, or some of its services, with a database and a Kafka of their own: real processes to start and kill."""

import secrets
import sys
from collections.abc import Mapping
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
from shared.kafka.reading import to_received
from shared.settings import KafkaSettings
from shared.topics import Topic
from tests.support.servers import PASSWORD, Databases
from tests.support.wait import eventually

PARTITIONS = 4


@dataclass
class System:
    """The addresses of one system under test, and its started processes."""

    folder: Path
    kafka: str
    databases: Databases
    database: str
    reaper: Reaper
    _running: list["Service"] = field(default_factory=list)

    @classmethod
    async def prepare(
        cls, folder: Path, kafka: str, databases: Databases, reaper: Reaper, *, is_migrated: bool = True
    ) -> "System":
        """Create a database with roles and schemas of all services, by default with their tables, and the topics."""
        admin = await (databases.create_migrated() if is_migrated else databases.create_provisioned())
        await create_topics(KafkaSettings(kafka_bootstrap=kafka, kafka_partitions=PARTITIONS))
        return cls(folder, kafka, databases, admin.rpartition("/")[2], reaper)

    def dsn(self, role: str) -> str:
        """Return the DSN of the database for the role of a service."""
        return self.databases.dsn(self.database, role=role, password=PASSWORD)

    def owner_dsn(self, service: str) -> str:
        """Return the DSN of the database for the role that migrates the schema of a service."""
        return self.databases.owner_dsn(self.database, service)

    def settings(self, package: str, prefix: str | None = None) -> dict[str, str]:
        """Return the variables that name Kafka and the database to a service's processes and commands."""
        prefix = prefix or f"SLUICE_{package.upper()}_"
        found = {"SLUICE_KAFKA_BOOTSTRAP": self.kafka, f"{prefix}POSTGRES": self.dsn(package)}
        if package == "job_api":
            found[f"{prefix}POSTGRES_SYSTEM"] = self.dsn("job_api_system")
        return found

    def start(
        self, package: str, command: str, extra: Mapping[str, str] | None = None, *, prefix: str | None = None
    ) -> "Service":
        """Start a process of a service; `extra` are more variables, those of the service without its prefix.

        `prefix` is that of the process's variables, where it is not the service's.
        """
        port = free_port()
        prefix = prefix or f"SLUICE_{package.upper()}_"
        environment = {
            **self.settings(package, prefix),
            "SLUICE_LOG_FORMAT": "console",
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

    async def publish(self, *published: events.Event) -> None:
        """Publish events to their topics, as another service does."""
        async with Producer.open(self.kafka, name="test") as producer:
            await producer.send(codec.encode(event, source="test", at=SystemClock().now()) for event in published)

    async def publish_raw(self, topic: str, value: bytes, headers: Mapping[str, bytes]) -> None:
        """Publish a message that no service would publish."""
        async with Producer.open(self.kafka, name="test") as producer:
            await producer.send([codec.Record(topic, b"x", value, tuple(headers.items()))])

    async def has_consumed_all(self, group: str, *topics: Topic) -> bool:
        """Return whether a consumer group has committed all messages of some topics."""
        # Reads the group's offsets without joining it.
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=group, enable_auto_commit=False) as observer:
            partitions = [TopicPartition(topic.name, number) for topic in topics for number in range(PARTITIONS)]
            observer.assign(partitions)
            ends = await observer.end_offsets(partitions)
            committed = {each: await observer.committed(each) or 0 for each in partitions}
        return all(committed[each] >= end for each, end in ends.items())

    async def read_events(self, topic: Topic) -> list[events.Event]:
        """Return all events of a topic, those of one partition in their order."""
        found: list[events.Event] = []
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False) as observer:
            partitions = [TopicPartition(topic.name, number) for number in range(PARTITIONS)]
            observer.assign(partitions)
            ends = await observer.end_offsets(partitions)
            await observer.seek_to_beginning(*partitions)
            while any([await observer.position(each) < end for each, end in ends.items()]):
                for records in (await observer.getmany(timeout_ms=500)).values():
                    found += [codec.decode(to_received(record)).event for record in records]
        return found

    async def fetch(self, role: str, query: str, *values: object) -> list[asyncpg.Record]:
        """Query the database with the role of a service."""
        connection = await asyncpg.connect(self.dsn(role))
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def fetch_as_owner(self, service: str, query: str, *values: object) -> list[asyncpg.Record]:
        """Query the schema of a service with the role that owns its tables: to change what a service itself cannot."""
        connection = await asyncpg.connect(self.owner_dsn(service))
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def close_database(self) -> None:
        """Reject and end all connections to this system's database, as if it were unavailable."""
        await self._allow(0)

    async def reopen_database(self) -> None:
        """Accept connections again."""
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
        """Stop all processes."""
        for service in self._running:
            service.process.stop()


@dataclass
class Service:
    """One started process."""

    process: ChildProcess
    url: str

    async def wait_ready(self) -> None:
        """Wait until it is ready; raises RuntimeError with the end of its log when it ends."""

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
        """Return its log so far."""
        return self.process.spec.log.read_text(errors="replace")

    async def metric(self, name: str, **labels: str) -> float:
        """Return one sample of its metrics; 0.0 without one."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        wanted = "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}" if labels else ""
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name}{wanted} ")]
        return float(found[0]) if found else 0.0
