"""The adversary: faults in an order that follows from the seed, each healed before the next begins."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.topics import CONSUMER_GROUPS
from tests.chaos.system.world import BUCKET, TABLES, Member, World
from tests.support.faulty_proxy import FaultyProxy
from tests.support.postgres_faults import fill_disk, hold_lock, make_read_only, step_clock
from tests.support.system import PARTITIONS
from tests.support.wait import eventually

Fault = Callable[["Adversary"], Awaitable[None]]


@dataclass
class Adversary:
    """Strikes a world; all that is random about it follows from its seed."""

    world: World
    seed: int
    kinds: Sequence[str]
    """The faults that may strike, by name."""
    struck: list[str] = field(default_factory=list)
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    async def run(self, stopping: asyncio.Event) -> None:
        """Strike until `stopping` is set; every kind of fault once before any kind strikes again."""
        while not stopping.is_set():
            for name in self.random.sample(sorted(self.kinds), len(self.kinds)):
                if stopping.is_set():
                    return
                self.struck.append(name)
                sys.stderr.write(f"fault {len(self.struck)}: {name}\n")
                await FAULTS[name](self)
                await self.pause(1.0, 4.0)

    async def pause(self, shortest: float, longest: float) -> None:
        """Let a fault, or the time between two, last for a random number of seconds."""
        await asyncio.sleep(self.random.uniform(shortest, longest))

    def choose_member(self, prefix: str = "") -> Member:
        """Return a process of the product whose name begins with the prefix."""
        return self.random.choice([each for each in self.world.members if each.name.startswith(prefix)])


async def kill_a_process(adversary: Adversary) -> None:
    """End a process with SIGKILL."""
    member = adversary.choose_member()
    if member.service is not None:
        member.struck = True
        await asyncio.to_thread(member.service.process.kill)


async def kill_an_exporter(adversary: Adversary) -> None:
    """End the processes that have most to lose."""
    member = adversary.choose_member("exporter")
    if member.service is not None:
        member.struck = True
        await asyncio.to_thread(member.service.process.kill)


async def stop_a_process(adversary: Adversary) -> None:
    """Stop a process as an upgrade does, and expect the exit code 0."""
    member = adversary.choose_member()
    if member.service is not None:
        member.struck = True
        await asyncio.to_thread(member.service.process.stop, grace=60)


async def freeze_a_process(adversary: Adversary) -> None:
    """Freeze a process for longer than a lease, and let it continue as if nothing had happened."""
    member = adversary.choose_member()
    service = member.service
    if service is None or service.process.exit_code() is not None:
        return
    service.process.pause(paused=True)
    await adversary.pause(5.0, 25.0)
    service.process.pause(paused=False)


async def restart_postgres(adversary: Adversary) -> None:
    """Stop PostgreSQL and start it again."""
    await asyncio.to_thread(adversary.world.postgres.stop)
    await adversary.pause(0.0, 5.0)
    await asyncio.to_thread(adversary.world.postgres.start)


async def kill_postgres(adversary: Adversary) -> None:
    """Crash PostgreSQL and start it again."""
    await asyncio.to_thread(adversary.world.postgres.kill)
    await adversary.pause(0.0, 2.0)
    await asyncio.to_thread(adversary.world.postgres.start)


async def restart_kafka(adversary: Adversary) -> None:
    """Stop the broker and start it again."""
    await asyncio.to_thread(adversary.world.kafka.stop)
    await adversary.pause(0.0, 5.0)
    await asyncio.to_thread(adversary.world.kafka.start)


async def kill_kafka(adversary: Adversary) -> None:
    """Crash the broker and start it again."""
    await asyncio.to_thread(adversary.world.kafka.kill)
    await asyncio.to_thread(adversary.world.kafka.start)


async def freeze_kafka(adversary: Adversary) -> None:
    """Let the broker accept connections and answer nothing."""
    process = adversary.world.kafka.process
    assert process is not None
    process.pause(paused=True)
    await adversary.pause(3.0, 12.0)
    process.pause(paused=False)


async def restart_the_store(adversary: Adversary) -> None:
    """Crash the object store and start it again."""
    await asyncio.to_thread(adversary.world.s3.kill)
    await asyncio.to_thread(adversary.world.s3.start)


async def fill_the_store(adversary: Adversary) -> None:
    """Let the object store accept nothing more: its quota is used up."""
    await asyncio.to_thread(adversary.world.s3.set_quota, BUCKET, 1)
    await adversary.pause(2.0, 10.0)
    await asyncio.to_thread(adversary.world.s3.set_quota, BUCKET, None)


async def refuse_objects(adversary: Adversary) -> None:
    """Let the object store refuse what some runs write, and accept what others write."""
    prefixes = [f"runs/{digit}" for digit in adversary.random.sample("0123456789abcdef", 6)]
    await asyncio.to_thread(adversary.world.s3.refuse_writes, BUCKET, prefixes, refused=True)
    await adversary.pause(5.0, 15.0)
    await asyncio.to_thread(adversary.world.s3.refuse_writes, BUCKET, prefixes, refused=False)


async def fail_over_the_source(adversary: Adversary) -> None:
    """Replace the source's server by its standby."""
    await adversary.world.fail_over_source()


async def make_the_database_read_only(adversary: Adversary) -> None:
    """Behave as after a failover to a standby: connections work, writing does not."""
    async with make_read_only(adversary.world.admin_dsn):
        await adversary.pause(2.0, 10.0)


async def refuse_connections(adversary: Adversary) -> None:
    """Let the database accept no connection, and end those that exist."""
    await adversary.world.system.close_database()
    await adversary.pause(1.0, 8.0)
    await adversary.world.system.reopen_database()


async def fill_the_disk(adversary: Adversary) -> None:
    """Let PostgreSQL find no space for what is written to one table."""
    async with fill_disk(adversary.world.admin_dsn, adversary.random.choice(TABLES)):
        await adversary.pause(2.0, 10.0)


async def fill_the_small_disk(adversary: Adversary) -> None:
    """Leave no space on the disk of the tables that are written most; on machines without one, nothing happens."""
    disk = adversary.world.small_disk
    if disk is not None:
        await asyncio.to_thread(disk.fill)
    await adversary.pause(2.0, 10.0)
    if disk is not None:
        disk.free()


async def hold_a_lock(adversary: Adversary) -> None:
    """Lock a table as a careless migration does."""
    async with hold_lock(adversary.world.admin_dsn, adversary.random.choice(TABLES)):
        await adversary.pause(2.0, 15.0)


async def step_the_clock(adversary: Adversary) -> None:
    """Let the scheduler's clock jump by up to an hour in either direction, and back."""
    by = timedelta(minutes=adversary.random.choice([-60, -10, -2, 2, 10, 60]))
    async with step_clock(adversary.world.admin_dsn, by):
        await adversary.pause(3.0, 10.0)


async def lose_offsets(adversary: Adversary) -> None:
    """Forget which messages the exporters or the schedulers have handled: all are delivered to them again."""
    prefix, group = adversary.random.choice([("exporter", "sluice.exporter"), ("scheduler", "sluice.scheduler")])
    async with (
        adversary.world.hold(prefix),
        AIOKafkaConsumer(
            bootstrap_servers=adversary.world.system.kafka, group_id=group, enable_auto_commit=False
        ) as consumer,
    ):
        topics = [each for found in CONSUMER_GROUPS if found.name == group for each in found.topics]
        consumer.assign([TopicPartition(topic.name, number) for topic in topics for number in range(PARTITIONS)])

        async def reset() -> bool:
            try:
                await consumer.commit(dict.fromkeys(consumer.assignment(), 0))
            except KafkaError:
                # The group still has members, until the sessions of those that were killed before have ended.
                return False
            return True

        await eventually(reset, timeout=120)


def stall(choose: Callable[[World], FaultyProxy]) -> Fault:
    """Return a fault: a network that drops all packets without ending a connection."""

    async def strike(adversary: Adversary) -> None:
        proxy = choose(adversary.world)
        proxy.stall()
        await adversary.pause(3.0, 20.0)
        proxy.cut()
        proxy.resume()

    return strike


def slow_down(choose: Callable[[World], FaultyProxy]) -> Fault:
    """Return a fault: latency of 0.05 to 0.5 s in each direction."""

    async def strike(adversary: Adversary) -> None:
        proxy = choose(adversary.world)
        proxy.delay(adversary.random.uniform(0.05, 0.5))
        await adversary.pause(3.0, 12.0)
        proxy.delay(0)

    return strike


def cut(choose: Callable[[World], FaultyProxy]) -> Fault:
    """Return a fault: all connections are reset, and again a moment later."""

    async def strike(adversary: Adversary) -> None:
        for _ in range(adversary.random.randint(1, 4)):
            choose(adversary.world).cut()
            await adversary.pause(0.1, 1.0)

    return strike


_PROXIES: dict[str, Callable[[World], FaultyProxy]] = {
    "database": lambda world: world.database_proxy,
    "source": lambda world: world.source_proxy,
    "store": lambda world: world.store_proxy,
}
FAULTS: dict[str, Fault] = {
    "kill a process": kill_a_process,
    "kill an exporter": kill_an_exporter,
    "stop a process": stop_a_process,
    "freeze a process": freeze_a_process,
    "restart PostgreSQL": restart_postgres,
    "kill PostgreSQL": kill_postgres,
    "restart Kafka": restart_kafka,
    "kill Kafka": kill_kafka,
    "freeze Kafka": freeze_kafka,
    "restart the store": restart_the_store,
    "store full": fill_the_store,
    "store refuses objects": refuse_objects,
    "source fails over": fail_over_the_source,
    "read-only database": make_the_database_read_only,
    "no connection to the database": refuse_connections,
    "disk full": fill_the_disk,
    "small disk full": fill_the_small_disk,
    "long lock": hold_a_lock,
    "clock stepped": step_the_clock,
    "offsets lost": lose_offsets,
    **{f"{name}: no packet arrives": stall(choose) for name, choose in _PROXIES.items()},
    **{f"{name}: latency": slow_down(choose) for name, choose in _PROXIES.items()},
    **{f"{name}: connections reset": cut(choose) for name, choose in _PROXIES.items()},
}
