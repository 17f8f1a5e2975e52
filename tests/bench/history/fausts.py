"""One faust app in a process of its own: the estimates, or an agent that only decodes; prints events per second."""

import asyncio
import os
import sys
import time
from typing import Any

from history.estimating.agents import FaustLoop, attach_agents, create_faust_app
from history.estimating.estimates import EstimateService
from history.estimating.intake import EstimateIntake
from history.settings import Settings
from history.store.estimates import EstimateStore
from shared.codec import Received, decode
from shared.kafka import Producer
from shared.kafka.handling import DeadLetterWriter
from shared.kafka.notes import KafkaNotes
from shared.postgres import open_pool
from tests.bench.history.consuming import Stopwatch


async def main(which: str, events: int) -> None:
    """Handle so many events, print how many per second, and exit at once."""
    settings = Settings.load()
    watch, stopping = Stopwatch(events), asyncio.Event()
    async with (
        open_pool(settings.postgres, size=4, name="bench") as pool,
        Producer.open(settings.kafka, name="bench") as producer,
    ):
        app: Any = create_faust_app(settings.kafka)
        app.conf.id = f"bench-{which}-{time.time_ns()}"
        estimates = EstimateService(EstimateStore(pool), producer)
        notes = KafkaNotes(settings.kafka, producer, group="bench")
        dead_letters = DeadLetterWriter(producer, group="bench", notes=notes)
        intake = EstimateIntake(estimates, dead_letters, stopping=stopping)

        async def only_decode(record: Received) -> bool:
            decode(record)
            return True

        handle = intake.handle if which == "ours" else only_decode

        async def timed(record: Received) -> bool:
            await watch.measure(1, lambda: handle(record))
            return True

        attach_agents(app, handle=timed, on_assigned=lambda _: None)
        loops = [FaustLoop(app, stalled_after=settings.stalled_after, find_wait=intake.find_fault).run(stopping)]
        loops += [estimates.run(stopping)] if which == "ours" else []
        running = [asyncio.create_task(loop) for loop in loops]
        await asyncio.wait([asyncio.create_task(watch.done.wait()), *running], return_when=asyncio.FIRST_COMPLETED)
    sys.stdout.write(f"{watch.per_second}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
