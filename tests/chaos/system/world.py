"""The whole product as real processes, with a proxy before each server, and a supervisor that counts ends by itself."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from deploy.local.kafka import Kafka
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.processes import plain_environment
from deploy.local.reaper import Reaper
from shared.sealing import generate_key_pair
from shared.topics import CERTIFICATES, IDENTITIES, JOBS
from tests.chaos.system.source import PASSWORD, READER, TENANT, StormSource
from tests.integration.job_api.certs import make_certificate, pem
from tests.support.faulty_proxy import FaultyProxy, open_faulty_proxy
from tests.support.full_disk import SmallDisk, mount_small_disk
from tests.support.kafka_faults import CLEANER, compact_eagerly
from tests.support.s3 import S3
from tests.support.servers import Databases
from tests.support.standby import PRIMARY_SETTINGS, create_standby
from tests.support.system import Service, System

SOURCE_DATABASE, BUCKET = "contact_history", "sluice"
CHECKOUT = Path(__file__).parents[3]
EXPECTED_EXITS = {0, -9}
TABLES = ("job_api.job", "job_api.outbox", "scheduler.schedule", "scheduler.slot", "exporter.run", "history.run")
"""Tables that are locked, and for which there is no space."""


@dataclass
class Member:
    """One process of the product, which is started again whenever it has ended."""

    name: str
    package: str
    command: str
    settings: Mapping[str, str]
    service: Service | None = None
    struck: bool = False
    """Whether the adversary ends it just now, so that its end is none of its own."""
    memory: list[int] = field(default_factory=list)
    """Its resident memory since its last start in MiB, sampled at equal intervals."""
    descriptors: list[int] = field(default_factory=list)
    """Its open files since its last start, sampled at equal intervals."""

    @property
    def url(self) -> str:
        """The address of its API, and of its readiness; stays when it is started again."""
        return f"http://127.0.0.1:{self.settings['HTTP_PORT']}"

    def sample(self) -> None:
        """Measure memory and open files; a process that is stopped or ends just now is not measured."""
        if self.service is None:
            return
        folder = Path(f"/proc/{self.service.process.pid}")
        try:
            pages = int((folder / "statm").read_text().split()[1])
            opened = len(list((folder / "fd").iterdir()))
        except OSError:
            return
        self.memory.append(pages * os.sysconf("SC_PAGE_SIZE") // 2**20)
        self.descriptors.append(opened)


@dataclass
class World:
    """Servers, proxies, processes, and what was seen of them."""

    system: System
    kafka: Kafka
    postgres: Postgres
    source_server: Postgres
    s3: S3
    source: StormSource
    database_proxy: FaultyProxy
    source_proxy: FaultyProxy
    store_proxy: FaultyProxy
    api_url: str
    members: list[Member]
    small_disk: SmallDisk | None = None
    """The disk of the tables that are written most; None where it cannot be mounted."""
    api_key: str = ""
    self_exits: list[str] = field(default_factory=list)

    def start(self, member: Member) -> None:
        """Start a process, or start it again."""
        service = self.system.start(member.package, member.command, member.settings)
        member.service = replace(service, url=member.url)
        member.struck = False
        member.memory.clear()
        member.descriptors.clear()

    async def supervise(self, stopping: asyncio.Event) -> None:
        """Start again what has ended, until `stopping` is set; note what ended without the adversary."""
        while not stopping.is_set():
            for member in self.members:
                if member.service is None or (code := member.service.process.exit_code()) is None:
                    continue
                if not member.struck or code not in EXPECTED_EXITS:
                    self.self_exits.append(f"{member.name} ended with {code}:\n{member.service.log()[-3000:]}")
                self.start(member)
            for member in self.members:
                member.sample()
            try:
                await asyncio.wait_for(stopping.wait(), 1.0)
            except TimeoutError:
                continue

    @asynccontextmanager
    async def hold(self, prefix: str) -> AsyncIterator[None]:
        """Keep the processes whose names begin with the prefix stopped."""
        held = [each for each in self.members if each.name.startswith(prefix)]
        for member in held:
            if (service := member.service) is not None:
                member.service = None
                await asyncio.to_thread(service.process.stop, grace=60)
        try:
            yield
        finally:
            for member in held:
                self.start(member)

    async def fail_over_source(self) -> None:
        """Crash the source's server and promote a standby of it at the same address; what had not arrived is lost."""
        primary = self.source_server
        name = f"source-{secrets.token_hex(3)}"
        standby = await asyncio.to_thread(create_standby, primary, primary.folder.with_name(name), self.system.reaper)
        await asyncio.to_thread(primary.kill)
        await asyncio.to_thread(standby.execute, "SELECT pg_promote()")
        self.source_server = standby
        self.source.admin_dsn = standby.admin_dsn_of(SOURCE_DATABASE)
        self.source_proxy.retarget(standby.port)

    @property
    def admin_dsn(self) -> str:
        """The administrator's address of Sluice's database, past the proxy."""
        return self.postgres.admin_dsn_of(self.system.database)

    def stop(self) -> dict[str, int]:
        """Stop every process; return the exit codes that are not 0, by name."""
        codes = {}
        for member in self.members:
            if member.service is not None:
                codes[member.name] = member.service.process.stop()
        return {name: code for name, code in codes.items() if code != 0}


@asynccontextmanager
async def open_world(folder: Path, reaper: Reaper) -> AsyncIterator[World]:
    """Start servers and proxies, prepare the system, and start all processes of the product."""
    async with AsyncExitStack() as stack:
        small_disk = stack.enter_context(mount_small_disk(folder / "small-disk"))
        kafka = Kafka(folder / "kafka", reaper, extra=CLEANER)
        # What is committed must survive a killed server, though not a crash of this machine.
        committed = {"synchronous_commit": "on"}
        postgres = Postgres(folder / "postgres", reaper, durable=False, settings=committed)
        source_server = Postgres(folder / "source", reaper, durable=False, settings=PRIMARY_SETTINGS)
        s3 = S3(folder / "s3", reaper)
        address, _, _ = kafka.start(), postgres.start(), source_server.start()
        s3.start()
        s3.create_bucket(BUCKET)
        for server in (kafka, postgres, source_server):
            stack.callback(server.stop)
        stack.callback(s3.kill)
        source_server.create_database(SOURCE_DATABASE)
        source = StormSource(source_server.admin_dsn_of(SOURCE_DATABASE))
        await source.create()
        database_proxy = stack.enter_context(open_faulty_proxy(postgres.admin_dsn))
        source_proxy = stack.enter_context(open_faulty_proxy(source_server.admin_dsn))
        store_proxy = stack.enter_context(open_faulty_proxy(s3.endpoint))
        (folder / "logs").mkdir()
        databases = Databases(database_proxy.redirect(postgres.admin_dsn))
        system = await System.prepare(folder / "logs", address, databases, reaper)
        await compact_eagerly(address, (JOBS, CERTIFICATES, IDENTITIES))
        if small_disk is not None:
            small_disk.hold_tables(postgres, system.database, TABLES)
        ports = {"api": free_port(), "history": free_port()}
        reader = source_proxy.redirect(source_server.dsn(READER, PASSWORD, SOURCE_DATABASE))
        store = {
            "STORE": f"s3://{BUCKET}",
            "STORE_OPTIONS": json.dumps(s3.options() | {"endpoint": store_proxy.redirect(s3.endpoint)}),
        }
        world = World(
            system,
            kafka,
            postgres,
            source_server,
            s3,
            source,
            database_proxy=database_proxy,
            source_proxy=source_proxy,
            store_proxy=store_proxy,
            api_url=f"http://127.0.0.1:{ports['api']}",
            members=_list_members(ports, store, reader),
            small_disk=small_disk,
        )
        world.api_key = await create_tenant(world, "storm", TENANT)
        for member in world.members:
            world.start(member)
        for member in world.members:
            assert member.service is not None
            await member.service.wait_ready()
        await _upload_certificate(world)
        yield world
        world.stop()


def _list_members(ports: Mapping[str, int], store: Mapping[str, str], reader: str) -> list[Member]:
    history_url = f"http://127.0.0.1:{ports['history']}"
    exporter = {"SOURCE": reader, "SLOTS": "2", "SLICE_ROWS": "500", **store}
    _, public_key = generate_key_pair()
    api = {"HTTP_PORT": str(ports["api"]), "HISTORY_URL": history_url, "DELIVERY_PUBLIC_KEY": public_key}
    members = [
        Member("history-api", "history", "api", {"HTTP_PORT": str(ports["history"]), **store}),
        Member("history-recorder", "history", "recorder", store),
        Member("history-estimates", "history", "estimates", store),
        Member("job-api", "job_api", "api", api),
    ]
    for number in (1, 2):
        members.append(Member(f"scheduler-{number}", "scheduler", "run", {}))
        members.append(Member(f"exporter-{number}", "exporter", "run", exporter | {"NAME": f"exporter-{number}"}))
    return [Member(each.name, each.package, each.command, _own_port(each.settings)) for each in members]


def _own_port(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings with a port that the process keeps when it is started again."""
    return {"HTTP_PORT": str(free_port())} | dict(settings)


async def create_tenant(world: World, name: str, number: int) -> str:
    """Create a tenant whose rows bear a number in the source; return its administrator's API key."""
    command = ["-m", "job_api", "bootstrap", "--tenant", name, "--source-tenant", str(number), "--user", "ana"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=plain_environment(world.system.settings("job_api")),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    key: str = json.loads(out)["api_key"]
    return key


async def _upload_certificate(world: World) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {world.api_key}"}, timeout=30) as client:
        body = {"name": "officer", "pem": pem(make_certificate(now=datetime.now(UTC)))}
        answer = await client.post(f"{world.api_url}/api/v1/certificates", json=body)
        assert answer.status_code == 201, answer.text
