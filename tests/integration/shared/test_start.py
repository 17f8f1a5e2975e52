"""A process starts while its servers are unavailable: it waits, says so, and works once they are there."""

from deploy.local.kafka import Kafka
from tests.support.system import System
from tests.support.wait import eventually


async def test_a_process_waits_at_its_start_for_kafka(own_broker: Kafka, system: System) -> None:
    own_broker.stop()
    waiting, stopped = system.start("scheduler", "run"), system.start("scheduler", "run")
    await eventually(lambda: all("waiting to start" in each.log() for each in (waiting, stopped)))
    assert stopped.process.stop() == 0
    own_broker.start()
    await waiting.wait_ready()


async def test_a_process_waits_at_its_start_for_postgres(system: System) -> None:
    await system.close_database()
    waiting = system.start("scheduler", "run")
    await eventually(lambda: "waiting to start" in waiting.log())
    await system.reopen_database()
    await waiting.wait_ready()
